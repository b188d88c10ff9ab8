//! The configuration language: grammar, tree, directive tables, loader, diagnostics.
//!
//! The way of a configuration: [`grammar`] (or [`toml`]) turns bytes into [`tree`] statements
//! with positions, the includes splice files into one another, and [`mod@load`] checks every
//! statement against the rows of [`table`] and lets the rows' modules fill in their settings.
//! Nothing here knows any module: a capability brings its rows along.

pub mod diagnostics;
mod glob;
pub mod grammar;
mod include;
pub mod load;
mod media_types;
mod pattern;
pub mod reference;
mod settings;
mod suggest;
pub mod table;
pub mod toml;
pub mod tree;
pub mod units;
mod usage;

pub use diagnostics::{Diagnostics, Mistake, Outcome, Position, Severity};
pub use load::{Block, Configuration, Options, load, load_text};
pub use settings::SettingsSet;
pub use table::{
    AnyModule, Arity, Contexts, Directive, Effect, Module, Row, context, directive, shared_with_if,
};
pub use tree::{Span, Statement, Word};
pub use usage::{Finish, Use};

#[cfg(test)]
mod tests;
