//! What every location knows: files, bodies, timeouts, error pages, logs.
//!
//! The rows stand in the files of this folder, by topic; what they fill in is
//! [`Core`], which the runner and the protocols read.

pub mod body;
mod compression;
mod error_log;
mod error_pages;
mod file_cache;
mod keepalive;
mod paths;
mod sending;
mod tuned;
mod types;

#[cfg(test)]
mod tests;

use std::rc::Rc;

pub use self::body::temp_path_row;
use self::file_cache::CacheRows;
use self::paths::Mapping;
use crate::config::context::MAIN;
use crate::config::tree::bytes_of;
use crate::config::{Contexts, Directive, Finish, Module, Outcome, directive};
use crate::exchange::{Core, Template};
use crate::log::error_log::Sink;

/// Directives that hold for locations in general.
pub struct CoreModule;

/// What a block says, and what is needed until it is complete.
#[derive(Clone, Default)]
pub struct Settings {
    /// The values requests are served with.
    pub core: Rc<Core>,
    /// The block's own `root` or `alias`.
    mapping: Option<Mapping>,
    /// The lines of `error_log`.
    sinks: Vec<Sink>,
    /// `open_file_cache` and its kin.
    cache: CacheRows,
}

impl Settings {
    /// The values, to be changed: a copy of their own if another block has the same.
    fn edit(&mut self) -> &mut Core {
        Rc::make_mut(&mut self.core)
    }
}

type Row = Directive<Settings>;

const fn row(name: &'static str, contexts: u32) -> Row {
    directive(name).contexts(contexts)
}

/// A row with one argument, `on` or `off`.
const fn flag(name: &'static str, contexts: u32, default: &'static str) -> Row {
    row(name, contexts)
        .syntax("on | off")
        .default(default)
        .flag()
}

impl Module for CoreModule {
    type Settings = Settings;
    const NAME: &'static str = "core";
    const DIRECTIVES: &'static [Row] = &[];
    const GROUPS: &'static [&'static [Row]] = &[
        paths::ROWS,
        types::ROWS,
        sending::ROWS,
        sending::RESPONSES,
        body::ROWS,
        compression::ROWS,
        keepalive::ROWS,
        error_pages::ROWS,
        error_log::ROWS,
        file_cache::ROWS,
        tuned::ROWS,
    ];

    fn inherit(parent: &Rc<Settings>, _: Contexts) -> Rc<Settings> {
        let mut settings = Rc::clone(parent);
        if settings.mapping.is_some() {
            Rc::make_mut(&mut settings).mapping = None;
        }
        settings
    }

    fn finish(settings: &mut Rc<Settings>, block: &mut Finish<'_>) -> Outcome {
        if block.context().within(MAIN) {
            start(Rc::make_mut(settings), block);
        }
        if settings.cache.changed() {
            Rc::make_mut(settings).make_cache();
        }
        match settings.mapping {
            // Taken out, so that the blocks inside share these settings.
            Some(_) => Rc::make_mut(settings).finish_mapping(block),
            None => Ok(()),
        }
    }
}

/// The defaults that depend on the server's prefix.
fn start(settings: &mut Settings, block: &Finish<'_>) {
    if settings.sinks.is_empty() {
        settings.sinks.push(error_log::default_sink(block));
        settings.open_log();
    }
    let core = settings.edit();
    core.root = Template::text(bytes_of(block.resolve_prefix(b"html")));
    core.prefix = bytes_of(block.resolve_prefix(b"")).into();
    let temp_path = body::temp_path(block.resolve_prefix(b"client_body_temp"), [0; 3]);
    core.client_body_temp_path = Rc::new(temp_path);
}
