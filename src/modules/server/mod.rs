//! Virtual hosts: where they listen, what they are called, and how request heads are read.

mod listen;
mod names;

#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

pub use self::names::ServerName;
use crate::config::context::{HTTP, SERVER};
use crate::config::{Directive, Finish, Module, Outcome, Span, directive};
use crate::exchange::ServerSettings;
use crate::net::address::Address;
use crate::net::listen::ListenOptions;
use crate::sys::process;

/// The ports of a server that does not say where it listens: as root, and otherwise.
const DEFAULT_PORTS: (u16, u16) = (80, 8000);

/// The least `large_client_header_buffers` may be: what a connection of nginx's starts with.
const MIN_LARGE_BUFFER: usize = 512;

/// Directives of the block `server`.
pub struct Server;

/// What a server block says of itself.
#[derive(Clone, Default)]
pub struct ServerBlock {
    /// The values its virtual host has.
    pub settings: ServerSettings,
    /// Where it listens, and where that is said.
    pub listens: Vec<(ListenOptions, Span)>,
    /// What it is called.
    pub names: Vec<ServerName>,
}

type Row = Directive<ServerBlock>;

const fn row(name: &'static str) -> Row {
    directive(name).contexts(HTTP | SERVER)
}

const fn flag(name: &'static str, default: &'static str) -> Row {
    row(name).syntax("on | off").default(default).flag()
}

impl Module for Server {
    type Settings = ServerBlock;
    const NAME: &'static str = "server";
    const DIRECTIVES: &'static [Row] = &[];
    const GROUPS: &'static [&'static [Row]] = &[HEADS, &[listen::ROW, names::ROW]];

    fn finish(settings: &mut Rc<ServerBlock>, block: &mut Finish<'_>) -> Outcome {
        let Some(span) = block.span().filter(|_| block.context().within(SERVER)) else {
            return Ok(());
        };
        if settings.settings.head.large_buffer_size < MIN_LARGE_BUFFER {
            return Err(block.mistake(
                "the \"large_client_header_buffers\" size must be equal to or greater than \
                 \"connection_pool_size\"",
            ));
        }
        let settings = Rc::make_mut(settings);
        if settings.listens.is_empty() {
            settings.listens.push((default_listen(), span));
        }
        if settings.names.is_empty() {
            settings.names.push(ServerName::exact(b"", span));
        }
        Ok(())
    }
}

fn default_listen() -> ListenOptions {
    let (as_root, otherwise) = DEFAULT_PORTS;
    let port = if process::effective_uid() == 0 {
        as_root
    } else {
        otherwise
    };
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    ListenOptions::new(Address::Inet(address))
}

/// How request heads are read. Until a request names its host, the default server's hold.
const HEADS: &[Row] = &[
    row("client_header_timeout")
        .syntax("time")
        .default("60s")
        .doc("Closes the connection when a request's head takes longer than this.")
        .set(|s, d| d.duration(0).map(|time| s.settings.client_header_timeout = time)),
    row("client_header_buffer_size")
        .syntax("size")
        .default("1k")
        .doc("Reads a request's head into a buffer of this size first.")
        .set(|s, d| {
            s.settings.head.buffer_size = usize::try_from(d.size(0)?).unwrap_or(usize::MAX);
            Ok(())
        }),
    row("large_client_header_buffers")
        .syntax("number size")
        .default("4 8k")
        .takes(2)
        .doc("Allows so many further buffers for a head; no line of it may be longer than one.")
        .set(|s, d| {
            let (number, size) = d.buffers(0)?;
            s.settings.head.large_buffers = usize::try_from(number).unwrap_or(usize::MAX);
            s.settings.head.large_buffer_size = usize::try_from(size).unwrap_or(usize::MAX);
            Ok(())
        }),
    row("max_headers")
        .syntax("number")
        .default("1000")
        .doc("Refuses requests with more header lines than this.")
        .set(|s, d| {
            s.settings.head.max_headers = usize::try_from(d.number(0)?).unwrap_or(usize::MAX);
            Ok(())
        }),
    flag("ignore_invalid_headers", "on")
        .doc("Leaves out header lines whose names have other characters than letters, digits and hyphens.")
        .set(|s, d| d.flag().map(|on| s.settings.head.ignore_invalid_headers = on)),
    flag("underscores_in_headers", "off")
        .doc("Allows underscores in the names of header lines.")
        .set(|s, d| d.flag().map(|on| s.settings.head.underscores_in_headers = on)),
    flag("merge_slashes", "on")
        .doc("Takes several slashes in a row in a URI for one.")
        .set(|s, d| d.flag().map(|on| s.settings.merge_slashes = on)),
];
