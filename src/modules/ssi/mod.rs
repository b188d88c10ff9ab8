//! Server Side Includes: commands in pages, such as `<!--#include virtual="/menu" -->`.
//!
//! A page is parsed as far as it is read. What it includes is started at once and runs along, and
//! goes out when its turn has come; only a command that waits keeps the rest from being parsed.

mod commands;
mod page;
mod parser;
mod text;

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use self::page::Page;
use crate::config::context::{HTTP_SERVER_LOCATION, HTTP_SERVER_LOCATION_IF};
use crate::config::{Directive, Module, directive};
use crate::event;
use crate::exchange::{Body, Exchange, Filter, Location, Response, Variable};
use crate::http::MediaTypes;
use crate::sys::clock;

/// How times are shown unless a page says otherwise.
const TIME_FORMAT: &[u8] = b"%A, %d-%b-%Y %H:%M:%S %Z";

/// Runs commands in pages.
pub struct Ssi;

/// What a block says of it.
#[derive(Clone)]
pub struct Settings {
    enabled: bool,
    silent_errors: bool,
    last_modified: bool,
    /// How long values of parameters may be, in bytes.
    value_length: usize,
    types: MediaTypes,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            enabled: false,
            silent_errors: false,
            last_modified: false,
            value_length: 255,
            types: MediaTypes::default(),
        }
    }
}

impl Module for Ssi {
    type Settings = Settings;
    const NAME: &'static str = "ssi";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        directive("ssi")
            .syntax("on | off")
            .default("off")
            .contexts(HTTP_SERVER_LOCATION_IF)
            .flag()
            .doc("Runs the commands of Server Side Includes in pages.")
            .set(|s, d| d.flag().map(|on| s.enabled = on)),
        directive("ssi_silent_errors")
            .syntax("on | off")
            .default("off")
            .contexts(HTTP_SERVER_LOCATION)
            .flag()
            .doc("Shows nothing, instead of a message, in the place of a command that failed.")
            .set(|s, d| d.flag().map(|on| s.silent_errors = on)),
        directive("ssi_last_modified")
            .syntax("on | off")
            .default("off")
            .contexts(HTTP_SERVER_LOCATION)
            .flag()
            .doc("Keeps \"Last-Modified\" and a weak \"ETag\" with pages that have commands run.")
            .set(|s, d| d.flag().map(|on| s.last_modified = on)),
        directive("ssi_value_length")
            .syntax("length")
            .default("255")
            .contexts(HTTP_SERVER_LOCATION)
            .doc("Limits how long the values of a command's parameters may be.")
            .set(|s, d| {
                s.value_length = usize::try_from(d.size(0)?).unwrap_or(usize::MAX);
                Ok(())
            }),
        directive("ssi_types")
            .syntax("mime-type ...")
            .default("text/html")
            .contexts(HTTP_SERVER_LOCATION)
            .at_least(1)
            .doc("Lists the media types that have commands run; text/html always is one, and * stands for all.")
            .repeat(|s, d| {
                d.media_types(&mut s.types);
                Ok(())
            }),
        directive("ssi_min_file_chunk")
            .syntax("size")
            .default("1k")
            .contexts(HTTP_SERVER_LOCATION)
            .doc("Sends parts of files from the page cache that are at least so long; here all are read.")
            .tunes(),
        directive("ssi_ignore_recycled_buffers")
            .syntax("on | off")
            .default("off")
            .contexts(HTTP_SERVER_LOCATION)
            .flag()
            .doc("Tells nginx not to reuse buffers at once; here none are reused.")
            .tunes(),
    ];
    const VARIABLES: &'static [Variable] = &[
        Variable::plain(
            "date_local",
            "The time in the server's time zone, as the page's timefmt says.",
            |exchange, out| date(exchange, true, out),
        ),
        Variable::plain(
            "date_gmt",
            "The time in Greenwich, as the page's timefmt says.",
            |exchange, out| date(exchange, false, out),
        ),
    ];

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if settings.enabled {
            location
                .filters
                .push(Rc::new(SsiFilter(Rc::clone(settings))));
        }
    }
}

/// What the pages of one request have in common: one may include others.
#[derive(Default)]
struct Shared {
    /// Set by commands; names are in lower case.
    variables: RefCell<Vec<(Vec<u8>, Vec<u8>)>>,
    /// What the groups of the last regex matched.
    captures: RefCell<Vec<Vec<u8>>>,
    /// Text that stands in for includes without a body.
    blocks: RefCell<Vec<(Vec<u8>, Vec<u8>)>>,
    /// How many includes there were.
    includes: Cell<usize>,
}

impl Shared {
    /// A capture, by a name of one digit, or a variable that was set.
    fn value(&self, name: &[u8]) -> Option<Vec<u8>> {
        if let [digit @ b'0'..=b'9'] = name
            && let Some(capture) = self.captures.borrow().get(usize::from(digit - b'0'))
        {
            return Some(capture.clone());
        }
        let variables = self.variables.borrow();
        let known = variables.iter().find(|(known, _)| known == name);
        known.map(|(_, value)| value.clone())
    }

    fn set(&self, name: &[u8], value: Vec<u8>) {
        let name = name.to_ascii_lowercase();
        let mut variables = self.variables.borrow_mut();
        match variables.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => variables.push((name, value)),
        }
    }
}

/// How a page wants times to be shown; noted of its exchange.
struct TimeFormat(Vec<u8>);

fn date(exchange: &Exchange, local: bool, out: &mut Vec<u8>) -> Option<()> {
    let format = exchange.noted::<TimeFormat>();
    let format = format.map_or(TIME_FORMAT, |format| &format.0);
    let now = event::unix_time().0;
    match format == b"%s" {
        true => out.extend_from_slice(now.to_string().as_bytes()),
        false => out.extend_from_slice(&clock::strftime(format, now, local)?),
    }
    Some(())
}

struct SsiFilter(Rc<Settings>);

impl Filter for SsiFilter {
    fn filter(&self, exchange: &Exchange, response: &mut Response) {
        let settings = &self.0;
        if response.body.is_empty()
            || !settings
                .types
                .contains(response.entity.content_type.as_deref())
        {
            return;
        }
        if settings.last_modified {
            response.weaken_etag();
        } else {
            (response.entity.last_modified, response.entity.etag) = (None, None);
        }
        response.forbid_ranges();
        let body = std::mem::take(&mut response.body);
        let page = Page::new(Rc::clone(settings), exchange.twin(), body);
        response.body = Body::Stream(Box::new(page));
    }

    fn sees_subrequests(&self) -> bool {
        true
    }
}
