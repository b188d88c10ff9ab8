//! The exchange: one request on its way to its response.

use std::any::Any;
use std::cell::{Cell, OnceCell, Ref, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::{Connection, Location, Logger, Request, RequestBody, Response, VirtualHost};
use crate::event;
use crate::http::pattern::{Captures, LimitExceeded, Pattern};
use crate::http::{Headers, KnownHeader, Method, Status};
use crate::log::error_log::ErrorLog;
use crate::log::level::Level;
use crate::net::address::Address;
use crate::sys::random;

/// One more than the internal redirects an exchange may make.
const MAX_REDIRECTS: u8 = 11;

/// How deep computed variables may lie in one another.
const MAX_NESTING: u8 = 100;

/// A point in time, milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// The moment at which this turn of the loop began.
    pub fn now() -> Moment {
        let (seconds, millis) = event::unix_time();
        Moment(seconds.unsigned_abs() * 1000 + u64::from(millis))
    }

    /// How many milliseconds have passed since `earlier`; 0 if the clock was set back.
    pub fn since(self, earlier: Moment) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// What went out, for the access log.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// Bytes of the head.
    pub head: u64,
    /// Bytes of the body, framing included.
    pub body: u64,
    /// The length the head announced (`Content-Length`).
    pub length: Option<u64>,
    /// Whether the body went out in chunks.
    pub chunked: bool,
    /// The fields that followed the body.
    pub trailers: Headers,
    /// Whether the whole response went out (`$request_completion`).
    pub complete: bool,
}

/// Who else is told of an exchange's end.
struct Watched(Rc<dyn Logger>);

/// What a regex matched.
#[derive(Default)]
struct Matched {
    captures: Captures,
    /// What was searched.
    subject: Vec<u8>,
}

/// What a request and its subrequests have in common, whoever sets it.
#[derive(Default)]
struct Shared {
    /// The variables written during the request.
    slots: RefCell<Vec<Option<Rc<[u8]>>>>,
    /// See [`Exchange::id`].
    id: OnceCell<[u8; 16]>,
}

/// One request, where it has come to, and what is noted on the way.
pub struct Exchange {
    /// The request as it was read.
    pub request: Box<Request>,
    /// Its body.
    pub body: RequestBody,
    /// The connection it came on; for who asks see [`Exchange::client`].
    pub connection: Rc<Connection>,
    /// The virtual host chosen for it.
    pub server: Rc<VirtualHost>,
    /// The location in force.
    pub location: Rc<Location>,
    /// The decoded, normalised path; rewriting changes it.
    pub path: Vec<u8>,
    /// The arguments, without `?`; rewriting changes them.
    pub args: Vec<u8>,
    /// Whether the path differs from the target as sent, so that the latter can't be passed on.
    pub rewritten: bool,
    /// Whether the path is appended to the `alias` of a regex location, since `try_files` found it there.
    pub path_in_alias: bool,
    /// Whether it came here by an internal redirect.
    pub internal: bool,
    /// Whether it goes on without its client, who waits for no answer to it (`mirror`, `post_action`).
    pub detached: bool,
    /// How many exchanges stand above it; 0 unless it is a subrequest.
    pub depth: u8,
    /// Whether an `error_page` is being served.
    pub in_error_page: bool,
    /// Whether an error gets no page, since who asked has something else to show then.
    pub pageless: bool,
    /// The method to act by, which an error page turns into GET.
    pub method: Method,
    /// The status that overrides the response's, as `error_page` rules.
    pub status_override: Option<Status>,
    /// The user's name, once a password has proved it.
    pub user: OnceCell<Box<[u8]>>,
    /// When its first byte was read.
    pub started: Moment,
    /// What went out so far.
    pub sent: Sent,
    /// Whether it came behind another request, before that was answered (`$pipe`).
    pub pipelined: bool,
    /// How fast the response may go out, in bytes a second; 0: as fast as it can. `None` until
    /// something was said of it (`$limit_rate`) or it is sent (`limit_rate`).
    pub limit_rate: Option<u64>,
    /// Whether the connection will be kept after it.
    pub keep_alive: bool,
    client: Option<Box<Address>>,
    notes: Vec<Rc<dyn Any>>,
    carried: Option<Box<Response>>,
    matched: RefCell<Matched>,
    shared: OnceCell<Rc<Shared>>,
    nesting: Cell<u8>,
    redirects: u8,
    /// Whether its body was found too large, so that nobody will read it.
    body_refused: bool,
    response: RefCell<Option<Response>>,
}

impl Exchange {
    /// An exchange for `request`, not yet routed beyond its virtual host.
    pub fn new(
        request: Box<Request>,
        connection: Rc<Connection>,
        server: Rc<VirtualHost>,
        started: Moment,
    ) -> Exchange {
        Exchange {
            method: request.method(),
            keep_alive: request.framing.keep_alive,
            request,
            body: RequestBody::default(),
            connection,
            location: Rc::clone(&server.base),
            server,
            path: Vec::new(),
            args: Vec::new(),
            rewritten: false,
            path_in_alias: false,
            internal: false,
            detached: false,
            depth: 0,
            in_error_page: false,
            pageless: false,
            status_override: None,
            user: OnceCell::new(),
            started,
            sent: Sent::default(),
            pipelined: false,
            limit_rate: None,
            client: None,
            notes: Vec::new(),
            carried: None,
            matched: RefCell::default(),
            shared: OnceCell::new(),
            nesting: Cell::new(0),
            redirects: MAX_REDIRECTS,
            body_refused: false,
            response: RefCell::new(None),
        }
    }

    /// The response: the one to send, the head of the one that was sent, or as a filter is just
    /// making it. Its status is 0 as long as there is none.
    pub fn response(&self) -> Ref<'_, Response> {
        Ref::map(self.response.borrow(), |response| {
            response.as_ref().unwrap_or(Response::NONE)
        })
    }

    /// Makes `response` the one to send.
    pub fn set_response(&mut self, response: Response) {
        *self.response.get_mut() = Some(response);
    }

    /// Takes the response out: there is none then.
    pub fn take_response(&mut self) -> Response {
        self.response.get_mut().take().unwrap_or_default()
    }

    /// The response, to be changed.
    pub fn response_mut(&mut self) -> &mut Response {
        self.response.get_mut().get_or_insert_default()
    }

    /// Runs `evaluate` while variables such as `$status` speak of `response`, which is still on its
    /// way: for filters whose settings hold variables.
    pub fn speaking_of<R>(&self, response: &mut Response, evaluate: impl FnOnce() -> R) -> R {
        let before = self.response.replace(Some(std::mem::take(response)));
        let result = evaluate();
        let spoken_of = self.response.replace(before);
        *response = spoken_of.unwrap_or_default();
        result
    }

    /// The client's address: that of the connection's other end, or what took its place.
    pub fn client(&self) -> &Address {
        self.client.as_deref().unwrap_or(&self.connection.peer)
    }

    /// Has another address count as the client's, for this request (`set_real_ip_from`).
    pub fn set_client(&mut self, client: Address) {
        self.client = Some(Box::new(client));
    }

    /// What a module noted of the request, each a type of its own; subrequests made later know it,
    /// too. It is dropped with the exchange.
    pub fn noted<T: 'static>(&self) -> Option<&T> {
        self.notes.iter().find_map(|note| note.downcast_ref())
    }

    /// Notes something of the request, instead of what was noted of the same type.
    pub fn note<T: 'static>(&mut self, value: T) {
        self.notes.retain(|note| !note.is::<T>());
        self.notes.push(Rc::new(value));
    }

    /// Has `logger` told of the end as well, in whatever location that comes.
    pub fn watch(&mut self, logger: Rc<dyn Logger>) {
        self.note(Watched(logger));
    }

    /// Tells all loggers that the exchange has ended.
    pub fn log_end(&self) {
        for logger in &self.location.loggers {
            logger.log(self);
        }
        if let Some(Watched(logger)) = self.noted() {
            logger.log(self);
        }
    }

    /// Sixteen random bytes, the same for as long as the request lasts (`$request_id`).
    pub fn id(&self) -> &[u8; 16] {
        self.shared().id.get_or_init(random::bytes)
    }

    /// How many bytes of the request were taken in: head, body and framing (`$request_length`).
    pub fn request_length(&self) -> u64 {
        self.request.length() + self.body.taken()
    }

    /// The value of a slot, handed to `use_value`; `None` if it was not set.
    pub fn with_slot<R>(&self, slot: usize, use_value: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let slots = self.shared.get()?.slots.borrow();
        slots.get(slot)?.as_deref().map(use_value)
    }

    /// Sets or clears a slot.
    pub fn set_slot(&self, slot: usize, value: Option<Rc<[u8]>>) {
        let mut slots = self.shared().slots.borrow_mut();
        if slots.len() <= slot {
            slots.resize(self.server.slots.max(slot + 1), None);
        }
        slots[slot] = value;
    }

    /// Runs `evaluate` for a variable that another may be waiting for; `None` if too many are.
    pub(super) fn nested<R>(&self, evaluate: impl FnOnce() -> R) -> Option<R> {
        let depth = self.nesting.get();
        if depth == MAX_NESTING {
            return None;
        }
        self.nesting.set(depth + 1);
        let result = evaluate();
        self.nesting.set(depth);
        Some(result)
    }

    fn shared(&self) -> &Rc<Shared> {
        self.shared.get_or_init(Rc::default)
    }

    /// Makes this one serve the request of `other`: what they share stays the same for both; who
    /// counts as the client, who has proved to be its user and what was noted so far is taken over.
    pub(super) fn relate_to(&mut self, other: &Exchange) {
        self.shared = OnceCell::from(Rc::clone(other.shared()));
        self.user.clone_from(&other.user);
        self.client.clone_from(&other.client);
        self.notes.clone_from(&other.notes);
    }

    /// What group `number` of the last regex matched, handed to `use_text`.
    pub fn with_capture<R>(&self, number: usize, use_text: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let matched = self.matched.borrow();
        matched
            .captures
            .text(number, &matched.subject)
            .map(use_text)
    }

    /// Looks for `pattern` in `subject`. If it is found, `$1` and the like are its groups from now
    /// on, and the variables of its named groups (`names`: group and slot) are set.
    ///
    /// # Errors
    /// The search took too long, which is logged.
    pub fn find_pattern(
        &self,
        pattern: &Pattern,
        names: &[(usize, usize)],
        subject: &[u8],
    ) -> Result<bool, LimitExceeded> {
        {
            let mut matched = self.matched.borrow_mut();
            let found = pattern.try_captures(subject, &mut matched.captures);
            if found != Ok(true) {
                drop(matched);
                return found.inspect_err(|_| self.log_limit(subject));
            }
            matched.subject.clear();
            matched.subject.extend_from_slice(subject);
        }
        self.name_captures(names);
        Ok(true)
    }

    fn log_limit(&self, subject: &[u8]) {
        let subject = String::from_utf8_lossy(subject);
        let message = format_args!("a pattern took too long to match on \"{subject}\"");
        self.log(Level::Alert, message);
    }

    /// Forgets the groups of the last match.
    pub fn clear_captures(&self) {
        self.matched.borrow_mut().captures.clear();
    }

    /// Remembers what a location's pattern matched in the path.
    pub fn set_captures(&mut self, captures: Captures) {
        let subject = self.path.clone();
        *self.matched.get_mut() = Matched { captures, subject };
    }

    /// Hands it to the virtual host its Host named.
    pub fn set_server(&mut self, server: Rc<VirtualHost>) {
        if !Rc::ptr_eq(&server, &self.server) {
            self.location = Rc::clone(&server.base);
            self.server = server;
        }
    }

    /// Remembers what the pattern matched by which the virtual host was found.
    pub fn set_host_captures(&mut self, pattern: usize, captures: Captures) {
        let server = Rc::clone(&self.server);
        let subject = self.request.host.clone();
        *self.matched.get_mut() = Matched { captures, subject };
        let names = server.captures.get(pattern);
        self.name_captures(names.map_or(&[], |names| names));
    }

    /// Sets the variables named in the pattern that matched last.
    pub fn name_captures(&self, names: &[(usize, usize)]) {
        for (group, slot) in names {
            self.set_slot(*slot, self.with_capture(*group, |text| Rc::from(text)));
        }
    }

    /// Makes the settings of an `if` block the ones in force.
    pub fn enter_implicit(&mut self, location: &Rc<Location>) {
        self.location = Rc::clone(location);
        self.limit_keep_alive();
    }

    /// Lets the location in force decide whether the connection may be kept.
    pub fn limit_keep_alive(&mut self) {
        let core = &self.location.core;
        self.keep_alive = self.keep_alive
            && !core.keepalive_timeout.is_zero()
            && self.connection.requests() < core.keepalive_requests
            && Duration::from_millis(self.connection.age()) <= core.keepalive_time
            && !core.keepalive_disable.applies(&self.request);
    }

    /// Lets the location in force limit the body; the refusal of one that is announced to be larger.
    /// Refused once, it is not refused again where its error page comes from.
    pub fn limit_body(&mut self) -> Option<Response> {
        let core = &self.location.core;
        let limit = core.client_max_body_size;
        self.body.set_limits(limit, core.client_body_timeout);
        let length = self.request.framing.content_length?;
        if self.body_refused || limit == 0 || length <= limit {
            return None;
        }
        self.body_refused = true;
        let message = format_args!("client intended to send too large body: {length} bytes");
        self.log(Level::Error, message);
        Some(Response::page(Status::REQUEST_ENTITY_TOO_LARGE))
    }

    /// Whether it may still be redirected internally.
    pub fn has_redirects(&self) -> bool {
        self.redirects > 0
    }

    /// Keeps the header fields of a response that an error page replaces, such as `WWW-Authenticate`.
    pub fn carry(&mut self, response: Response) {
        self.carried = Some(Box::new(response));
    }

    /// Adds what was carried to the response that is sent in the end.
    pub fn add_carried(&mut self, response: &mut Response) {
        if let Some(carried) = self.carried.take() {
            let own = std::mem::replace(&mut response.headers, carried.headers);
            for field in &own {
                response
                    .headers
                    .append(field.name.clone(), field.value.clone());
            }
            response.location = response.location.take().or(carried.location);
        }
    }

    /// Gives the connection up after statuses that leave it in doubt where the next request starts.
    pub fn distrust_after(&mut self, status: Status) {
        if matches!(
            status.as_u16(),
            400 | 413 | 414 | 495 | 496 | 497 | 500 | 501
        ) {
            self.keep_alive = false;
        }
    }

    /// Takes one of the internal redirects an exchange may make; `false` if none is left.
    pub fn spend_redirect(&mut self) -> bool {
        self.redirects = self.redirects.saturating_sub(1);
        self.redirects > 0
    }

    /// The error log, naming this request, to be kept.
    pub fn request_log(&self) -> RequestLog {
        RequestLog {
            log: self.location.core.error_log.clone(),
            connection: self.connection.number,
            context: Context(self).to_string(),
        }
    }

    /// Writes to the location's error log, naming client, server and request.
    pub fn log(&self, level: Level, message: fmt::Arguments<'_>) {
        let log = &self.location.core.error_log;
        if log.enabled(level) {
            log.log(
                level,
                Some(self.connection.number),
                format_args!("{message}{}", Context(self)),
            );
        }
    }
}

/// The error log of an exchange, for what is said of it when the exchange itself is not at hand.
pub struct RequestLog {
    log: ErrorLog,
    connection: u64,
    context: String,
}

impl RequestLog {
    /// As [`Exchange::log`].
    pub fn log(&self, level: Level, message: fmt::Arguments<'_>) {
        if self.log.enabled(level) {
            let message = format_args!("{message}{}", self.context);
            self.log.log(level, Some(self.connection), message);
        }
    }
}

/// What nginx appends to a request's messages in the error log.
struct Context<'a>(&'a Exchange);

impl fmt::Display for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exchange = self.0;
        let text = String::from_utf8_lossy;
        write!(f, ", client: {}", exchange.client().host_text())?;
        write!(f, ", server: {}", text(&exchange.server.name))?;
        write!(f, ", request: \"{}\"", text(exchange.request.line()))?;
        if exchange.depth > 0 {
            write!(f, ", subrequest: \"{}\"", text(&exchange.path))?;
        }
        let fields = [
            ("host", KnownHeader::Host),
            ("referrer", KnownHeader::Referer),
        ];
        for (name, header) in fields {
            if let Some(value) = exchange.request.known(header) {
                write!(f, ", {name}: \"{}\"", text(value))?;
            }
        }
        Ok(())
    }
}
