//! A client's connection: its socket and what its requests share.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use super::{Listener, Moment};
use crate::event::Io;
use crate::net::address::Address;
use crate::proto::proxy_protocol::ProxyHeader;
use crate::sys::socket;

/// A client's connection.
pub struct Connection {
    /// The socket.
    pub io: Io,
    /// Its serial number in this server's life (`$connection`).
    pub number: u64,
    /// How many requests were read on it, this one included (`$connection_requests`).
    pub requests: Cell<u64>,
    /// When it was accepted, in milliseconds since 1970.
    pub accepted: u64,
    /// The client's address.
    pub peer: Address,
    /// The listener that accepted it.
    pub listener: Rc<Listener>,
    /// What the PROXY protocol said, on listeners that speak it.
    pub proxy: OnceCell<Box<ProxyHeader>>,
    /// The server's own address, once it was asked for.
    pub local: OnceCell<Address>,
    /// It is to be closed with a reset (`reset_timedout_connection`).
    pub reset: Cell<bool>,
}

impl Connection {
    /// How many milliseconds ago it was accepted.
    pub fn age(&self) -> u64 {
        Moment::now().since(Moment(self.accepted))
    }

    /// Whether the PROXY protocol's header is still to come.
    pub fn awaits_proxy_header(&self) -> bool {
        self.listener.proxy_protocol && self.proxy.get().is_none()
    }

    /// The port the client connected to; 0 on a Unix socket.
    pub fn local_port(&self) -> u16 {
        self.local().port().unwrap_or(0)
    }

    /// The address the client connected to.
    pub fn local(&self) -> &Address {
        self.local
            .get_or_init(|| match socket::local_addr(self.io.fd()) {
                Ok(address) => address,
                Err(_) => self.listener.address.clone(),
            })
    }
}
