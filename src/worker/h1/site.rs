//! Which virtual host a request is for: the host of its target, or of its Host field, decides.

use std::rc::{Rc, Weak};

use super::intake::Refusal;
use crate::exchange::{Exchange, Listener, VirtualHost};
use crate::http::{Captures, KnownHeader, Status, host};
use crate::proto::h1::head::RequestHead;

/// Longer hosts are not remembered.
const LONGEST: usize = 256;

/// The last Host field and what was found for it: clients mostly name the same host again.
#[derive(Default)]
pub struct LastSite {
    /// The field as it was sent.
    field: Vec<u8>,
    /// The host in its normal form.
    host: Vec<u8>,
    port: Option<u16>,
    listener: Weak<Listener>,
    server: Weak<VirtualHost>,
}

impl LastSite {
    /// Hands the exchange to the virtual host, if its request names the same host on the same
    /// listener; says whether it did.
    fn recall(&self, exchange: &mut Exchange) -> bool {
        let request = &mut *exchange.request;
        let is_same = request.known(KnownHeader::Host) == Some(&self.field)
            && self.listener.as_ptr() == Rc::as_ptr(&exchange.connection.listener)
            && request.head.line.scheme.is_empty();
        let Some(server) = self.server.upgrade().filter(|_| is_same) else {
            return false;
        };
        request.host.extend_from_slice(&self.host);
        request.port = self.port;
        exchange.set_server(server);
        true
    }

    /// Remembers what was found for the exchange by its Host field.
    fn note(&mut self, exchange: &Exchange) {
        let request = &exchange.request;
        let Some(field) = request.known(KnownHeader::Host) else {
            return;
        };
        if field.len() <= LONGEST && request.head.line.scheme.is_empty() {
            field.clone_into(&mut self.field);
            request.host.clone_into(&mut self.host);
            self.port = request.port;
            self.listener = Rc::downgrade(&exchange.connection.listener);
            self.server = Rc::downgrade(&exchange.server);
        }
    }
}

/// Chooses the virtual host of the exchange.
///
/// # Errors
/// The host is malformed, or a server name's pattern took too long to match.
pub fn choose(exchange: &mut Exchange, last: &mut LastSite) -> Result<(), Box<Refusal>> {
    if last.recall(exchange) {
        return Ok(());
    }
    read_host(exchange)?;
    let listener = Rc::clone(&exchange.connection.listener);
    let mut captures = Captures::new();
    let Ok(found) = listener
        .hosts
        .find_normal(&exchange.request.host, &mut captures)
    else {
        exchange.request.host.clear();
        let why = "a server name's pattern took too long to match";
        return Err(Refusal::new(Status::INTERNAL_SERVER_ERROR, why));
    };
    if let Some(found) = &found {
        exchange.set_server(Rc::clone(found.value));
    }
    match found.and_then(|found| found.pattern) {
        Some(pattern) => exchange.set_host_captures(pattern, captures),
        None => last.note(exchange),
    }
    Ok(())
}

/// The virtual host that a head names, as far as it was parsed; `input` is what it was parsed from.
pub fn named<'a>(
    listener: &'a Listener,
    head: &RequestHead,
    input: &[u8],
) -> Option<&'a VirtualHost> {
    let mut host = Vec::new();
    host::normalise(host_of(head, input)?, &mut host).ok()?;
    let found = listener.hosts.find_normal(&host, &mut Captures::new());
    Some(found.ok()??.value)
}

/// The host as a head that was parsed from `input` names it: its target, or else its Host field.
fn host_of<'a>(head: &RequestHead, input: &'a [u8]) -> Option<&'a [u8]> {
    match head.line.scheme.is_empty() {
        true => head.value(input, KnownHeader::Host),
        false => Some(head.line.host.of(input)),
    }
}

/// Reads the host and its port out of the target, or the Host field.
fn read_host(exchange: &mut Exchange) -> Result<(), Box<Refusal>> {
    let mut host = std::mem::take(&mut exchange.request.host);
    let request = &exchange.request;
    let field = request.known(KnownHeader::Host);
    let is_absolute = !request.head.line.scheme.is_empty();
    let named = host_of(&request.head, &request.bytes);
    let port = named.map_or(Ok(None), |named| host::normalise(named, &mut host));
    let is_valid = !is_absolute || field.is_none_or(host::is_valid);
    let (Ok(port), true) = (port, is_valid) else {
        let why = "client sent invalid host header";
        return Err(Refusal::new(Status::BAD_REQUEST, why));
    };
    exchange.request.host = host;
    exchange.request.port = port;
    Ok(())
}
