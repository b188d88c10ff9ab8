//! From bytes to an exchange: reads a head, checks it, picks the virtual host.

use std::time::Duration;

use super::body::Source;
use super::site;
use super::wire::{Received, Wire};
use crate::event;
use crate::exchange::{Connection, Exchange, Listener, Moment, Request, RequestBody, VirtualHost};
use crate::http::{KnownHeader, Method, Status, uri};
use crate::log::level::Level;
use crate::proto::h1::framing::Framing;
use crate::proto::h1::head::Parse;
use crate::proto::h1::limits::HeadOptions;
use crate::worker::memory::Memory;

/// What there is on a connection.
pub enum Intake {
    /// A request.
    Request(Arrival),
    /// No request in sight: wait that long for one.
    Nothing(Duration),
    /// The client is gone.
    Gone,
}

/// A request that has arrived, as bytes.
pub struct Arrival {
    /// What was read.
    pub request: Box<Request>,
    /// When its first byte came.
    pub started: Moment,
    /// Whether it came behind another, before that was answered.
    pub pipelined: bool,
    /// What is wrong with its head, if anything is.
    pub fault: Option<Box<Refusal>>,
}

/// Why a request is not served. That is rare, so it goes by in a box.
pub struct Refusal {
    /// What it is answered with, or would have been.
    pub status: Status,
    /// Whether nobody is left to answer: only the log learns of it.
    pub is_lost: bool,
    why: String,
}

impl Refusal {
    /// The request is answered with `status`, and the connection ends.
    pub fn new(status: Status, why: impl Into<String>) -> Box<Refusal> {
        Box::new(Refusal {
            status,
            is_lost: false,
            why: why.into(),
        })
    }

    /// The client left, or was too slow, in the middle of a head.
    fn lost(end: Received) -> Box<Refusal> {
        let (status, why) = match end {
            Received::TimedOut => (
                Status::REQUEST_TIME_OUT,
                "client timed out (110: Connection timed out)",
            ),
            _ => (Status::BAD_REQUEST, "client prematurely closed connection"),
        };
        Box::new(Refusal {
            status,
            is_lost: true,
            why: why.to_owned(),
        })
    }

    fn log(&self, exchange: &Exchange) {
        let part = match *exchange.path {
            [] if exchange.request.host.is_empty() && !self.is_lost => "line",
            _ => "headers",
        };
        let message = format_args!("{} while reading client request {part}", self.why);
        exchange.log(Level::Info, message);
    }
}

/// The next request on the wire; `first` of its burst.
///
/// # Errors
/// Only the beginning of it is there.
pub fn next<'a>(wire: &'a Wire, memory: &mut Memory, first: bool) -> Result<Intake, Reading<'a>> {
    let connection = wire.connection();
    if !first && !wire.has_input() {
        return Ok(Intake::Nothing(patience(connection, wire)));
    }
    if !first {
        wire.go_behind();
    }
    let mut reading = Reading {
        listener: &connection.listener,
        server: &connection.listener.default,
        request: memory.take_request(),
        started: None,
        pipelined: !first,
        in_pieces: false,
    };
    match reading.look(wire) {
        Some(head) => Ok(reading.end(head, wire)),
        None if wire.has_input() => Err(reading),
        None => {
            memory.keep_request(reading.request);
            Ok(Intake::Nothing(patience(connection, wire)))
        }
    }
}

/// How the reading of a head ended.
enum Head {
    Complete,
    Wrong(Box<Refusal>),
    Broken(Received),
}

/// A head that is being read.
pub struct Reading<'a> {
    listener: &'a Listener,
    /// Says what a head may be: the default server, until it is too large for that.
    server: &'a VirtualHost,
    request: Box<Request>,
    /// When its first byte came.
    started: Option<Moment>,
    pipelined: bool,
    /// Whether its first bytes were read without its last.
    in_pieces: bool,
}

impl Reading<'_> {
    /// Waits for the rest.
    pub async fn finish(mut self, wire: &Wire) -> Intake {
        let deadline = event::now() + self.server.settings.client_header_timeout;
        let head = loop {
            if wire.flush().await.is_err() {
                break Head::Broken(Received::Failed);
            }
            match wire.receive(deadline).await {
                Received::Bytes => {}
                end => break Head::Broken(end),
            }
            if let Some(head) = self.look(wire) {
                break head;
            }
        };
        self.end(head, wire)
    }

    /// What has come of it.
    fn end(mut self, head: Head, wire: &Wire) -> Intake {
        let connection = wire.connection();
        let fault = match head {
            Head::Complete => None,
            Head::Wrong(refusal) => Some(refusal),
            Head::Broken(end) if wire.has_input() => {
                wire.consume(|input| (input.len(), self.request.bytes.extend_from_slice(input)));
                Some(Refusal::lost(end))
            }
            Head::Broken(end) => {
                if end == Received::End {
                    connection.log_leaving();
                }
                return Intake::Gone;
            }
        };
        connection.count_request();
        Intake::Request(Arrival {
            request: self.request,
            started: self.started.unwrap_or_else(Moment::now),
            pipelined: self.pipelined,
            fault,
        })
    }

    /// Takes what is there; `None` if that is not all of a head yet.
    fn look(&mut self, wire: &Wire) -> Option<Head> {
        loop {
            if let Some(head) = wire.consume(|input| self.parse(input)) {
                return Some(head);
            }
            match wire.try_receive()? {
                Received::Bytes => {}
                end => return Some(Head::Broken(end)),
            }
        }
    }

    /// Parses what is there of a head, and moves it to the request; `None` if it is not complete.
    fn parse(&mut self, input: &[u8]) -> (usize, Option<Head>) {
        if input.is_empty() {
            return (0, None);
        }
        self.started.get_or_insert_with(Moment::now);
        let head = &mut self.request.head;
        let (used, error) = match head.parse(input, &self.server.settings.head) {
            Parse::Incomplete => {
                self.in_pieces = true;
                return (0, None);
            }
            Parse::Done { consumed } => (consumed, None),
            Parse::Error(error) if error.is_of_size() && self.ask_site(input) => {
                return self.parse(input);
            }
            Parse::Error(error) => (input.len(), Some(error)),
        };
        if self.in_pieces {
            // Its last bytes may have been sent after others had things looked at in this turn.
            event::new_occasion();
        }
        self.request.bytes.extend_from_slice(&input[..used]);
        let head = match error {
            None => Head::Complete,
            Some(error) => Head::Wrong(Refusal::new(error.status(), error.message(input))),
        };
        (used, Some(head))
    }

    /// Has the site that is asked for say how large the head may be, if what there is of it names
    /// one; `false` if that is who said so already.
    fn ask_site(&mut self, input: &[u8]) -> bool {
        match site::named(self.listener, &self.request.head, input) {
            Some(site) if !std::ptr::eq(site, self.server) => {
                self.server = site;
                self.request.head.clear();
                true
            }
            _ => false,
        }
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

/// Makes sense of what has arrived, and attaches the body.
///
/// # Errors
/// It can't be served; the log knows why.
pub fn admit(
    wire: &Wire,
    memory: &mut Memory,
    exchange: &mut Exchange,
    fault: Option<Box<Refusal>>,
) -> Result<(), Box<Refusal>> {
    let understood = match fault {
        Some(refusal) if refusal.is_lost => Err(refusal),
        fault => understand(exchange, memory, fault),
    };
    if let Err(refusal) = understood {
        refusal.log(exchange);
        return Err(refusal);
    }
    if let Some(source) = Source::new(wire, &exchange.request.framing) {
        exchange.body = RequestBody::new(Box::new(source));
    }
    Ok(())
}

/// Makes sense of a head: path, framing, host, virtual host. The path comes first, and the default
/// server says how it is read, so that the log shows it even if the rest of the head is wrong.
fn understand(
    exchange: &mut Exchange,
    memory: &mut Memory,
    fault: Option<Box<Refusal>>,
) -> Result<(), Box<Refusal>> {
    if exchange.request.has_line() && exchange.method != Method::Connect {
        read_path(exchange)?;
    }
    // First, so that the site which was asked for says what its error pages are.
    if fault.is_none() || exchange.request.known(KnownHeader::Host).is_some() {
        site::choose(exchange, &mut memory.last_site)?;
    }
    if let Some(fault) = fault {
        return Err(fault);
    }
    judge_names(exchange)?;
    let request = &mut exchange.request;
    request.framing = match Framing::derive(&request.head, &request.bytes) {
        Ok(framing) => framing,
        Err(error) => return Err(Refusal::new(error.status(), error.message(&request.bytes))),
    };
    exchange.keep_alive = request.framing.keep_alive;
    if matches!(exchange.method, Method::Trace | Method::Connect) {
        let name = exchange.method.as_str();
        let why = format!("client sent {name} method");
        return Err(Refusal::new(Status::NOT_ALLOWED, why));
    }
    Ok(())
}

/// Has the virtual host say which fields are left out because of their names: until it was known,
/// the default server did.
fn judge_names(exchange: &mut Exchange) -> Result<(), Box<Refusal>> {
    let before = &exchange.connection.listener.default.settings.head;
    let options = &exchange.server.settings.head;
    if options.has_names_of(before) {
        return Ok(());
    }
    let Request { head, bytes, .. } = &mut *exchange.request;
    let options = HeadOptions {
        // It was not too large.
        buffer_size: bytes.len(),
        ..options.clone()
    };
    head.clear();
    match head.parse(bytes, &options) {
        Parse::Error(error) => Err(Refusal::new(error.status(), error.message(bytes))),
        Parse::Done { .. } | Parse::Incomplete => Ok(()),
    }
}

/// Normalises the path and splits off the arguments.
fn read_path(exchange: &mut Exchange) -> Result<(), Box<Refusal>> {
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
        let why = "client sent invalid request";
        return Err(Refusal::new(Status::BAD_REQUEST, why));
    };
    args.extend_from_slice(uri.args.of(target));
    Ok(())
}
