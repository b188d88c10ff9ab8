//! An exchange as it is when its response has been sent, for measuring what reads it.

use std::error::Error;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::rc::Rc;

use rowhouse::config::{Options, load_text};
use rowhouse::event::Io;
use rowhouse::exchange::{Connection, Exchange, Listener, Moment, Request, Response};
use rowhouse::http::Status;
use rowhouse::modules::{ALL, http};
use rowhouse::net::address::listen_addresses;
use rowhouse::proto::h1::{Framing, HeadOptions};

const SITE: &[u8] = b"events { } http { access_log off; server { listen 127.0.0.1:1; } }";

/// The exchange of a request whose head is `head`, on a site without any settings of its own.
pub fn answered(head: &[u8]) -> Result<Exchange, Box<dyn Error>> {
    let mut request = Request::default();
    let _ = request.head.parse(head, &HeadOptions::default());
    request.framing = Framing::derive(&request.head, head).map_err(|_| "framing")?;
    request.bytes = head.to_vec();
    request.host = b"www.example.com".to_vec();
    let connection = Rc::new(connection()?);
    let server = Rc::clone(&connection.listener.default);
    let mut exchange = Exchange::new(Box::new(request), connection, server, Moment::now());
    exchange.path = b"/images/logo.png".to_vec();
    exchange.set_response(Response::new(Status::OK));
    Ok(exchange)
}

fn connection() -> Result<Connection, Box<dyn Error>> {
    let (socket, _) = UnixStream::pair()?;
    let mut addresses = listen_addresses(b"127.0.0.1:9").map_err(|_| "address")?;
    let io = Io::new(OwnedFd::from(socket));
    Ok(Connection::new(io, addresses.remove(0), listener()?))
}

fn listener() -> Result<Rc<Listener>, Box<dyn Error>> {
    let loaded = load_text(ALL, Path::new("site.conf"), SITE, &Options::default());
    let configuration = loaded.map_err(|found| found.to_string())?;
    let mut mistakes = Vec::new();
    let sockets = http::install(&configuration, &mut mistakes);
    let socket = sockets.first().ok_or("no listener")?;
    Ok(Rc::clone(&socket.listener))
}
