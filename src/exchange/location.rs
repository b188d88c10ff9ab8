//! A location: everything that is fixed for the requests it serves.

use std::rc::Rc;

use crate::http::Method;

use super::{Core, Evaluate, Filter, Handler, Logger, Phase};

/// How a location was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocationKind {
    /// Not written: the server block itself, for URIs no location matches.
    Server,
    /// `location /x` or `location ^~ /x`.
    Prefix,
    /// `location = /x`.
    Exact,
    /// `location ~ x` or `location ~* x`.
    Regex,
    /// `location @x`.
    Named,
    /// A block of settings for some requests of a location: `limit_except`, `if`.
    Implicit,
}

/// `limit_except`: requests with a method it does not allow are served by another location.
pub struct MethodLimit {
    /// The methods that stay.
    pub allowed: Vec<Method>,
    /// Serves all others.
    pub location: Rc<Location>,
}

/// What modules installed for a block: settings as plain values, and the plugs in their order.
pub struct Location {
    /// The name as written in the configuration, without modifier.
    pub name: Box<[u8]>,
    /// How it was written.
    pub kind: LocationKind,
    /// The settings that routing, the runner and the protocols share.
    pub core: Rc<Core>,
    /// Named groups of its pattern, and the slots of their variables.
    pub captures: Rc<[(usize, usize)]>,
    /// Whether a request for its name without the last slash is redirected to the name.
    pub auto_redirect: bool,
    /// The settings of its `if` blocks, in order.
    pub implicit: Vec<Rc<Location>>,
    /// Values of variables that its settings compute, by name ([`Get::Local`](super::Get::Local)).
    pub values: Vec<(&'static str, Rc<dyn Evaluate>)>,
    /// `limit_except`: other settings for the methods it does not name.
    pub method_limit: Option<MethodLimit>,
    handlers: [Vec<Rc<dyn Handler>>; Phase::COUNT],
    /// Turned over each response, first to last.
    pub filters: Vec<Rc<dyn Filter>>,
    /// Told of each finished exchange.
    pub loggers: Vec<Rc<dyn Logger>>,
}

impl Location {
    /// A location without plugs.
    pub fn new(name: &[u8], kind: LocationKind, core: Rc<Core>) -> Location {
        Location {
            name: name.into(),
            kind,
            core,
            captures: Rc::new([]),
            auto_redirect: false,
            implicit: Vec::new(),
            values: Vec::new(),
            method_limit: None,
            handlers: Default::default(),
            filters: Vec::new(),
            loggers: Vec::new(),
        }
    }

    /// Adds a handler behind those already there for its phase.
    pub fn add_handler(&mut self, phase: Phase, handler: Rc<dyn Handler>) {
        self.handlers[phase as usize].push(handler);
    }

    /// Whether anybody is to be asked in a phase.
    pub fn has_handlers(&self, phase: Phase) -> bool {
        !self.handlers(phase).is_empty()
    }

    /// The handlers of a phase, in the order they are asked.
    pub fn handlers(&self, phase: Phase) -> &[Rc<dyn Handler>] {
        &self.handlers[phase as usize]
    }
}
