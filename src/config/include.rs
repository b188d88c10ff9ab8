//! Reads configuration files and splices included ones in.
//!
//! A file is read and parsed once, however often it is included; everyone who includes it
//! shares its statements.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::diagnostics::Mistake;
use super::glob;
use super::grammar::{self, Origin};
use super::toml;
use super::tree::{FileId, Source, Sources, Span, Statement, Statements};
use super::usage::{Use, World, full_name};

/// How many files may include each other in a row.
const MAX_CHAIN: usize = 64;

/// The longest file that is read, so that offsets fit 32 bits.
const MAX_LENGTH: u64 = 1 << 30;

/// Reads files into one list of statements.
pub(super) struct Reader<'a> {
    world: &'a World,
    sources: Sources,
    known: HashMap<PathBuf, Statements>,
    chain: Vec<PathBuf>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(world: &'a World) -> Self {
        Self {
            world,
            sources: Sources::default(),
            known: HashMap::new(),
            chain: Vec::new(),
        }
    }

    /// The files that were read.
    pub(super) fn finish(self) -> Sources {
        self.sources
    }

    /// The statements of a file. What is wrong with it goes to the world's findings.
    pub(super) fn file(&mut self, path: &Path, include: Option<Span>) -> Statements {
        if let Some(known) = self.known.get(path) {
            return Rc::clone(known);
        }
        let mistake = match self.obstacle(path) {
            Some(message) => message,
            None => match read(path) {
                Ok(text) => return self.text(path, text, Origin::File, include),
                Err(message) => message,
            },
        };
        self.world.report(Mistake::emerg(include, mistake));
        Rc::new([])
    }

    /// The statements of a text that is already in memory.
    pub(super) fn text(
        &mut self,
        path: &Path,
        text: Vec<u8>,
        origin: Origin,
        included: Option<Span>,
    ) -> Statements {
        let file = self.sources.add(Source {
            path: path.to_owned(),
            text,
            included,
        });
        let (statements, mistakes) = self.parse(file, origin);
        self.world.found.borrow_mut().extend(mistakes);
        self.chain.push(path.to_owned());
        let statements = self.expand(statements);
        self.chain.pop();
        if origin == Origin::File {
            self.known.insert(path.to_owned(), Rc::clone(&statements));
        }
        statements
    }

    fn parse(&self, file: FileId, origin: Origin) -> (Statements, Vec<Mistake>) {
        match self.sources.file(file) {
            Some(source) if is_toml(&source.path) => toml::parse(file, &source.text),
            Some(source) => grammar::parse(file, &source.text, origin),
            None => (Rc::new([]), Vec::new()),
        }
    }

    /// Why a file cannot be included here, apart from what the system says.
    fn obstacle(&self, path: &Path) -> Option<String> {
        let shown = path.display();
        if let Some(from) = self.chain.iter().position(|open| open == path) {
            let chain = self.chain[from..].iter();
            let chain: String = chain
                .map(|file| format!("{} -> ", file.display()))
                .collect();
            return Some(format!(
                "\"include\" directive makes a cycle: {chain}{shown}"
            ));
        }
        (self.chain.len() >= MAX_CHAIN)
            .then(|| format!("\"include\" of \"{shown}\" is more than {MAX_CHAIN} files deep"))
    }

    /// Replaces every `include` by what it stands for, in blocks as well.
    fn expand(&mut self, statements: Statements) -> Statements {
        if !statements.iter().any(|statement| has_include(statement)) {
            return statements;
        }
        let mut expanded = Vec::with_capacity(statements.len());
        for statement in statements.iter() {
            if is_include(statement) {
                self.include(statement, &mut expanded);
            } else if let Some(body) = statement.body.as_ref().filter(|_| has_include(statement)) {
                expanded.push(Rc::new(Statement {
                    name: statement.name.clone(),
                    args: statement.args.clone(),
                    body: Some(self.expand(Rc::clone(body))),
                }));
            } else {
                expanded.push(Rc::clone(statement));
            }
        }
        expanded.into()
    }

    fn include(&mut self, statement: &Statement, into: &mut Vec<Rc<Statement>>) {
        let message = match (&statement.args[..], &statement.body) {
            ([argument], None) => {
                let full = full_name(&self.world.conf_prefix, &argument.text);
                let files = match glob::is_pattern(super::tree::path_bytes(&full)) {
                    true => glob::expand(&full),
                    false => vec![full],
                };
                for file in files {
                    into.extend_from_slice(&self.file(&file, Some(argument.span)));
                }
                return;
            }
            (_, Some(_)) => "directive \"include\" is not terminated by \";\"",
            _ => "invalid number of arguments in \"include\" directive",
        };
        self.world.report(Mistake::emerg(statement.span(), message));
    }
}

fn is_toml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "toml")
}

fn is_include(statement: &Statement) -> bool {
    statement.is("include")
}

fn has_include(statement: &Statement) -> bool {
    let body = statement.body.as_deref().unwrap_or_default();
    is_include(statement) || body.iter().any(|inner| has_include(inner))
}

impl Use<'_> {
    /// The bytes of the file argument `i` names, relative to the main configuration file.
    pub fn content_of(&self, i: usize) -> Result<Vec<u8>, Mistake> {
        read(&self.path(i)).map_err(|message| self.mistake(i, message))
    }
}

/// A file's bytes, or nginx's words for why there are none.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |call: &str, error: &io::Error| {
        format!("{call}() \"{}\" failed ({})", path.display(), reason(error))
    };
    let file = File::open(path).map_err(|error| failed("open", &error))?;
    // With room for all of it and one byte to spare, the end is found without asking often.
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let mut text = Vec::with_capacity(usize::try_from(length.min(MAX_LENGTH)).unwrap_or(0) + 1);
    file.take(MAX_LENGTH + 1)
        .read_to_end(&mut text)
        .map_err(|error| failed("read", &error))?;
    if text.len() as u64 > MAX_LENGTH {
        return Err(format!("\"{}\" is too large", path.display()));
    }
    Ok(text)
}

/// A system error as nginx writes it: `2: No such file or directory`.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or(&text);
    match error.raw_os_error() {
        Some(number) => format!("{number}: {words}"),
        None => words.to_owned(),
    }
}
