//! From the blocks of a configuration to what workers serve.

use std::rc::Rc;

use super::listeners::Addresses;
use super::{Http, LocationLine};
use crate::config::context::{HTTP, LIMIT_EXCEPT, LOCATION, LOCATION_IF, SERVER};
use crate::config::{Block, Configuration, Mistake};
use crate::exchange::{ListeningSocket, Location, LocationKind, MethodLimit, Names, VirtualHost};
use crate::modules::ALL;
use crate::modules::core::CoreModule;
use crate::modules::server::Server;
use crate::routing::locations::{Kind, Locations};

/// Builds the listening sockets, virtual hosts and locations of `configuration`.
///
/// # Errors
/// What is wrong with the blocks taken together: duplicate locations, conflicting listeners.
/// Warnings are among them; the result is there unless one is fatal.
pub fn install(configuration: &Configuration, mistakes: &mut Vec<Mistake>) -> Vec<ListeningSocket> {
    let mut addresses = Addresses::default();
    for http in configuration.root.within(HTTP) {
        for block in http.within(SERVER) {
            let host = Rc::new(virtual_host(block, &configuration.variables, mistakes));
            addresses.add(block, &host, mistakes);
        }
    }
    addresses.into_sockets()
}

fn virtual_host(block: &Block, variables: &Rc<Names>, mistakes: &mut Vec<Mistake>) -> VirtualHost {
    let server = block.settings::<Server>();
    VirtualHost {
        name: server
            .names
            .first()
            .map_or_else(Default::default, |name| name.shown().into()),
        settings: server.settings.clone(),
        base: Rc::new(location(block, b"", LocationKind::Server)),
        locations: locations(block, mistakes),
        captures: server
            .names
            .iter()
            .map(|name| name.captures.to_vec())
            .collect(),
        slots: variables.slots(),
        variables: Rc::clone(variables),
    }
}

fn locations(block: &Block, mistakes: &mut Vec<Mistake>) -> Locations<Rc<Location>> {
    let mut locations = Locations::default();
    for child in block.within(LOCATION) {
        let settings = child.settings::<Http>();
        let Some(line) = settings.location.as_deref() else {
            continue;
        };
        let mut made = location(child, &line.name, line.kind);
        made.method_limit = method_limit(child, line);
        made.implicit = implicit(child, line);
        let nested = self::locations(child, mistakes);
        let slash = made.auto_redirect;
        if locations
            .add(kind(line), slash, Rc::new(made), nested)
            .is_err()
        {
            let message = format!(
                "duplicate location \"{}\"",
                String::from_utf8_lossy(&line.name)
            );
            mistakes.push(Mistake::emerg(child.span(), message));
        }
    }
    locations
}

/// A location with whatever every module has to say in its block.
fn location(block: &Block, name: &[u8], kind: LocationKind) -> Location {
    let mut location = Location::new(name, kind, Rc::clone(&block.settings::<CoreModule>().core));
    if let Some(line) = block.settings::<Http>().location.as_deref() {
        location.captures = Rc::clone(&line.captures);
    }
    block.settings.install(ALL, &mut location);
    location
}

/// What holds in the `if` blocks of a location.
fn implicit(block: &Block, line: &LocationLine) -> Vec<Rc<Location>> {
    let blocks = block.within(LOCATION_IF);
    blocks
        .map(|child| Rc::new(location(child, &line.name, LocationKind::Implicit)))
        .collect()
}

fn method_limit(block: &Block, line: &LocationLine) -> Option<MethodLimit> {
    let child = block.within(LIMIT_EXCEPT).next()?;
    let allowed = child.settings::<Http>().allowed.to_vec();
    Some(MethodLimit {
        allowed,
        location: Rc::new(location(child, &line.name, line.kind)),
    })
}

fn kind(line: &LocationLine) -> Kind {
    let name = line.name.to_vec();
    match (line.kind, &line.pattern) {
        (LocationKind::Regex, Some(pattern)) => Kind::Regex(pattern.clone()),
        (LocationKind::Exact, _) => Kind::Exact(name),
        (LocationKind::Named, _) => Kind::Named(name),
        _ if line.priority => Kind::PriorityPrefix(name),
        _ => Kind::Prefix(name),
    }
}
