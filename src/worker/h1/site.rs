//! Which virtual host a request is for: the host of its target, or of its Host field, decides.

use std::rc::Rc;

use super::intake::Refusal;
use crate::exchange::Exchange;
use crate::http::{Captures, KnownHeader, Status, host};

/// Chooses the virtual host of the exchange.
///
/// # Errors
/// The host is malformed, or a server name's pattern took too long to match.
pub fn choose(exchange: &mut Exchange) -> Result<(), Box<Refusal>> {
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
    let pattern = found.and_then(|found| {
        exchange.set_server(found.value);
        found.pattern
    });
    if let Some(pattern) = pattern {
        exchange.set_host_captures(pattern, captures);
    }
    Ok(())
}

/// Reads the host and its port out of the target, or the Host field.
fn read_host(exchange: &mut Exchange) -> Result<(), Box<Refusal>> {
    let mut host = std::mem::take(&mut exchange.request.host);
    let request = &exchange.request;
    let field = request.known(KnownHeader::Host);
    let is_absolute = !request.head.line.scheme.is_empty();
    let named = match is_absolute {
        true => Some(request.head.line.host.of(&request.bytes)),
        false => field,
    };
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
