//! One open file, or the folder or error found in its place.

use std::cell::{Cell, OnceCell};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use super::Want;
use crate::http::{Entity, MimeTypes, Text, mime};
use crate::sys::errno;
use crate::sys::fs::{self, Flags, Stat};
use crate::sys::mapping::Mapping;

/// Whether symbolic links on the way to a file are followed (`disable_symlinks`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SymlinkMode {
    /// All are.
    #[default]
    Follow,
    /// Only some are, or none.
    Check(fs::Symlinks),
}

/// `disable_symlinks`, ready for one path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Symlinks {
    /// Which links are followed.
    pub mode: SymlinkMode,
    /// How many bytes at the start of the path are not checked.
    pub from: usize,
}

/// Why a file could not be had, and the system call that said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// Such as `open()`.
    pub call: &'static str,
    /// The `errno` value.
    pub errno: i32,
}

impl FileError {
    pub(super) fn new(call: &'static str, error: &io::Error) -> FileError {
        FileError {
            call,
            errno: error.raw_os_error().unwrap_or(0),
        }
    }

    /// Whether nothing is there.
    pub fn is_not_found(&self) -> bool {
        matches!(
            self.errno,
            errno::ENOENT | errno::ENOTDIR | errno::ENAMETOOLONG
        )
    }

    /// Whether something is there that may not be read.
    pub fn is_denied(&self) -> bool {
        matches!(self.errno, errno::EACCES | errno::ELOOP | errno::EMLINK)
    }

    /// As the standard library's error.
    pub fn io(&self) -> io::Error {
        io::Error::from_raw_os_error(self.errno)
    }
}

/// A file as it was when it was looked up.
#[derive(Debug)]
pub struct OpenFile {
    /// What `stat` said.
    pub stat: Stat,
    fd: Option<OwnedFd>,
    content: OnceCell<Remembered>,
    mapping: OnceCell<Option<Mapping>>,
    description: OnceCell<Description>,
}

/// What a location's settings and the path asked for have to do with what is said of a file.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The media types by extension.
    pub types: &'a Rc<MimeTypes>,
    /// That of all other files (`default_type`); empty: none.
    pub default_type: &'a Rc<[u8]>,
    /// The path asked for.
    pub path: &'a [u8],
    /// Whether there is an entity tag.
    pub tagged: bool,
}

impl<'a> Terms<'a> {
    /// The file's media type.
    pub fn media_type(&self) -> Option<&'a Rc<[u8]>> {
        let found = self.types.by_path(self.path).unwrap_or(self.default_type);
        (!found.is_empty()).then_some(found)
    }
}

/// What is said of a file, and on which terms.
#[derive(Debug)]
struct Description {
    entity: Entity,
    types: Rc<MimeTypes>,
    default_type: Rc<[u8]>,
    extension: Option<Box<[u8]>>,
    tagged: bool,
}

impl Description {
    fn new(stat: &Stat, terms: &Terms<'_>) -> Description {
        Description {
            entity: entity(stat, terms),
            types: Rc::clone(terms.types),
            default_type: Rc::clone(terms.default_type),
            extension: mime::extension(terms.path).map(Box::from),
            tagged: terms.tagged,
        }
    }

    /// Whether the same is said on these terms.
    fn serves(&self, terms: &Terms<'_>) -> bool {
        Rc::ptr_eq(&self.types, terms.types)
            && Rc::ptr_eq(&self.default_type, terms.default_type)
            && self.tagged == terms.tagged
            && self.extension.as_deref() == mime::extension(terms.path)
    }
}

fn entity(stat: &Stat, terms: &Terms<'_>) -> Entity {
    let media_type = terms.media_type().cloned().map(Text::Shared);
    Entity::of_file(media_type, stat.mtime, stat.size, terms.tagged)
}

impl OpenFile {
    fn new(stat: Stat, fd: Option<OwnedFd>) -> OpenFile {
        OpenFile {
            stat,
            fd,
            content: OnceCell::new(),
            mapping: OnceCell::new(),
            description: OnceCell::new(),
        }
    }

    /// Looks `path` up; folders and other irregular files are described but not kept open.
    pub(super) fn look_up(
        path: &[u8],
        want: Want,
        symlinks: Symlinks,
    ) -> Result<OpenFile, FileError> {
        if want == Want::Info && symlinks.mode == SymlinkMode::Follow {
            let stat = fs::stat(path).map_err(|error| FileError::new("stat()", &error))?;
            return Ok(OpenFile::new(stat, None));
        }
        let fd = match symlinks.mode {
            SymlinkMode::Follow => {
                fs::open(path, Flags::READ).map_err(|error| FileError::new("open()", &error))
            }
            SymlinkMode::Check(links) => {
                fs::open_no_symlinks(path, symlinks.from, links, Flags::READ)
                    .map_err(|error| FileError::new("openat()", &error))
            }
        }?;
        let stat = fs::fstat(fd.as_fd()).map_err(|error| FileError::new("fstat()", &error))?;
        let fd = Some(fd).filter(|_| stat.is_file());
        Ok(OpenFile::new(stat, fd))
    }

    /// The descriptor, if it is a regular file that was opened.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }

    /// The same without its descriptor.
    pub(super) fn closed(&self) -> OpenFile {
        OpenFile::new(self.stat, None)
    }

    /// Whether it serves what is wanted.
    pub(super) fn serves(&self, want: Want) -> bool {
        want == Want::Info || self.fd.is_some() || !self.stat.is_file()
    }

    /// The whole content, if it was remembered.
    pub fn content(&self) -> Option<&Rc<[u8]>> {
        self.content.get().map(|content| &content.0)
    }

    /// Remembers the whole content, as long as there is room for more.
    pub fn remember(&self, content: &[u8]) {
        if REMEMBERED.get() + content.len() <= MAX_REMEMBERED {
            self.content.get_or_init(|| Remembered::new(content));
        }
    }

    /// What responses say of it. Made once, as long as those who ask agree on the terms.
    pub fn entity(&self, terms: &Terms<'_>) -> Entity {
        let make = || Description::new(&self.stat, terms);
        let known = self.description.get_or_init(make);
        match known.serves(terms) {
            true => known.entity.clone(),
            false => entity(&self.stat, terms),
        }
    }

    /// The file in memory, from which it can be sent; `None` if it can't be mapped.
    pub fn mapping(&self) -> Option<&Mapping> {
        let map = || Mapping::new(self.fd()?, self.stat.size).ok();
        self.mapping.get_or_init(map).as_ref()
    }
}

/// How many bytes of contents a worker remembers at most.
const MAX_REMEMBERED: usize = 16 << 20;

thread_local! {
    /// How many it does.
    static REMEMBERED: Cell<usize> = const { Cell::new(0) };
}

/// A file's content, which counts as long as it is kept.
#[derive(Debug)]
struct Remembered(Rc<[u8]>);

impl Remembered {
    fn new(content: &[u8]) -> Remembered {
        REMEMBERED.set(REMEMBERED.get() + content.len());
        Remembered(content.into())
    }
}

impl Drop for Remembered {
    fn drop(&mut self) {
        REMEMBERED.set(REMEMBERED.get() - self.0.len());
    }
}
