//! Checks statements against the modules' rows and lets the rows fill in settings.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::diagnostics::{Diagnostics, Mistake};
use super::grammar::Origin;
use super::include::Reader;
use super::settings::SettingsSet;
use super::suggest;
use super::table::{AnyModule, Contexts, Ending, Module, Row, Stage, context};
use super::tree::{Sources, Span, Statement, Word};
use super::usage::{Finish, Use, World};
use crate::exchange::{Names, Zones};
use crate::log::open_files::LogFiles;

/// What a configuration is read with.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What relative paths are relative to (`-p`).
    pub prefix: PathBuf,
    /// What `include` and certificates are relative to: the directory of the main file.
    pub conf_prefix: PathBuf,
    /// Directives to be read before the main file (`-g`).
    pub globals: Vec<u8>,
    /// The main error log when the configuration names none (`-e`): a path, or `stderr`. Empty is
    /// the default.
    pub error_log: Vec<u8>,
}

/// A block with everything that holds in it.
pub struct Block {
    /// The context inside.
    pub context: Contexts,
    /// The directive that opens it; `None` for the outermost.
    pub statement: Option<Rc<Statement>>,
    /// What every module has to say here.
    pub settings: SettingsSet,
    /// The blocks inside, in order.
    pub children: Vec<Block>,
}

impl Block {
    /// The name of the directive that opens it; empty for the outermost.
    pub fn name(&self) -> &[u8] {
        let statement = self.statement.as_deref();
        statement.map_or(b"", |statement| &statement.name.text)
    }

    /// The arguments before its `{`.
    pub fn args(&self) -> &[Word] {
        let statement = self.statement.as_deref();
        statement.map_or(&[], |statement| &statement.args)
    }

    /// Where it begins; `None` for the outermost.
    pub fn span(&self) -> Option<Span> {
        self.statement.as_deref().map(Statement::span)
    }

    /// The settings of module `M` in this block.
    pub fn settings<M: Module>(&self) -> Rc<M::Settings> {
        self.settings.of::<M>()
    }

    /// The children that `bits` of [`context`] name.
    pub fn within(&self, bits: u32) -> impl Iterator<Item = &Block> {
        self.children
            .iter()
            .filter(move |child| child.context.within(bits))
    }
}

/// A configuration that can be used.
pub struct Configuration {
    /// The outermost block.
    pub root: Block,
    /// All variables.
    pub variables: Rc<Names>,
    /// The log files it names.
    pub logs: Rc<LogFiles>,
    /// The memory its workers share.
    pub zones: Rc<Zones>,
    /// What was found that does not keep it from being used.
    pub warnings: Diagnostics,
    sources: Rc<Sources>,
}

impl Configuration {
    /// The files it was read from.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Makes mistakes found later, by whoever builds on the settings, fit to be shown.
    pub fn diagnose(&self, mistakes: Vec<Mistake>) -> Diagnostics {
        Diagnostics::new(mistakes, Rc::clone(&self.sources))
    }
}

/// Reads and checks the configuration in the file `main`.
///
/// # Errors
/// Everything that is wrong with it, and whatever else was found, in reading order.
pub fn load(
    modules: &[AnyModule],
    main: &Path,
    options: &Options,
) -> Result<Configuration, Diagnostics> {
    load_with(modules, options, |reader| reader.file(main, None))
}

/// As [`load`], with the text of the main file in memory; `name` is what messages call it.
///
/// # Errors
/// As [`load`].
pub fn load_text(
    modules: &[AnyModule],
    name: &Path,
    text: &[u8],
    options: &Options,
) -> Result<Configuration, Diagnostics> {
    load_with(modules, options, |reader| {
        reader.text(name, text.to_vec(), Origin::File, None)
    })
}

fn load_with(
    modules: &[AnyModule],
    options: &Options,
    main: impl FnOnce(&mut Reader<'_>) -> super::tree::Statements,
) -> Result<Configuration, Diagnostics> {
    let world = World {
        prefix: options.prefix.clone(),
        conf_prefix: options.conf_prefix.clone(),
        error_log: options.error_log.clone(),
        found: RefCell::default(),
        names: RefCell::new(Names::new(
            modules
                .iter()
                .flat_map(|module| module.variables.iter().copied().flatten()),
        )),
        used: RefCell::default(),
        logs: Rc::default(),
        zones: Rc::default(),
        zones_used: RefCell::default(),
    };
    let mut reader = Reader::new(&world);
    let globals = options.globals.clone();
    let mut statements = Vec::new();
    if !globals.is_empty() {
        let globals = reader.text(Path::new(""), globals, Origin::CommandLine, None);
        statements.extend_from_slice(&globals);
    }
    statements.extend_from_slice(&main(&mut reader));
    let sources = Rc::new(reader.finish());
    let loader = Loader::new(modules, &world, &sources);
    let root = loader.block(
        SettingsSet::start(modules),
        None,
        Contexts(context::MAIN),
        &statements,
    );
    world.resolve_variables();
    world.check_zones();
    let found = Diagnostics::new(world.found.into_inner(), Rc::clone(&sources));
    match found.fatal() {
        true => Err(found),
        false => Ok(Configuration {
            root,
            variables: Rc::new(world.names.into_inner()),
            logs: world.logs,
            zones: world.zones,
            warnings: found,
            sources,
        }),
    }
}

/// A row, and whose it is.
#[derive(Clone, Copy)]
struct Entry {
    module: usize,
    number: usize,
    row: &'static Row,
}

/// Rows by their name.
type Named = HashMap<Box<[u8]>, Rc<[Entry]>>;

struct Loader<'a> {
    modules: &'a [AnyModule],
    world: &'a World,
    sources: &'a Sources,
    /// Those of the names that were looked for: of some five hundred, a configuration uses few.
    known: RefCell<Named>,
}

/// A block that is yet to be read, once its surroundings are complete.
struct Opened<'a> {
    entry: Entry,
    inner: Contexts,
    statement: &'a Rc<Statement>,
}

impl<'a> Loader<'a> {
    fn new(modules: &'a [AnyModule], world: &'a World, sources: &'a Sources) -> Self {
        Self {
            modules,
            world,
            sources,
            known: RefCell::default(),
        }
    }

    /// The rows of that name: one, or some for different contexts.
    fn rows(&self, name: &[u8]) -> Rc<[Entry]> {
        if let Some(rows) = self.known.borrow().get(name) {
            return Rc::clone(rows);
        }
        let modules = self.modules.iter().enumerate();
        let rows = modules.flat_map(|(module, any)| {
            let rows = any.rows_named(name).into_iter();
            rows.map(move |(number, row)| Entry {
                module,
                number,
                row,
            })
        });
        let rows: Rc<[Entry]> = rows.collect();
        let mut known = self.known.borrow_mut();
        known.insert(name.into(), Rc::clone(&rows));
        rows
    }

    /// Reads one block: its own directives first, then the blocks inside, each of which starts
    /// from the finished settings of this one. A block with mistakes is not finished: what is
    /// missing there may be what was mistaken.
    fn block(
        &self,
        mut settings: SettingsSet,
        opener: Option<&Rc<Statement>>,
        context: Contexts,
        statements: &[Rc<Statement>],
    ) -> Block {
        // Outside all blocks, what is missing may be in a file that could not be read.
        let before = opener.map_or(0, |_| self.world.count());
        let opened = self.own(&mut settings, context, statements);
        if !self.world.spoilt_since(before) {
            self.finish(&mut settings, opener, context);
        }
        let children = opened.iter().map(|child| self.child(&settings, child));
        Block {
            context,
            statement: opener.map(Rc::clone),
            children: children.collect(),
            settings,
        }
    }

    /// Applies a block's own directives; what they open is returned.
    fn own<'s>(
        &self,
        settings: &mut SettingsSet,
        context: Contexts,
        statements: &'s [Rc<Statement>],
    ) -> Vec<Opened<'s>> {
        let mut seen: Vec<(*const Row, Span)> = Vec::new();
        let mut opened = Vec::new();
        for statement in statements {
            let entry = match self.find(statement, context) {
                Ok(entry) => entry,
                Err(mistake) => {
                    self.world.report(mistake);
                    self.look_inside(settings, statement);
                    continue;
                }
            };
            let row: *const Row = entry.row;
            let earlier = seen.iter().find(|(known, _)| *known == row);
            let earlier = earlier.map(|(_, span)| *span);
            let mut d = self.usage(statement, context);
            (d.first, d.child) = (earlier.is_none(), opened.len());
            if let Err(mistake) = self.one(&entry, settings, &mut d, earlier) {
                self.world.report(self.advise(mistake, statement, context));
            }
            if earlier.is_none() {
                seen.push((row, statement.span()));
            }
            if let (Ending::Block(inner), Some(_)) = (entry.row.ending, &statement.body) {
                opened.push(Opened {
                    entry,
                    inner,
                    statement,
                });
            }
        }
        opened
    }

    /// Checks and applies one use; `earlier` is where the block has the directive already.
    fn one(
        &self,
        entry: &Entry,
        settings: &mut SettingsSet,
        d: &mut Use<'_>,
        earlier: Option<Span>,
    ) -> super::Outcome {
        check(entry, d.statement)?;
        match earlier {
            Some(span) if entry.row.once => Err(duplicate(d, span)),
            _ => self.apply(entry, Stage::Own, settings, d),
        }
    }

    /// Most directives with a wrong argument that is a directive's name on a line of its own
    /// lack the `;` before it.
    fn advise(&self, mistake: Mistake, statement: &Statement, context: Contexts) -> Mistake {
        let words = std::iter::once(&statement.name).chain(&statement.args);
        let swallowed = words.zip(&statement.args).find(|(before, word)| {
            self.rows(&word.text)
                .iter()
                .any(|entry| entry.row.contexts.within(context.0))
                && self.sources.on_different_lines(before.span, word.span)
        });
        match swallowed {
            Some((before, _)) => mistake.related(before.span, "a \";\" may be missing after this"),
            None => mistake,
        }
    }

    fn child(&self, parent: &SettingsSet, opened: &Opened<'_>) -> Block {
        let Opened {
            entry,
            inner,
            statement,
        } = opened;
        let mut settings = parent.inherit(self.modules, *inner);
        if entry.row.arity.accepts(statement.args.len()) {
            let mut d = self.usage(statement, *inner);
            self.report(self.apply(entry, Stage::Begin, &mut settings, &mut d));
        }
        let body = statement.body.as_deref().unwrap_or_default();
        self.block(settings, Some(statement), *inner, body)
    }

    /// A block in the wrong place is still checked inside, as what it would be elsewhere.
    fn look_inside(&self, settings: &SettingsSet, statement: &Rc<Statement>) {
        let rows = self.rows(&statement.name.text);
        let mut blocks = rows.iter().filter_map(|entry| match entry.row.ending {
            Ending::Block(inner) => Some((*entry, inner)),
            _ => None,
        });
        if let (Some((entry, inner)), Some(_)) = (blocks.next(), &statement.body) {
            let opened = Opened {
                entry,
                inner,
                statement,
            };
            self.child(settings, &opened);
        }
    }

    fn usage<'s>(&'s self, statement: &'s Statement, context: Contexts) -> Use<'s> {
        Use {
            statement,
            context,
            first: true,
            child: 0,
            world: self.world,
        }
    }

    fn report(&self, outcome: super::Outcome) {
        if let Err(mistake) = outcome {
            self.world.report(mistake);
        }
    }

    fn apply(
        &self,
        entry: &Entry,
        stage: Stage,
        settings: &mut SettingsSet,
        d: &mut Use<'_>,
    ) -> super::Outcome {
        match (self.modules.get(entry.module), settings.slot(entry.module)) {
            (Some(module), Some(slot)) => module.apply(entry.number, stage, slot, d),
            _ => Ok(()),
        }
    }

    fn finish(
        &self,
        settings: &mut SettingsSet,
        opener: Option<&Rc<Statement>>,
        context: Contexts,
    ) {
        let empty: Rc<dyn std::any::Any> = Rc::new(());
        for (i, module) in self.modules.iter().enumerate() {
            let Some(own) = settings.swap(i, Rc::clone(&empty)) else {
                continue;
            };
            let mut block = Finish {
                statement: opener.map(|statement| &**statement),
                context,
                settings,
                world: self.world,
            };
            let (own, outcome) = module.finish(own, &mut block);
            settings.swap(i, own);
            self.report(outcome);
        }
    }

    /// The row for a statement in a context, or why there is none.
    fn find(&self, statement: &Statement, context: Contexts) -> Result<Entry, Mistake> {
        let rows = self.rows(&statement.name.text);
        let here = rows
            .iter()
            .find(|entry| entry.row.contexts.within(context.0));
        here.copied()
            .ok_or_else(|| self.misplaced(statement, &rows, context))
    }

    /// What is wrong with a statement that has none of `rows` in this context.
    fn misplaced(&self, statement: &Statement, rows: &[Entry], context: Contexts) -> Mistake {
        let name = statement.name.lossy();
        if rows.is_empty() {
            let mistake =
                Mistake::emerg(statement.name.span, format!("unknown directive \"{name}\""));
            return match suggest::nearest(&name, self.names(context)) {
                Some(near) => mistake.help(format!("did you mean \"{near}\"?")),
                None => mistake,
            };
        }
        let contexts = rows.iter().fold(0, |sum, entry| sum | entry.row.contexts.0);
        let message = format!("\"{name}\" directive is not allowed here");
        Mistake::emerg(statement.name.span, message)
            .help(format!("it belongs in: {}", Contexts(contexts)))
    }

    /// The directives of a context.
    fn names(&self, context: Contexts) -> impl Iterator<Item = &'static str> {
        let rows = self.modules.iter().flat_map(|module| module.rows());
        rows.filter(move |row| row.contexts.within(context.0))
            .map(|row| row.name)
    }
}

/// Whether a statement has the form its row asks for.
fn check(entry: &Entry, statement: &Statement) -> super::Outcome {
    let name = entry.row.name;
    let message = match (entry.row.ending, &statement.body) {
        (Ending::Semicolon, Some(_)) => format!("directive \"{name}\" is not terminated by \";\""),
        (Ending::Block(_) | Ending::Data, None) => {
            format!("directive \"{name}\" has no opening \"{{\"")
        }
        _ if !entry.row.arity.accepts(statement.args.len()) => {
            format!("invalid number of arguments in \"{name}\" directive")
        }
        (Ending::Data, Some(body)) => return check_data(body),
        _ => return Ok(()),
    };
    Err(Mistake::emerg(statement.span(), message))
}

/// A data block holds no blocks.
fn check_data(body: &[Rc<Statement>]) -> super::Outcome {
    match body.iter().find(|entry| entry.body.is_some()) {
        Some(entry) => Err(Mistake::emerg(entry.span(), "unexpected \"{\"")),
        None => Ok(()),
    }
}

fn duplicate(d: &Use<'_>, earlier: Span) -> Mistake {
    let message = format!("\"{}\" directive is duplicate", d.statement.name.lossy());
    Mistake::emerg(d.statement.span(), message).related(earlier, "first given here")
}
