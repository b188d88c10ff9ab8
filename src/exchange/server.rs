//! A virtual host: the names it answers to are routing's; this is what it does.

use std::rc::Rc;
use std::time::Duration;

use super::{Location, Names};
use crate::proto::h1::limits::HeadOptions;
use crate::routing::locations::Locations;

/// One `server` block.
pub struct VirtualHost {
    /// The first server name, as `$server_name` shows it.
    pub name: Box<[u8]>,
    /// Settings of the server itself.
    pub settings: ServerSettings,
    /// Serves what no location matches, and runs the server rewrite phase.
    pub base: Rc<Location>,
    /// Its locations.
    pub locations: Locations<Rc<Location>>,
    /// The variables its regex names set: for each, groups and the slots they go to.
    pub captures: Vec<Vec<(usize, usize)>>,
    /// The slots a request needs for variables set on the way.
    pub slots: usize,
    /// All variables, for what meets their names in requests only.
    pub variables: Rc<Names>,
}

/// What a server block fixes before a location is known.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// `client_header_timeout`.
    pub client_header_timeout: Duration,
    /// What a request head may be.
    pub head: HeadOptions,
    /// `merge_slashes`.
    pub merge_slashes: bool,
}

impl Default for ServerSettings {
    fn default() -> ServerSettings {
        ServerSettings {
            client_header_timeout: Duration::from_secs(60),
            head: HeadOptions::default(),
            merge_slashes: true,
        }
    }
}

impl VirtualHost {
    /// The named location `name` (without `@`).
    pub fn named(&self, name: &[u8]) -> Option<&Rc<Location>> {
        self.locations.named(name)
    }
}
