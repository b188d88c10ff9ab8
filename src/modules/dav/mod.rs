//! WebDAV (RFC 4918): files that are written, moved and removed over HTTP.
//!
//! `dav_methods` and its kin are nginx's and behave as there.

mod destination;
mod files;
mod mkcol;
mod put;
mod remove;
mod transfer;
mod tree;

#[cfg(test)]
mod tests;

use std::rc::Rc;

use crate::config::context::HTTP_SERVER_LOCATION;
use crate::config::{Directive, Mistake, Module, Use, directive};
use crate::exchange::{Exchange, Handler, Location, Phase, Response, Step};
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
    /// Permissions of new files; new folders get them with search permission added.
    access: u32,
    /// How many parts the path of something that is deleted must have.
    min_delete_depth: u64,
    /// Whether PUT makes the folders that are missing.
    create_full_put_path: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            methods: 0,
            access: 0o600,
            min_delete_depth: 0,
            create_full_put_path: false,
        }
    }
}

/// Stands for `off`, which must be something to end inheritance.
const OFF: u32 = 1 << 31;

const METHODS: &[(&str, u32)] = &[
    ("off", OFF),
    ("put", Method::Put.bit()),
    ("delete", Method::Delete.bit()),
    ("mkcol", Method::Mkcol.bit()),
    ("copy", Method::Copy.bit()),
    ("move", Method::Move.bit()),
];

impl Module for Dav {
    type Settings = Settings;
    const NAME: &'static str = "dav";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        directive::<Settings>("dav_methods")
            .syntax("off | method ...")
            .default("off")
            .contexts(HTTP_SERVER_LOCATION)
            .at_least(1)
            .doc("Allows the WebDAV methods PUT, DELETE, MKCOL, COPY and MOVE.")
            .append(
                |settings| settings.methods = 0,
                |settings, d| {
                    settings.methods |= d.bits_from(0, METHODS)?;
                    Ok(())
                },
            ),
        directive("create_full_put_path")
            .syntax("on | off")
            .default("off")
            .contexts(HTTP_SERVER_LOCATION)
            .flag()
            .doc("Lets PUT make the folders that are missing on the way to its file.")
            .set(|settings, d| {
                settings.create_full_put_path = d.flag()?;
                Ok(())
            }),
        directive("min_delete_depth")
            .syntax("number")
            .default("0")
            .contexts(HTTP_SERVER_LOCATION)
            .doc("Lets DELETE remove only what has at least so many elements in its path.")
            .set(|settings, d| {
                settings.min_delete_depth = d.number(0)?;
                Ok(())
            }),
        directive("dav_access")
            .syntax("users:permissions ...")
            .default("user:rw")
            .contexts(HTTP_SERVER_LOCATION)
            .between(1, 3)
            .doc("Sets the permissions of files and folders that are made: user, group, all; r or rw.")
            .set(|settings, d| {
                settings.access = access(d)?;
                Ok(())
            }),
    ];

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if settings.methods & !OFF != 0 {
            location.add_handler(Phase::Content, Rc::new(Resources(Rc::clone(settings))));
        }
    }
}

/// Reads `user:rw group:r all:r`; the user may read and write unless told otherwise.
fn access(d: &Use<'_>) -> Result<u32, Mistake> {
    let (mut access, mut user) = (0, 0o600);
    for i in 0..d.count() {
        let invalid = || d.mistake(i, format!("invalid value \"{}\"", d.lossy(i)));
        let groups = [("user:", 6), ("group:", 3), ("all:", 0)];
        let mut groups = groups.iter();
        let found = groups.find_map(|(who, shift)| Some((d.parameter(i, who)?, *shift)));
        let (right, shift) = found.ok_or_else(invalid)?;
        if shift == 6 {
            user = 0;
        }
        access |= match right {
            b"rw" => 6 << shift,
            b"r" => 4 << shift,
            _ => return Err(invalid()),
        };
    }
    Ok(access | user)
}

/// Permissions of a folder whose files have `access`: who may read may search.
fn folder_access(access: u32) -> u32 {
    access | (access & 0o444) >> 2
}

/// What a method comes to: a response, or the status whose page is one.
type Answer = Result<Response, Status>;

/// Answers WebDAV's methods for the files of a location.
struct Resources(Rc<Settings>);

impl Handler for Resources {
    fn handle<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        if self.0.methods & exchange.method.bit() == 0 {
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
        match exchange.method {
            Method::Put => put::put(settings, exchange).await,
            Method::Delete => remove::delete(settings, exchange).await,
            Method::Mkcol => mkcol::mkcol(settings, exchange),
            _ => transfer::transfer(settings, exchange).await,
        }
    }
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
        location: Some(location),
        ..Response::page(Status::CREATED)
    }
}
