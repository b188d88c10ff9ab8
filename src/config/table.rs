//! The tables modules write: one row a directive, and the [`Module`] trait that carries them.
//!
//! A row says everything about a directive in one place: how it is spelt, where it may stand,
//! how many arguments it takes, what it does. The loader, `rowhouse directives`, the manual
//! and the documentation all read the same rows.
//!
//! ```
//! use rowhouse::config::{Directive, Module, context::*, directive};
//!
//! #[derive(Clone, Default)]
//! pub struct Settings { sendfile: bool }
//!
//! struct Files;
//!
//! impl Module for Files {
//!     type Settings = Settings;
//!     const NAME: &'static str = "files";
//!     const DIRECTIVES: &'static [Directive<Settings>] = &[
//!         directive::<Settings>("sendfile")
//!             .syntax("on | off")
//!             .default("off")
//!             .contexts(HTTP | SERVER | LOCATION | LOCATION_IF)
//!             .flag()
//!             .doc("Sends files from the kernel's page cache, without copying.")
//!             .set(|settings, d| {
//!                 settings.sendfile = d.flag()?;
//!                 Ok(())
//!             }),
//!     ];
//! }
//! ```

use std::any::Any;
use std::rc::Rc;

use super::diagnostics::Outcome;
use super::settings;
use super::usage::{Finish, Use};
use crate::exchange::{Location, Variable};

/// The places a directive may stand in, as bits to be joined with `|`.
///
/// They are plain integers so that rows, which are constants, can write `HTTP | SERVER`;
/// everywhere else they travel as [`Contexts`].
pub mod context {
    /// Outside of all blocks.
    pub const MAIN: u32 = 1;
    /// Inside `events { }`.
    pub const EVENTS: u32 = 1 << 1;
    /// Inside `http { }`.
    pub const HTTP: u32 = 1 << 2;
    /// Inside `server { }` of `http`.
    pub const SERVER: u32 = 1 << 3;
    /// Inside `location { }`.
    pub const LOCATION: u32 = 1 << 4;
    /// Inside `if { }` of a `server`.
    pub const SERVER_IF: u32 = 1 << 5;
    /// Inside `if { }` of a `location`.
    pub const LOCATION_IF: u32 = 1 << 6;
    /// Inside `limit_except { }`.
    pub const LIMIT_EXCEPT: u32 = 1 << 7;
    /// Inside `upstream { }` of `http`.
    pub const UPSTREAM: u32 = 1 << 8;
    /// Inside `stream { }`.
    pub const STREAM: u32 = 1 << 9;
    /// Inside `server { }` of `stream`.
    pub const STREAM_SERVER: u32 = 1 << 10;
    /// Inside `upstream { }` of `stream`.
    pub const STREAM_UPSTREAM: u32 = 1 << 11;
    /// Inside `mail { }`.
    pub const MAIL: u32 = 1 << 12;
    /// Inside `server { }` of `mail`.
    pub const MAIL_SERVER: u32 = 1 << 13;

    /// The commonest set: a setting of a location and what it inherits from.
    pub const HTTP_SERVER_LOCATION: u32 = HTTP | SERVER | LOCATION;
    /// As [`HTTP_SERVER_LOCATION`], and in an `if` of a location.
    pub const HTTP_SERVER_LOCATION_IF: u32 = HTTP_SERVER_LOCATION | LOCATION_IF;

    /// Every context with its name, in the order the documentation lists them.
    pub(crate) const NAMES: &[(u32, &str)] = &[
        (MAIN, "main"),
        (EVENTS, "events"),
        (HTTP, "http"),
        (SERVER, "server"),
        (LOCATION, "location"),
        (SERVER_IF, "if in server"),
        (LOCATION_IF, "if in location"),
        (LIMIT_EXCEPT, "limit_except"),
        (UPSTREAM, "upstream"),
        (STREAM, "stream"),
        (STREAM_SERVER, "server in stream"),
        (STREAM_UPSTREAM, "upstream in stream"),
        (MAIL, "mail"),
        (MAIL_SERVER, "server in mail"),
    ];
}

/// A set of contexts; the bits are those of [`context`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Contexts(pub u32);

impl Contexts {
    /// Whether `self` and `bits` have a context in common.
    pub const fn within(self, bits: u32) -> bool {
        self.0 & bits != 0
    }

    /// The names of the contexts, as the documentation spells them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        context::NAMES
            .iter()
            .filter(move |(bit, _)| self.within(*bit))
            .map(|(_, name)| *name)
    }
}

impl std::fmt::Display for Contexts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join(", "))
    }
}

/// How many arguments a directive takes; a block's arguments are those before its `{`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arity {
    /// No arguments.
    None,
    /// This many.
    Exactly(usize),
    /// From the first to the second number, both included.
    Between(usize, usize),
    /// This many or more.
    AtLeast(usize),
    /// One argument, `on` or `off`.
    Flag,
}

impl Arity {
    /// Whether a directive of this arity may have `count` arguments.
    pub const fn accepts(self, count: usize) -> bool {
        match self {
            Arity::None => count == 0,
            Arity::Exactly(n) => count == n,
            Arity::Between(low, high) => low <= count && count <= high,
            Arity::AtLeast(n) => n <= count,
            Arity::Flag => count == 1,
        }
    }
}

/// What follows a directive's arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// `;`
    Semicolon,
    /// A block whose contents are directives of another context.
    Block(Contexts),
    /// A block whose contents are data.
    Data,
}

/// What can be said of a directive without knowing its module's settings.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The directive's name.
    pub name: &'static str,
    /// Its arguments, as the documentation writes them: `on | off`, `size ...`.
    pub syntax: &'static str,
    /// What holds when it is not given; `None` when nothing does.
    pub default: Option<&'static str>,
    /// Where it may stand.
    pub contexts: Contexts,
    /// How many arguments it takes.
    pub arity: Arity,
    /// What it does, in one sentence.
    pub doc: &'static str,
    /// What follows its arguments.
    pub ending: Ending,
    /// Whether a second use in one block is a mistake.
    pub once: bool,
    /// Whether it is accepted without having any effect here.
    pub tunes: bool,
}

/// Applies one use of a directive to the settings of its block.
pub type Apply<S> = fn(&mut S, &mut Use<'_>) -> Outcome;

/// What a directive does to its module's settings `S`.
pub enum Effect<S> {
    /// Sets a value; a second use in one block is `"x" directive is duplicate`.
    Set(Apply<S>),
    /// Adds to a list: a block's first use drops what was inherited, every use adds.
    Append {
        /// Drops what was inherited.
        reset: fn(&mut S),
        /// Adds one entry.
        add: Apply<S>,
    },
    /// May be repeated and drops nothing: `listen`, `server_name`, `env`.
    Repeat(Apply<S>),
    /// Opens a block whose children are directives of another context.
    Open {
        /// The context inside.
        inner: Contexts,
        /// Called on the surrounding block's settings, in order with its other directives.
        enter: Option<Apply<S>>,
        /// Called first of all on the settings of the opened block.
        begin: Apply<S>,
    },
    /// A block whose contents are data: [`Use::entries`] gives them.
    Raw(Apply<S>),
    /// Accepted, checked as far as its syntax is one of those [`Use::conform`] knows, without effect here.
    Tunes,
}

/// One row of a module's table: the facts and the effect.
pub struct Directive<S> {
    /// What the loader checks and the documentation shows.
    pub row: Row,
    /// What the directive does.
    pub effect: Effect<S>,
}

/// Starts a row; the settings are named once: `directive::<Settings>("sendfile")`.
///
/// Unless told otherwise a directive takes one argument, may stand nowhere, has no effect.
pub const fn directive<S>(name: &'static str) -> Directive<S> {
    Directive {
        row: Row {
            name,
            syntax: "",
            default: None,
            contexts: Contexts(0),
            arity: Arity::Exactly(1),
            doc: "",
            ending: Ending::Semicolon,
            once: false,
            tunes: true,
        },
        effect: Effect::Tunes,
    }
}

impl<S> Directive<S> {
    /// The arguments as the documentation shows them.
    pub const fn syntax(mut self, syntax: &'static str) -> Self {
        self.row.syntax = syntax;
        self
    }

    /// What holds when the directive is absent, as it would be written.
    pub const fn default(mut self, default: &'static str) -> Self {
        self.row.default = Some(default);
        self
    }

    /// Where the directive may stand: bits of [`context`].
    pub const fn contexts(mut self, bits: u32) -> Self {
        self.row.contexts = Contexts(bits);
        self
    }

    /// One sentence of documentation.
    pub const fn doc(mut self, doc: &'static str) -> Self {
        self.row.doc = doc;
        self
    }

    /// Any arity, in full.
    pub const fn arity(mut self, arity: Arity) -> Self {
        self.row.arity = arity;
        self
    }

    /// No arguments.
    pub const fn none(self) -> Self {
        self.arity(Arity::None)
    }

    /// Exactly `count` arguments.
    pub const fn takes(self, count: usize) -> Self {
        self.arity(Arity::Exactly(count))
    }

    /// From `low` to `high` arguments.
    pub const fn between(self, low: usize, high: usize) -> Self {
        self.arity(Arity::Between(low, high))
    }

    /// `count` arguments or more.
    pub const fn at_least(self, count: usize) -> Self {
        self.arity(Arity::AtLeast(count))
    }

    /// `on` or `off`.
    pub const fn flag(self) -> Self {
        self.arity(Arity::Flag)
    }

    /// See [`Effect::Set`].
    pub const fn set(self, apply: Apply<S>) -> Self {
        self.once().does(Effect::Set(apply), Ending::Semicolon)
    }

    /// See [`Effect::Append`].
    pub const fn append(self, reset: fn(&mut S), add: Apply<S>) -> Self {
        self.does(Effect::Append { reset, add }, Ending::Semicolon)
    }

    /// See [`Effect::Repeat`].
    pub const fn repeat(self, apply: Apply<S>) -> Self {
        self.does(Effect::Repeat(apply), Ending::Semicolon)
    }

    /// See [`Effect::Open`]; `inner` is one bit of [`context`].
    pub const fn open(self, inner: u32, begin: Apply<S>) -> Self {
        let inner = Contexts(inner);
        let effect = Effect::Open {
            inner,
            enter: None,
            begin,
        };
        self.does(effect, Ending::Block(inner))
    }

    /// As [`Directive::open`], with a function for the surrounding block's settings as well:
    /// there [`Use::child`] says which of the block's children the new one will be.
    pub const fn open_from(self, inner: u32, enter: Apply<S>, begin: Apply<S>) -> Self {
        let inner = Contexts(inner);
        let effect = Effect::Open {
            inner,
            enter: Some(enter),
            begin,
        };
        self.does(effect, Ending::Block(inner))
    }

    /// See [`Effect::Raw`].
    pub const fn raw(self, apply: Apply<S>) -> Self {
        self.does(Effect::Raw(apply), Ending::Data)
    }

    /// See [`Effect::Tunes`].
    pub const fn tunes(self) -> Self {
        self.once().tunes_each()
    }

    /// As [`Directive::tunes`], for what may be repeated.
    pub const fn tunes_each(mut self) -> Self {
        self.row.tunes = true;
        self.effect = Effect::Tunes;
        self
    }

    /// A second use in one block is a mistake, for a block as well (`http`, `events`).
    pub const fn once(mut self) -> Self {
        self.row.once = true;
        self
    }

    const fn does(mut self, effect: Effect<S>, ending: Ending) -> Self {
        self.row.ending = ending;
        self.row.tunes = false;
        self.effect = effect;
        self
    }
}

/// A capability as the configuration sees it: its directives and what they fill in.
pub trait Module: 'static {
    /// The module's values in one block. No two modules of a program may share this type.
    type Settings: Clone + Default + 'static;

    /// The module's name, as the documentation groups directives by it.
    const NAME: &'static str;

    /// The module's rows.
    const DIRECTIVES: &'static [Directive<Self::Settings>];

    /// All its rows, for a module whose rows stand in several files.
    const GROUPS: &'static [&'static [Directive<Self::Settings>]] = &[Self::DIRECTIVES];

    /// The variables it brings along.
    const VARIABLES: &'static [Variable] = &[];

    /// All its variables, for a module whose rows stand in several files.
    const VARIABLE_GROUPS: &'static [&'static [Variable]] = &[Self::VARIABLES];

    /// Puts its handlers, filters and loggers into the location made for a block, which share
    /// the block's settings. Modules are asked in the order of their list.
    fn install(settings: &Rc<Self::Settings>, location: &mut Location) {
        let _ = (settings, location);
    }

    /// What a block starts with: by default all its parent has. For values that must not be
    /// inherited, such as a rewrite program. `child` is the context of the new block.
    fn inherit(parent: &Rc<Self::Settings>, child: Contexts) -> Rc<Self::Settings> {
        let _ = child;
        Rc::clone(parent)
    }

    /// Called once for every block when its own directives are done and its children are not
    /// yet made: the place for cross-checks. Use [`Rc::make_mut`] to change a value.
    fn finish(settings: &mut Rc<Self::Settings>, block: &mut Finish<'_>) -> Outcome {
        let _ = (settings, block);
        Ok(())
    }
}

/// Which part of an [`Effect::Open`] is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The directive as one of its own block.
    Own,
    /// The beginning of the block it opens.
    Begin,
}

/// What a block starts with of settings that only an `if` shares with its location: for handlers
/// of content. To be called by [`Module::inherit`].
pub fn shared_with_if<S: Default>(parent: &Rc<S>, child: Contexts) -> Rc<S> {
    match child.within(context::LOCATION_IF) {
        true => Rc::clone(parent),
        false => Rc::default(),
    }
}

/// A module's settings in one block, their type hidden.
type Erased = Rc<dyn Any>;

/// A module whose settings' type is hidden, so that modules fit in one list.
///
/// Functions side by side rather than a trait object: so those of all modules lie together in the
/// program, and to start does not touch a page of each.
pub struct AnyModule {
    /// [`Module::NAME`].
    pub name: &'static str,
    /// Its variables, [`Module::VARIABLE_GROUPS`].
    pub variables: &'static [&'static [Variable]],
    /// The [`mark`]s of all its rows.
    marks: u64,
    rows: fn() -> Vec<&'static Row>,
    rows_named: fn(&[u8]) -> Vec<(usize, &'static Row)>,
    start: fn() -> Erased,
    inherit: fn(&Erased, Contexts) -> Erased,
    apply: fn(usize, Stage, &mut Erased, &mut Use<'_>) -> Outcome,
    finish: fn(Erased, &mut Finish<'_>) -> (Erased, Outcome),
    install: fn(&Erased, &mut Location),
}

impl AnyModule {
    /// The module `M`, for a list.
    pub const fn of<M: Module>() -> Self {
        Self {
            name: M::NAME,
            variables: M::VARIABLE_GROUPS,
            marks: marks(M::GROUPS),
            rows: rows::<M>,
            rows_named: rows_named::<M>,
            start: start::<M>,
            inherit: inherit::<M>,
            apply: apply::<M>,
            finish: finish::<M>,
            install: install::<M>,
        }
    }

    /// The facts of [`Module::DIRECTIVES`], in the same order.
    pub fn rows(&self) -> Vec<&'static Row> {
        (self.rows)()
    }

    /// Those of them with this name, each with its number.
    pub fn rows_named(&self, name: &[u8]) -> Vec<(usize, &'static Row)> {
        match self.marks & mark(name) {
            0 => Vec::new(),
            _ => (self.rows_named)(name),
        }
    }

    /// What the outermost block starts with.
    pub fn start(&self) -> Erased {
        (self.start)()
    }

    /// [`Module::inherit`].
    pub fn inherit(&self, parent: &Erased, child: Contexts) -> Erased {
        (self.inherit)(parent, child)
    }

    /// Applies a use of the row numbered `row`.
    pub fn apply(&self, row: usize, stage: Stage, slot: &mut Erased, d: &mut Use<'_>) -> Outcome {
        (self.apply)(row, stage, slot, d)
    }

    /// [`Module::finish`].
    pub fn finish(&self, settings: Erased, block: &mut Finish<'_>) -> (Erased, Outcome) {
        (self.finish)(settings, block)
    }

    /// Puts what a block's settings say into the location made for it.
    pub fn install(&self, settings: &Erased, location: &mut Location) {
        (self.install)(settings, location);
    }
}

/// One bit of 64 for a name. A name whose bit none of a module's rows has is none of theirs, which
/// spares most searches.
const fn mark(name: &[u8]) -> u64 {
    match name {
        [first, .., last] => 1 << ((first.wrapping_mul(7) ^ *last ^ name.len() as u8) % 64),
        _ => 1,
    }
}

/// The bits of all rows.
const fn marks<S>(mut groups: &[&[Directive<S>]]) -> u64 {
    let mut marks = 0;
    while let &[mut rows, ref rest @ ..] = groups {
        groups = rest;
        while let [directive, rest @ ..] = rows {
            rows = rest;
            marks |= mark(directive.row.name.as_bytes());
        }
    }
    marks
}

fn rows<M: Module>() -> Vec<&'static Row> {
    let directives = M::GROUPS.iter().copied().flatten();
    directives.map(|directive| &directive.row).collect()
}

fn rows_named<M: Module>(name: &[u8]) -> Vec<(usize, &'static Row)> {
    let rows = M::GROUPS.iter().copied().flatten().map(|d| &d.row);
    rows.enumerate()
        .filter(|(_, row)| row.name.as_bytes() == name)
        .collect()
}

fn start<M: Module>() -> Erased {
    Rc::new(M::Settings::default())
}

fn inherit<M: Module>(parent: &Erased, child: Contexts) -> Erased {
    M::inherit(&settings::typed(Rc::clone(parent)), child)
}

fn apply<M: Module>(row: usize, stage: Stage, slot: &mut Erased, d: &mut Use<'_>) -> Outcome {
    let Some(directive) = M::GROUPS.iter().copied().flatten().nth(row) else {
        return Ok(());
    };
    let mut run = |apply: &Apply<M::Settings>| settings::edit(slot, |s| apply(s, d));
    match (&directive.effect, stage) {
        (Effect::Set(apply) | Effect::Repeat(apply) | Effect::Raw(apply), _) => run(apply),
        (Effect::Open { begin, .. }, Stage::Begin) => run(begin),
        (Effect::Open { enter, .. }, Stage::Own) => enter.as_ref().map_or(Ok(()), run),
        (Effect::Append { reset, add }, _) => settings::edit(slot, |s| {
            if d.first() {
                reset(s);
            }
            add(s, d)
        }),
        (Effect::Tunes, _) => d.conform(directive.row.syntax),
    }
}

fn finish<M: Module>(settings: Erased, block: &mut Finish<'_>) -> (Erased, Outcome) {
    let mut settings = settings::typed(settings);
    let outcome = M::finish(&mut settings, block);
    (settings, outcome)
}

fn install<M: Module>(settings: &Erased, location: &mut Location) {
    M::install(&settings::typed(Rc::clone(settings)), location);
}
