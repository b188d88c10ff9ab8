//! What a configuration file says, before anyone asks what it means: statements, their words,
//! and where in which file each of them stands.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::diagnostics::Position;

/// One of the files of a configuration, numbered in the order they are read; the default is
/// the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct FileId(pub(super) u32);

/// A stretch of bytes in a file. Lines and columns are worked out only when somebody reads
/// them: see [`Sources::position`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// The offset of the first byte.
    pub start: u32,
    /// The offset after the last byte.
    pub end: u32,
}

impl Span {
    /// The stretch from the beginning of `self` to the end of `last`, in the file of `self`.
    pub fn to(self, last: Span) -> Span {
        Span {
            end: last.end.max(self.start),
            ..self
        }
    }
}

/// A name or an argument, with quotes and escapes already undone.
#[derive(Debug, Clone)]
pub struct Word {
    /// The bytes; nothing promises that they are UTF-8.
    pub text: Box<[u8]>,
    /// Whether it was written in quotes.
    pub quoted: bool,
    /// Where it stands, with its quotes.
    pub span: Span,
}

impl Word {
    /// The text for a message; bytes that are not UTF-8 become replacement characters.
    pub fn lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.text)
    }
}

/// A list of statements, shared by everyone who includes the file it came from.
pub type Statements = Rc<[Rc<Statement>]>;

/// A directive as written: `name argument ... ;` or `name argument ... { ... }`.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The first word.
    pub name: Word,
    /// The other words.
    pub args: Vec<Word>,
    /// What stands between its braces, if it has any.
    pub body: Option<Statements>,
}

impl Statement {
    /// Where its words stand; the body is not counted in.
    pub fn span(&self) -> Span {
        let last = self.args.last().unwrap_or(&self.name);
        self.name.span.to(last.span)
    }

    /// Whether the name is `name`.
    pub fn is(&self, name: &str) -> bool {
        *self.name.text == *name.as_bytes()
    }
}

/// One file as it was read.
#[derive(Debug)]
pub struct Source {
    /// The name it was opened by; empty for the command line's `-g`.
    pub path: PathBuf,
    /// Its bytes.
    pub text: Vec<u8>,
    /// The `include` that first asked for it.
    pub included: Option<Span>,
}

/// The files of a configuration, in the order they were first opened.
#[derive(Debug, Default)]
pub struct Sources {
    files: Vec<Rc<Source>>,
}

impl Sources {
    /// Takes a file in.
    pub(super) fn add(&mut self, source: Source) -> FileId {
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        self.files.push(Rc::new(source));
        id
    }

    /// The file a span speaks of.
    pub fn file(&self, id: FileId) -> Option<&Rc<Source>> {
        self.files.get(id.0 as usize)
    }

    /// The files, in the order they were first opened.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.files.iter().map(|file| &**file)
    }

    /// The line and column a span begins at.
    pub fn position(&self, span: Span) -> Position<'_> {
        let Some(file) = self.file(span.file) else {
            return Position::unknown();
        };
        let start = (span.start as usize).min(file.text.len());
        let end = (span.end as usize).clamp(start, file.text.len());
        let before = &file.text[..start];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        Position {
            file: &file.path,
            line: memchr::memchr_iter(b'\n', before).count() + 1,
            column: String::from_utf8_lossy(&before[line_start..])
                .chars()
                .count()
                + 1,
            length: end - start,
        }
    }

    /// Whether a line ends between two words of one file.
    pub(super) fn on_different_lines(&self, before: Span, after: Span) -> bool {
        let text = self.file(before.file).map_or(&b""[..], |file| &file.text);
        let between = text.get(before.end as usize..after.start as usize);
        before.file == after.file && between.is_some_and(|bytes| bytes.contains(&b'\n'))
    }

    /// Sorts by where a reader meets a span: an included file comes where its `include` stands.
    pub(super) fn reading_order(&self, span: Span) -> Vec<u32> {
        let mut order = vec![span.start];
        let mut file = span.file;
        while let Some(include) = self.file(file).and_then(|source| source.included) {
            order.extend([file.0, include.start]);
            file = include.file;
        }
        order.push(file.0);
        order.reverse();
        order
    }

    /// What `-T` prints: every file once, under its name.
    pub fn dump(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for file in self.iter().filter(|file| !file.path.as_os_str().is_empty()) {
            out.extend_from_slice(b"# configuration file ");
            out.extend_from_slice(path_bytes(&file.path));
            out.extend_from_slice(b":\n");
            out.extend_from_slice(&file.text);
            out.push(b'\n');
        }
        out
    }
}

/// A path as the bytes the system knows it by.
pub(super) fn path_bytes(path: &Path) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())
}

/// As [`path_bytes`], of a path nobody else needs.
pub fn bytes_of(path: PathBuf) -> Vec<u8> {
    std::os::unix::ffi::OsStringExt::into_vec(path.into_os_string())
}
