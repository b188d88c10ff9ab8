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
use crate::worker::memory::Memory;

/// What there is on a connection.
pub enum Intake {
    /// A request, and what is wrong with its head, if anything is.
    Request(Arrival, Option<Fault>),
    /// No request in sight: wait that long for one.
    Nothing(Duration),
    /// The client is gone.
    Gone,
}

/// A request that has arrived, as bytes.
pub struct Arrival {
    request: Box<Request>,
    /// When its first byte came.
    started: Moment,
    /// Whether it came behind another, before that was answered.
    pipelined: bool,
}

/// Why a head is none.
pub enum Fault {
    /// It is malformed.
    Malformed(HeadError),
    /// The client left, or was too slow, in the middle of it.
    Lost(Received),
}

/// Why a request is not served.
pub enum Unserved {
    /// It gets this status, which ends the connection.
    Refused(Status),
    /// There is nobody left to answer: only the log learns of it.
    Lost(Status),
}

/// The next request on the wire; `first` of its burst.
pub async fn next(wire: &Wire, memory: &mut Memory, first: bool) -> Intake {
    let connection = wire.connection();
    let pipelined = wire.has_input();
    if !first && !pipelined {
        return Intake::Nothing(patience(connection, wire));
    }
    if pipelined {
        wire.go_behind();
    }
    if connection.awaits_proxy_header() && !proxy::read_header(wire).await {
        return Intake::Gone;
    }
    let mut reading = Reading {
        server: &connection.listener.default,
        request: memory.take_request(),
        started: None,
        in_pieces: false,
    };
    let fault = match reading.finish(wire).await {
        Head::Complete => None,
        Head::Wrong(error) => Some(Fault::Malformed(error)),
        Head::Broken(end) if wire.has_input() => {
            wire.consume(|input| (input.len(), reading.request.bytes.extend_from_slice(input)));
            Some(Fault::Lost(end))
        }
        Head::Broken(end) => {
            if end == Received::End {
                connection.log_leaving();
            }
            return Intake::Gone;
        }
        Head::Nothing => {
            memory.keep_request(reading.request);
            return Intake::Nothing(patience(connection, wire));
        }
    };
    connection.count_request();
    let arrival = Arrival {
        request: reading.request,
        started: reading.started.unwrap_or_else(Moment::now),
        pipelined,
    };
    Intake::Request(arrival, fault)
}

enum Head {
    Complete,
    Nothing,
    Broken(Received),
    Wrong(HeadError),
}

/// A head that is being read.
struct Reading<'a> {
    /// Says what a head may be, until its host is known.
    server: &'a VirtualHost,
    request: Box<Request>,
    /// When its first byte came.
    started: Option<Moment>,
    /// Whether its first bytes were read without its last.
    in_pieces: bool,
}

impl Reading<'_> {
    /// Reads until a whole head is there, and moves it to the request.
    async fn finish(&mut self, wire: &Wire) -> Head {
        let mut deadline = None;
        loop {
            if let Some(head) = self.look(wire) {
                return head;
            }
            if wire.flush().await.is_err() {
                return Head::Broken(Received::Failed);
            }
            let patience = self.server.settings.client_header_timeout;
            let until = *deadline.get_or_insert_with(|| event::now() + patience);
            match wire.receive(until).await {
                Received::Bytes => {}
                end => return Head::Broken(end),
            }
        }
    }

    /// Takes what is there; `None` if that is not all of a head yet.
    fn look(&mut self, wire: &Wire) -> Option<Head> {
        loop {
            if let Some(head) = wire.consume(|input| self.parse(input)) {
                return Some(head);
            }
            match wire.try_receive() {
                Some(Received::Bytes) => {}
                Some(end) => return Some(Head::Broken(end)),
                None if wire.has_input() => return None,
                None => return Some(Head::Nothing),
            }
        }
    }

    /// Parses what is there of a head; `None` if it is not complete.
    fn parse(&mut self, input: &[u8]) -> (usize, Option<Head>) {
        if input.is_empty() {
            return (0, None);
        }
        self.started.get_or_insert_with(Moment::now);
        let head = &mut self.request.head;
        let (used, head) = match head.parse(input, &self.server.settings.head) {
            Parse::Incomplete => {
                self.in_pieces = true;
                return (0, None);
            }
            Parse::Done { consumed } => (consumed, Head::Complete),
            Parse::Error(error) => (input.len(), Head::Wrong(error)),
        };
        if self.in_pieces {
            // Its last bytes may have been sent after others had things looked at in this turn.
            event::new_occasion();
        }
        self.request.bytes.extend_from_slice(&input[..used]);
        (used, Some(head))
    }
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

impl Arrival {
    /// An exchange for the request: on the listener's default server, until [`admit`] knows its
    /// host.
    pub fn exchange(self, wire: &Wire, memory: &mut Memory) -> Exchange {
        let connection = Rc::clone(wire.connection());
        let server = Rc::clone(&connection.listener.default);
        let mut exchange = Exchange::new(self.request, connection, server, self.started);
        exchange.pipelined = self.pipelined;
        exchange.path = std::mem::take(&mut memory.path);
        exchange.args = std::mem::take(&mut memory.args);
        exchange
    }
}

/// Makes sense of what has arrived, and attaches the body.
///
/// # Errors
/// It can't be served; the log knows why.
pub fn admit(wire: &Wire, exchange: &mut Exchange, fault: Option<Fault>) -> Result<(), Unserved> {
    let error = match fault {
        None => None,
        Some(Fault::Malformed(error)) => Some(error),
        Some(Fault::Lost(end)) => return Err(lost(exchange, end)),
    };
    if let Err(Refusal { status, why }) = understand(exchange, error) {
        let part = match *exchange.path {
            [] if exchange.request.host.is_empty() => "line",
            _ => "headers",
        };
        let message = format_args!("{why} while reading client request {part}");
        exchange.log(Level::Info, message);
        return Err(Unserved::Refused(status));
    }
    if let Some(source) = Source::new(wire, &exchange.request.framing) {
        exchange.body = RequestBody::new(Box::new(source));
    }
    Ok(())
}

/// Logs that a head never became complete.
fn lost(exchange: &Exchange, end: Received) -> Unserved {
    let (status, why) = match end {
        Received::TimedOut => (
            Status::REQUEST_TIME_OUT,
            "client timed out (110: Connection timed out)",
        ),
        _ => (Status::BAD_REQUEST, "client prematurely closed connection"),
    };
    let message = format_args!("{why} while reading client request headers");
    exchange.log(Level::Info, message);
    Unserved::Lost(status)
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
    let Exchange {
        request,
        server,
        path,
        args,
        ..
    } = exchange;
    let target = request.target();
    if target == b"*" && exchange.method == Method::Options {
        path.extend_from_slice(target);
        return Ok(());
    }
    let Ok(uri) = uri::parse(target, server.settings.merge_slashes, path) else {
        path.clear();
        return Err(refusal(Status::BAD_REQUEST, "client sent invalid request"));
    };
    args.extend_from_slice(uri.args.of(target));
    Ok(())
}
