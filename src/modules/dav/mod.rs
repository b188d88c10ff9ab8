//! WebDAV (RFC 4918): files that are written, moved and removed over HTTP.
//!
//! `dav_methods` and its kin are nginx's and behave as there. `dav_ext_methods` and its kin are those
//! of nginx's dav-ext module: properties and locks, so that a desktop can mount a site.

mod condition;
mod dead;
mod destination;
mod files;
mod guard;
mod lock;
mod locks;
mod mkcol;
mod options;
mod propfind;
mod proppatch;
mod props;
mod put;
mod remove;
mod rows;
mod transfer;
mod tree;
mod undone;
mod xml;

#[cfg(test)]
mod tests;

use std::rc::Rc;

use self::files::{canonical, mapped, path_of};
use self::guard::Change;
use self::locks::{Locks, is_below};
use self::xml::Element;
use crate::config::{Directive, Module};
use crate::exchange::{BufferedBody, Exchange, Handler, Location, Phase, Response, Step, Zone};
use crate::http::escape::{Escape, escape};
use crate::http::{KnownHeader, Method, Status};
use crate::log::level::Level;
use crate::proto::h1::framing::BodyFraming;

/// WebDAV's methods.
pub struct Dav;

/// What holds in one block.
#[derive(Clone)]
pub struct Settings {
    /// The methods that are answered, as [`Method::bit`]s.
    methods: u32,
    /// Those of the dav-ext module, as bits.
    ext_methods: u32,
    /// Where locks are kept; `None` if nothing can be locked.
    locks: Option<Rc<Zone<Locks>>>,
    /// Permissions of new files; new folders get them with search permission added.
    access: u32,
    /// How many parts the path of something that is deleted must have.
    min_delete_depth: u64,
    /// Whether RFC 4918 counts where nginx's module differs from it.
    rfc4918: bool,
    /// Whether PUT makes the folders that are missing.
    create_full_put_path: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            methods: 0,
            ext_methods: 0,
            locks: None,
            rfc4918: false,
            access: 0o600,
            min_delete_depth: 0,
            create_full_put_path: false,
        }
    }
}

impl Module for Dav {
    type Settings = Settings;
    const NAME: &'static str = "dav";
    const DIRECTIVES: &'static [Directive<Settings>] = rows::ROWS;

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if (settings.methods | settings.ext_methods) & !rows::OFF != 0 {
            location.add_handler(Phase::Content, Rc::new(Resources(Rc::clone(settings))));
        }
    }
}

/// Permissions of a folder whose files have `access`: who may read may search.
fn folder_access(access: u32) -> u32 {
    access | (access & 0o444) >> 2
}

/// The longest XML that is read, in bytes.
const MAX_XML: u64 = 1 << 20;

/// What a method comes to: a response, or the status whose page is one.
type Answer = Result<Response, Status>;

/// Answers WebDAV's methods for the files of a location.
struct Resources(Rc<Settings>);

impl Handler for Resources {
    fn handle<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let methods = self.0.methods | self.0.ext_methods;
        if methods & exchange.method.bit() == 0 {
            return Step::Declined;
        }
        Step::Await(Box::pin(async move {
            match self.answer(exchange).await {
                Ok(response) => Step::Respond(response),
                Err(status) => Step::status(status),
            }
        }))
    }
}

impl Resources {
    async fn answer(&self, exchange: &mut Exchange) -> Answer {
        let settings = &*self.0;
        self.check_change(exchange)?;
        match exchange.method {
            Method::Put => put::put(settings, exchange).await,
            Method::Delete => {
                let removed = remove::delete(settings, exchange).await?;
                settings.forget_locks(exchange);
                Ok(removed)
            }
            Method::Mkcol => mkcol::mkcol(settings, exchange),
            Method::Copy => transfer::transfer(settings, exchange).await,
            Method::Move => {
                let moved = transfer::transfer(settings, exchange).await?;
                settings.forget_locks(exchange);
                Ok(moved)
            }
            Method::Propfind => propfind::propfind(settings, exchange).await,
            Method::Proppatch => proppatch::proppatch(exchange).await,
            Method::Lock => lock::lock(settings, exchange).await,
            Method::Unlock => lock::unlock(settings, exchange),
            _ => Ok(options::options(settings)),
        }
    }

    /// Whoever changes what is locked must know the lock, and may set conditions. (COPY and MOVE look
    /// after locks themselves, once their destination is known.)
    fn check_change(&self, exchange: &Exchange) -> Result<(), Status> {
        let changes_one = matches!(
            exchange.method,
            Method::Put | Method::Delete | Method::Mkcol | Method::Proppatch
        );
        if !changes_one {
            return Ok(());
        }
        let path = path_of(canonical(&mapped(exchange)?));
        if self.0.rfc4918 {
            guard::check_validators(exchange, &path)?;
        }
        let Some(zone) = &self.0.locks else {
            return Ok(());
        };
        let change = match exchange.method {
            Method::Delete => Change::Removal,
            Method::Put | Method::Mkcol if !path.exists() => Change::Creation,
            _ => Change::Content,
        };
        guard::check(exchange, zone, &path, &[(&path, change)])
    }
}

impl Settings {
    /// What is gone is locked no more.
    fn forget_locks(&self, exchange: &Exchange) {
        if let (Some(zone), Ok(path)) = (&self.locks, mapped(exchange)) {
            let path = canonical(&path);
            let is_gone = |path: &[u8]| !path_of(path.to_vec()).exists();
            zone.forget(|lock| {
                (lock.path == path || is_below(&lock.path, &path)) && is_gone(&lock.path)
            });
        }
    }
}

/// The XML that comes with a request; `None` without a body.
async fn read_xml(exchange: &mut Exchange) -> Result<Option<Element>, Status> {
    let buffered = exchange.body.buffer(&exchange.location.core).await;
    let failed = buffered.map(drop).err();
    if let Some(error) = failed {
        return Err(error.refuse(exchange));
    }
    let parsed = match exchange.body.buffered() {
        None => return Ok(None),
        Some(BufferedBody::Memory(bytes)) if bytes.is_empty() => return Ok(None),
        Some(BufferedBody::Memory(bytes)) => xml::parse(bytes),
        Some(BufferedBody::File(file)) if file.length > MAX_XML => {
            return Err(Status::REQUEST_ENTITY_TOO_LARGE);
        }
        Some(BufferedBody::File(file)) => {
            let text = std::fs::read(&file.path);
            xml::parse(&text.map_err(|_| Status::INTERNAL_SERVER_ERROR)?)
        }
    };
    parsed.map(Some).map_err(|_| {
        complain(exchange, format_args!("client sent invalid XML"));
        Status::BAD_REQUEST
    })
}

/// `Depth` (RFC 4918 section 10.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    Zero,
    One,
    Infinity,
    Invalid,
}

impl Depth {
    /// The request's; `default` if it has none.
    fn of(exchange: &Exchange, default: Depth) -> Depth {
        match exchange.request.known(KnownHeader::Depth) {
            None => default,
            Some(b"0") => Depth::Zero,
            Some(b"1") => Depth::One,
            Some(b"infinity") => Depth::Infinity,
            Some(other) => {
                let value = String::from_utf8_lossy(other);
                complain(
                    exchange,
                    format_args!("client sent invalid \"Depth\" header: \"{value}\""),
                );
                Depth::Invalid
            }
        }
    }
}

/// Logs what is wrong with a request.
fn complain(exchange: &Exchange, message: std::fmt::Arguments<'_>) {
    exchange.log(Level::Error, message);
}

/// Whether the request comes with a body, where none is understood.
fn has_body(exchange: &Exchange) -> bool {
    let framing = &exchange.request.framing;
    framing.content_length.is_some_and(|length| length > 0)
        || framing.body == BodyFraming::Chunked
        || exchange.body.is_pending()
}

/// 201, with the place of what was made.
fn created(exchange: &Exchange) -> Response {
    let mut location = Vec::with_capacity(exchange.path.len());
    escape(&exchange.path, Escape::Uri, &mut location);
    Response {
        location: Some(location.into()),
        ..Response::page(Status::CREATED)
    }
}
