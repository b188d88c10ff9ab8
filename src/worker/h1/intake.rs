//! From bytes to an exchange: reads a head, checks it, picks the virtual host.

use std::rc::Rc;
use std::time::Duration;

use super::body::Source;
use super::proxy;
use super::wire::{Received, Wire};
use crate::event;
use crate::exchange::{Connection, Exchange, Moment, Request, RequestBody, VirtualHost};
use crate::http::{Captures, KnownHeader, Method, Status, host, uri};
use crate::log::level::Level;
use crate::proto::h1::framing::Framing;
use crate::proto::h1::head::{HeadError, Parse};
use crate::worker::pool::{Pool, with_pool};

/// What the next request on a connection turned out to be.
pub enum Intake {
    /// A request to serve.
    Request(Box<Exchange>),
    /// Something that gets this status and ends the connection.
    Refused(Box<Exchange>, Status),
    /// No request in sight: wait that long for one.
    Nothing(Duration),
    /// The client left, or was too slow, in the middle of a head: only the log learns of it.
    Lost(Box<Exchange>, Status),
    /// The client is gone.
    Gone,
}

/// The next request on the wire; `first` of its burst.
pub async fn next(wire: &Rc<Wire>, first: bool) -> Intake {
    let connection = Rc::clone(wire.connection());
    let server = &connection.listener.default;
    let pipelined = wire.has_input();
    if !first && !pipelined {
        return Intake::Nothing(patience(&connection, wire));
    }
    if pipelined {
        wire.go_behind();
    }
    if connection.awaits_proxy_header() && !proxy::read_header(wire).await {
        return Intake::Gone;
    }
    let mut request = with_pool(Pool::take_request);
    let mut started = None;
    let error = match read_head(wire, server, &mut request, &mut started).await {
        Head::Complete => None,
        Head::Wrong(error) => Some(error),
        Head::Nothing => {
            with_pool(|pool| pool.keep_request(request));
            return Intake::Nothing(patience(&connection, wire));
        }
        Head::Broken(end) => return lost(wire, request, started, end),
    };
    connection.count_request();
    let mut exchange = Box::new(exchange(&connection, request, started));
    exchange.pipelined = pipelined;
    match understand(&mut exchange, error) {
        Ok(()) => {
            admit(wire, &mut exchange);
            Intake::Request(exchange)
        }
        Err(Refusal { status, why }) => {
            let part = match *exchange.path {
                [] if exchange.request.host.is_empty() => "line",
                _ => "headers",
            };
            exchange.log(
                Level::Info,
                format_args!("{why} while reading client request {part}"),
            );
            Intake::Refused(exchange, status)
        }
    }
}

enum Head {
    Complete,
    Nothing,
    Broken(Received),
    Wrong(HeadError),
}

/// Reads until a whole head is there, and moves it to `request`; notes when its first byte came.
async fn read_head(
    wire: &Wire,
    server: &VirtualHost,
    request: &mut Request,
    started: &mut Option<Moment>,
) -> Head {
    let mut deadline = None;
    loop {
        if started.is_none() && wire.has_input() {
            *started = Some(Moment::now());
        }
        if let Some(head) = wire.consume(|input| parse(input, server, request)) {
            return head;
        }
        match wire.try_receive() {
            Some(Received::Bytes) => continue,
            Some(end) => return Head::Broken(end),
            None if !wire.has_input() => return Head::Nothing,
            None => {}
        }
        if wire.flush().await.is_err() {
            return Head::Broken(Received::Failed);
        }
        let until =
            *deadline.get_or_insert_with(|| event::now() + server.settings.client_header_timeout);
        match wire.receive(until).await {
            Received::Bytes => {}
            end => return Head::Broken(end),
        }
    }
}

/// Parses what is there of a head; `None` if it is not complete.
fn parse(input: &[u8], server: &VirtualHost, request: &mut Request) -> (usize, Option<Head>) {
    if input.is_empty() {
        return (0, None);
    }
    let (used, head) = match request.head.parse(input, &server.settings.head) {
        Parse::Incomplete => return (0, None),
        Parse::Done { consumed } => (consumed, Head::Complete),
        Parse::Error(error) => (input.len(), Head::Wrong(error)),
    };
    request.bytes.extend_from_slice(&input[..used]);
    (used, Some(head))
}

/// What is known of a request whose head never became complete.
fn lost(wire: &Wire, mut request: Box<Request>, started: Option<Moment>, end: Received) -> Intake {
    if !wire.has_input() {
        if end == Received::End {
            wire.connection().log_leaving();
        }
        return Intake::Gone;
    }
    wire.consume(|input| (input.len(), request.bytes.extend_from_slice(input)));
    let connection = wire.connection();
    connection.count_request();
    let exchange = Box::new(exchange(connection, request, started));
    let (status, why) = match end {
        Received::TimedOut => (
            Status::REQUEST_TIME_OUT,
            "client timed out (110: Connection timed out)",
        ),
        _ => (Status::BAD_REQUEST, "client prematurely closed connection"),
    };
    exchange.log(
        Level::Info,
        format_args!("{why} while reading client request headers"),
    );
    Intake::Lost(exchange, status)
}

/// For how long the connection may stay idle.
fn patience(connection: &Connection, wire: &Wire) -> Duration {
    match wire.keepalive_timeout() {
        Some(timeout) => timeout,
        None if connection.requests() == 0 => {
            connection.listener.default.settings.client_header_timeout
        }
        None => connection.listener.default.base.core.keepalive_timeout,
    }
}

/// An exchange on the listener's default server, until the request's host is known.
fn exchange(
    connection: &Rc<Connection>,
    request: Box<Request>,
    started: Option<Moment>,
) -> Exchange {
    let server = Rc::clone(&connection.listener.default);
    let started = started.unwrap_or_else(Moment::now);
    Exchange::new(request, Rc::clone(connection), server, started)
}

/// Why a request with a well-formed head is refused all the same.
struct Refusal {
    status: Status,
    why: String,
}

fn refusal(status: Status, why: &str) -> Refusal {
    Refusal {
        status,
        why: why.to_owned(),
    }
}

/// Makes sense of a head: path, framing, host, virtual host. The path comes first, and the default
/// server says how it is read, so that the log shows it even if the rest of the head is wrong.
fn understand(exchange: &mut Exchange, error: Option<HeadError>) -> Result<(), Refusal> {
    if exchange.request.has_line() && exchange.method != Method::Connect {
        read_path(exchange)?;
    }
    // First, so that the site which was asked for says what its error pages are.
    if error.is_none() || exchange.request.known(KnownHeader::Host).is_some() {
        choose_server(exchange)?;
    }
    if let Some(error) = error {
        return Err(Refusal {
            status: error.status(),
            why: error.message(&exchange.request.bytes),
        });
    }
    let request = &mut exchange.request;
    request.framing = match Framing::derive(&request.head, &request.bytes) {
        Ok(framing) => framing,
        Err(error) => {
            return Err(Refusal {
                status: error.status(),
                why: error.message(&request.bytes),
            });
        }
    };
    exchange.keep_alive = request.framing.keep_alive;
    if matches!(exchange.method, Method::Trace | Method::Connect) {
        let name = exchange.method.as_str();
        return Err(Refusal {
            status: Status::NOT_ALLOWED,
            why: format!("client sent {name} method"),
        });
    }
    Ok(())
}

/// The host of the target, or of the Host field, decides the virtual host.
fn choose_server(exchange: &mut Exchange) -> Result<(), Refusal> {
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
        return Err(refusal(
            Status::BAD_REQUEST,
            "client sent invalid host header",
        ));
    };
    let listener = Rc::clone(&exchange.connection.listener);
    let mut captures = Captures::new();
    let Ok(found) = listener.hosts.find_normal(&host, &mut captures) else {
        return Err(refusal(
            Status::INTERNAL_SERVER_ERROR,
            "a server name's pattern took too long to match",
        ));
    };
    exchange.request.host = host;
    exchange.request.port = port;
    let pattern = found.and_then(|found| {
        exchange.set_server(found.value);
        found.pattern
    });
    if let Some(pattern) = pattern {
        exchange.set_host_captures(pattern, captures);
    }
    Ok(())
}

/// Normalises the path and splits off the arguments.
fn read_path(exchange: &mut Exchange) -> Result<(), Refusal> {
    let request = &exchange.request;
    let target = request.target();
    if target == b"*" && exchange.method == Method::Options {
        exchange.path.extend_from_slice(target);
        return Ok(());
    }
    let mut decoded = Vec::new();
    let parsed = uri::parse(target, exchange.server.settings.merge_slashes, &mut decoded);
    let Ok(uri) = parsed else {
        return Err(refusal(Status::BAD_REQUEST, "client sent invalid request"));
    };
    exchange.path.extend_from_slice(uri.path(target, &decoded));
    exchange.args.extend_from_slice(uri.args.of(target));
    exchange.rewritten = false;
    Ok(())
}

/// Attaches the body, and lets the connection's age and the request decide whether it persists.
fn admit(wire: &Rc<Wire>, exchange: &mut Exchange) {
    if let Some(source) = Source::new(wire, &exchange.request.framing) {
        exchange.body = RequestBody::new(Box::new(source));
    }
}
