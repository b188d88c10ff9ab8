//! Which virtual hosts are reached through which address, and which sockets that takes.

use std::collections::HashMap;
use std::rc::Rc;

use crate::config::{Block, Mistake, Span};
use crate::exchange::{Listener, ListeningSocket, VirtualHost};
use crate::modules::server::{Server, ServerName};
use crate::net::address::Address;
use crate::net::listen::ListenOptions;
use crate::routing::hosts::{Hosts, NameError};

/// All addresses of a configuration, in the order they were first named.
#[derive(Default)]
pub struct Addresses {
    addresses: Vec<Bound>,
    /// Where an address stands in the list.
    index: HashMap<Address, usize>,
}

/// One address and who is served there.
struct Bound {
    options: ListenOptions,
    default: Rc<VirtualHost>,
    hosts: Hosts<Rc<VirtualHost>>,
    /// The server that named it last, to tell a repetition.
    last: Rc<VirtualHost>,
    /// Several servers named it.
    is_shared: bool,
}

impl Addresses {
    /// Adds a server to the addresses it listens on.
    pub fn add(&mut self, block: &Block, host: &Rc<VirtualHost>, mistakes: &mut Vec<Mistake>) {
        let server = block.settings::<Server>();
        for (options, span) in &server.listens {
            match self.listen(options, *span, host) {
                Ok(at) => self.add_names(at, &server.names, host, mistakes),
                Err(mistake) => mistakes.push(mistake),
            }
        }
    }

    /// The place of the address of `options`, joined with what was said of it before.
    fn listen(
        &mut self,
        options: &ListenOptions,
        span: Span,
        host: &Rc<VirtualHost>,
    ) -> Result<usize, Mistake> {
        let address = &options.address;
        let Some(&at) = self.index.get(address) else {
            self.addresses.push(Bound {
                options: options.clone(),
                default: Rc::clone(host),
                hosts: Hosts::default(),
                last: Rc::clone(host),
                is_shared: false,
            });
            self.index.insert(address.clone(), self.addresses.len() - 1);
            return Ok(self.addresses.len() - 1);
        };
        let bound = &mut self.addresses[at];
        if Rc::ptr_eq(&bound.last, host) {
            return Err(Mistake::emerg(
                span,
                format!("a duplicate listen {address}"),
            ));
        }
        bound.last = Rc::clone(host);
        bound.is_shared = true;
        let default = bound.options.default_server;
        let proxy_protocol = bound.options.proxy_protocol || options.proxy_protocol;
        if options.set && bound.options.set {
            return Err(Mistake::emerg(
                span,
                format!("duplicate listen options for {address}"),
            ));
        }
        if options.default_server && default {
            return Err(Mistake::emerg(
                span,
                format!("a duplicate default server for {address}"),
            ));
        }
        if options.set {
            bound.options = options.clone();
        }
        if options.default_server {
            bound.default = Rc::clone(host);
        }
        bound.options.default_server = default || options.default_server;
        bound.options.proxy_protocol = proxy_protocol;
        Ok(at)
    }

    fn add_names(
        &mut self,
        at: usize,
        names: &[ServerName],
        host: &Rc<VirtualHost>,
        mistakes: &mut Vec<Mistake>,
    ) {
        let bound = &mut self.addresses[at];
        for (number, name) in names.iter().enumerate() {
            if let Some(pattern) = &name.pattern {
                bound
                    .hosts
                    .add_pattern(pattern.clone(), number, Rc::clone(host));
                continue;
            }
            let text = || String::from_utf8_lossy(&name.text);
            match bound.hosts.add(&name.text, Rc::clone(host)) {
                Ok(()) => {}
                Err(NameError::Conflict) => {
                    let message = format!(
                        "conflicting server name \"{}\" on {}, ignored",
                        text(),
                        bound.options.address
                    );
                    mistakes.push(Mistake::warn(name.span, message));
                }
                Err(NameError::Invalid) => {
                    mistakes.push(Mistake::emerg(
                        name.span,
                        format!(
                            "invalid server name or wildcard \"{}\" on {}",
                            text(),
                            bound.options.address
                        ),
                    ));
                }
            }
        }
    }

    /// The sockets: one an address, but addresses of a port that a wildcard address covers share
    /// its socket unless they ask for their own.
    pub fn into_sockets(self) -> Vec<ListeningSocket> {
        let (mut sockets, mut shared) = (Vec::new(), Vec::new());
        let wildcards: Vec<_> = self
            .addresses
            .iter()
            .filter(|bound| bound.options.address.is_wildcard())
            .map(|bound| bound.options.address.clone())
            .collect();
        for bound in self.addresses {
            let address = &bound.options.address;
            let covered = !address.is_wildcard()
                && !bound.options.bind
                && wildcards.iter().any(|wildcard| covers(wildcard, address));
            let is_named = bound.is_shared || bound.hosts.has_patterns();
            let listener = Rc::new(Listener {
                address: address.clone(),
                // A server that is alone gets every request, and only patterns say more of the host.
                hosts: if is_named {
                    bound.hosts
                } else {
                    Hosts::default()
                },
                default: bound.default,
                proxy_protocol: bound.options.proxy_protocol,
            });
            match covered {
                true => shared.push(listener),
                false => sockets.push(ListeningSocket {
                    options: bound.options,
                    listener,
                    specific: Vec::new(),
                }),
            }
        }
        for socket in sockets
            .iter_mut()
            .filter(|socket| socket.listener.address.is_wildcard())
        {
            let covered = shared
                .iter()
                .filter(|listener| covers(&socket.listener.address, &listener.address));
            socket.specific = covered.cloned().collect();
        }
        sockets
    }
}

/// Whether a wildcard address takes the connections to `address` as well.
fn covers(wildcard: &Address, address: &Address) -> bool {
    let same_family = wildcard.ip().map(|ip| ip.is_ipv4()) == address.ip().map(|ip| ip.is_ipv4());
    same_family && wildcard.port() == address.port()
}
