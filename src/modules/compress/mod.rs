//! Compressed bodies: made while they are sent (`gzip`) or found beside the file
//! (`gzip_static`), in the coding the client likes best.
//!
//! Which clients get gzip at all is the core's (`gzip_proxied` …).

mod counted;
mod gzip;
mod precompressed;

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::rc::Rc;

use self::counted::Counted;
pub use self::precompressed::Precompressed;
use crate::config::{Directive, Module};
use crate::exchange::{Body, Exchange, Filter, Location, Response, Variable};
use crate::http::{MediaTypes, Status};

/// A content coding (RFC 9110 section 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
}

impl Coding {
    /// All of them; of two that a client likes as much, the first is taken.
    const ALL: [Coding; 1] = [Coding::Gzip];

    /// Its name in `Accept-Encoding` and `Content-Encoding`.
    const fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
        }
    }

    /// What the names of files in it end in.
    const fn extension(self) -> &'static str {
        match self {
            Coding::Gzip => ".gz",
        }
    }

    /// How much the client likes `response` in it, in thousandths.
    fn quality(self, exchange: &Exchange, response: &Response) -> u16 {
        match self {
            Coding::Gzip => exchange.accepts_gzip(response),
        }
    }
}

/// What is compressed and how, in one coding.
#[derive(Clone)]
struct Plan {
    enabled: bool,
    level: u32,
    /// The base-2 logarithm of how far back the coding looks.
    window: u8,
    /// Bodies known to be shorter are sent as they are.
    min_length: u64,
    types: MediaTypes,
}

impl Plan {
    /// Whether `response` is one to compress, for clients that like it.
    fn suits(&self, response: &Response) -> bool {
        self.enabled
            && response
                .body
                .len()
                .is_none_or(|length| length >= self.min_length)
            && self.types.contains(response.content_type.as_deref())
    }
}

/// Compresses bodies while they are sent.
pub struct Compress;

/// What a block says of it, by coding.
#[derive(Clone)]
pub struct Settings {
    plans: [Plan; Coding::ALL.len()],
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            plans: Coding::ALL.map(|coding| match coding {
                Coding::Gzip => gzip::plan(),
            }),
        }
    }
}

impl Settings {
    fn plan(&mut self, coding: Coding) -> &mut Plan {
        &mut self.plans[coding as usize]
    }
}

impl Module for Compress {
    type Settings = Settings;
    const NAME: &'static str = "compress";
    const DIRECTIVES: &'static [Directive<Settings>] = &[];
    const GROUPS: &'static [&'static [Directive<Settings>]] = &[gzip::ROWS];
    const VARIABLES: &'static [Variable] = &[Variable::plain(
        "gzip_ratio",
        "How many times shorter gzip has made the body.",
        |exchange, out| counted::ratio(Coding::Gzip, exchange, out),
    )];

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if settings.plans.iter().any(|plan| plan.enabled) {
            location.filters.push(Rc::clone(settings) as Rc<dyn Filter>);
        }
    }
}

impl Filter for Settings {
    fn filter(&self, exchange: &Exchange, mut response: Response) -> Response {
        let wanted_status = matches!(
            response.status,
            Status::OK | Status::FORBIDDEN | Status::NOT_FOUND
        );
        let encoding = response.headers.get(b"Content-Encoding");
        if !wanted_status || encoding.is_some_and(|value| !value.is_empty()) {
            return response;
        }
        let Some((quality, coding)) = self.best(exchange, &response) else {
            return response;
        };
        if exchange.location.core.compression.vary {
            response.vary_by_encoding();
        }
        match quality {
            0 => response,
            _ => compressed(response, coding, &self.plans[coding as usize]),
        }
    }
}

impl Settings {
    /// The coding that the client likes best, and how much, of those that suit the response.
    fn best(&self, exchange: &Exchange, response: &Response) -> Option<(u16, Coding)> {
        let mut best = None;
        for coding in Coding::ALL {
            if self.plans[coding as usize].suits(response) {
                let quality = coding.quality(exchange, response);
                match best {
                    Some((known, _)) if known >= quality => {}
                    _ => best = Some((quality, coding)),
                }
            }
        }
        best
    }
}

fn compressed(mut response: Response, coding: Coding, plan: &Plan) -> Response {
    let lengths = Rc::new(Cell::new((0, 0)));
    let body = std::mem::take(&mut response.body);
    response.body = encode(body, coding, plan, Rc::clone(&lengths));
    response.compressed = Some(lengths);
    response.headers.set("Content-Encoding", coding.name());
    response.forbid_ranges();
    response.weaken_etag();
    response
}

fn encode(body: Body, coding: Coding, plan: &Plan, lengths: Rc<Cell<(u64, u64)>>) -> Body {
    match coding {
        Coding::Gzip => body.transformed(Counted::new(
            gzip::Gzip::new(plan.level, plan.window),
            lengths,
        )),
    }
}
