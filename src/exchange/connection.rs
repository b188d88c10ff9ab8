//! A client's connection: its socket and what its requests share.
//!
//! Most connections are idle at any moment, and there are many: what few of them need is kept
//! aside.

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::rc::Rc;

use super::counters::Count;
use super::{Listener, Moment};
use crate::event::Io;
use crate::log::level::Level;
use crate::net::address::Address;
use crate::proto::proxy_protocol::ProxyHeader;
use crate::sys::socket;

/// A client's connection.
pub struct Connection {
    /// The socket.
    pub io: Io,
    /// Its serial number in this server's life (`$connection`).
    pub number: u64,
    /// When it was accepted.
    pub accepted: Moment,
    /// The client's address.
    pub peer: Address,
    /// The listener that accepted it.
    pub listener: Rc<Listener>,
    /// It is to be closed with a reset (`reset_timedout_connection`).
    pub reset: Cell<bool>,
    requests: Cell<u32>,
    learnt: OnceCell<Box<Learnt>>,
}

/// What is not known of every connection.
#[derive(Default)]
struct Learnt {
    proxy: OnceCell<ProxyHeader>,
    local: OnceCell<Address>,
}

impl Connection {
    /// A connection that was accepted now.
    pub fn new(io: Io, peer: Address, listener: Rc<Listener>) -> Connection {
        Connection {
            io,
            number: Count::Number.increase() + 1,
            accepted: Moment::now(),
            peer,
            listener,
            reset: Cell::new(false),
            requests: Cell::new(0),
            learnt: OnceCell::new(),
        }
    }

    /// How many milliseconds ago it was accepted.
    pub fn age(&self) -> u64 {
        Moment::now().since(self.accepted)
    }

    /// How many requests were read on it, this one included (`$connection_requests`).
    pub fn requests(&self) -> u64 {
        u64::from(self.requests.get())
    }

    /// Counts a request.
    pub fn count_request(&self) {
        self.requests.set(self.requests.get().saturating_add(1));
        Count::Requests.increase();
    }

    /// What the PROXY protocol said, on listeners that speak it.
    pub fn proxy(&self) -> Option<&ProxyHeader> {
        self.learnt.get()?.proxy.get()
    }

    /// Notes what the PROXY protocol said.
    pub fn set_proxy(&self, header: ProxyHeader) {
        // There is one header at most.
        let _ = self.learnt().proxy.set(header);
    }

    /// Whether the PROXY protocol's header is still to come.
    pub fn awaits_proxy_header(&self) -> bool {
        self.listener.proxy_protocol && self.proxy().is_none()
    }

    /// The port the client connected to; 0 on a Unix socket.
    pub fn local_port(&self) -> u16 {
        self.local().port().unwrap_or(0)
    }

    /// The address the client connected to: the listener's, or asked of the socket where that
    /// accepts for many.
    pub fn local(&self) -> &Address {
        if !self.listener.address.is_wildcard() {
            return &self.listener.address;
        }
        self.learnt()
            .local
            .get_or_init(|| match socket::local_addr(self.io.fd()) {
                Ok(address) => address,
                Err(_) => self.listener.address.clone(),
            })
    }

    /// Writes what concerns no request to the listener's error log, naming client and listener.
    pub fn log(&self, level: Level, message: fmt::Arguments<'_>) {
        let log = &self.listener.default.base.core.error_log;
        if log.enabled(level) {
            let (client, server) = (self.peer.host_text(), &self.listener.address);
            let message = format_args!("{message}, client: {client}, server: {server}");
            log.log(level, Some(self.number), message);
        }
    }

    /// Logs that the client left without a further request.
    pub fn log_leaving(&self) {
        if self.requests.get() == 0 {
            let message = "client closed connection while waiting for request";
            return self.log(Level::Info, format_args!("{message}"));
        }
        let log = &self.listener.default.base.core.error_log;
        if log.enabled(Level::Info) {
            let client = self.peer.host_text();
            let message = format_args!("client {client} closed keepalive connection");
            log.log(Level::Info, Some(self.number), message);
        }
    }

    fn learnt(&self) -> &Learnt {
        self.learnt.get_or_init(Box::default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With the two counters of its `Rc`, a block of 104 bytes and the allocator's 8.
    #[test]
    fn an_idle_connection_is_small() {
        assert!(size_of::<Connection>() <= 88, "{}", size_of::<Connection>());
    }
}
