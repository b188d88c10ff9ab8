//! Compressed bodies: made while they are sent (`gzip`, `brotli`, `zstd`) or found beside the file
//! (`gzip_static` …), in the coding the client likes best.
//!
//! Which clients get gzip at all is the core's (`gzip_proxied` …). brotli and zstd have the
//! directives, and the meaning, of the widely used nginx modules of those names.

mod brotli;
mod counted;
mod gzip;
mod idle;
mod precompressed;
mod rows;
mod zstd;

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::rc::Rc;

use self::counted::{Counted, Lengths};
pub use self::precompressed::Precompressed;
use crate::config::{Directive, Module};
use crate::exchange::{Body, Exchange, Filter, Location, Response, Variable};
use crate::http::{MediaTypes, Status};

/// A content coding (RFC 9110 section 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Zstd,
    Brotli,
    Gzip,
}

impl Coding {
    /// All of them; of two that a client likes as much, the first is taken.
    const ALL: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

    /// Its name in `Accept-Encoding` and `Content-Encoding`.
    const fn name(self) -> &'static str {
        match self {
            Coding::Zstd => "zstd",
            Coding::Brotli => "br",
            Coding::Gzip => "gzip",
        }
    }

    /// What the names of files in it end in.
    const fn extension(self) -> &'static str {
        match self {
            Coding::Zstd => ".zst",
            Coding::Brotli => ".br",
            Coding::Gzip => ".gz",
        }
    }

    /// How much the client likes `response` in it, in thousandths.
    fn quality(self, exchange: &Exchange, response: &Response) -> u16 {
        match self {
            Coding::Zstd | Coding::Brotli => exchange.accepts_coding(self.name().as_bytes()),
            Coding::Gzip => exchange.accepts_gzip(response),
        }
    }
}

/// What is compressed and how, in one coding.
#[derive(Clone)]
struct Plan {
    enabled: bool,
    level: i32,
    /// The base-2 logarithm of how far back the coding looks.
    window: u8,
    /// Bodies known to be shorter are sent as they are.
    min_length: u64,
    types: MediaTypes,
}

impl Plan {
    /// Nothing is compressed unless told so.
    fn new(level: i32, window: u8) -> Plan {
        Plan {
            enabled: false,
            level,
            window,
            min_length: 20,
            types: MediaTypes::default(),
        }
    }

    /// Whether `response` is one to compress, for clients that like it.
    fn suits(&self, response: &Response) -> bool {
        self.enabled
            && response
                .body
                .len()
                .is_none_or(|length| length >= self.min_length)
            && self.types.contains(response.entity.content_type.as_deref())
    }
}

/// Compresses bodies while they are sent.
pub struct Compress;

/// What a block says of it, by coding.
#[derive(Clone)]
pub struct Settings {
    plans: [Plan; Coding::ALL.len()],
    /// `zstd_dict_file`.
    dictionary: zstd::Dictionary,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            plans: Coding::ALL.map(|coding| match coding {
                Coding::Zstd => Plan::new(zstd::LEVEL, 0),
                Coding::Brotli => Plan::new(brotli::LEVEL, brotli::WINDOW),
                Coding::Gzip => Plan::new(gzip::LEVEL, gzip::WINDOW),
            }),
            dictionary: None,
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
    const GROUPS: &'static [&'static [Directive<Settings>]] = &[
        gzip::COMMON,
        gzip::OWN,
        brotli::COMMON,
        brotli::OWN,
        zstd::COMMON,
        zstd::OWN,
    ];
    const VARIABLES: &'static [Variable] = &[
        Variable::plain(
            "gzip_ratio",
            "How many times shorter gzip has made the body.",
            |exchange, out| counted::ratio(Coding::Gzip, exchange, out),
        ),
        Variable::plain(
            "brotli_ratio",
            "How many times shorter brotli has made the body.",
            |exchange, out| counted::ratio(Coding::Brotli, exchange, out),
        ),
        Variable::plain(
            "zstd_ratio",
            "How many times shorter zstd has made the body.",
            |exchange, out| counted::ratio(Coding::Zstd, exchange, out),
        ),
    ];

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if settings.plans.iter().any(|plan| plan.enabled) {
            location.filters.push(Rc::clone(settings) as Rc<dyn Filter>);
        }
    }
}

impl Filter for Settings {
    fn filter(&self, exchange: &Exchange, response: &mut Response) {
        let wanted_status = matches!(
            response.status,
            Status::OK | Status::FORBIDDEN | Status::NOT_FOUND
        );
        let encoding = response.headers.get(b"Content-Encoding");
        if !wanted_status || encoding.is_some_and(|value| !value.is_empty()) {
            return;
        }
        let Some((quality, coding)) = self.best(exchange, response) else {
            return;
        };
        if exchange.location.core.compression.vary {
            response.vary_by_encoding();
        }
        match quality {
            0 => {}
            _ => self.compress(response, coding),
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
    fn compress(&self, response: &mut Response, coding: Coding) {
        let lengths = Rc::new(Cell::new((0, 0)));
        let body = std::mem::take(&mut response.body);
        response.body = self.encoded(body, coding, Rc::clone(&lengths));
        response.rare.compressed = Some(lengths);
        response.headers.set("Content-Encoding", coding.name());
        response.forbid_ranges();
        response.weaken_etag();
    }

    fn encoded(&self, body: Body, coding: Coding, lengths: Lengths) -> Body {
        let &Plan { level, window, .. } = &self.plans[coding as usize];
        match coding {
            Coding::Zstd => {
                let zstd = zstd::Zstd::new(level, self.dictionary.clone());
                body.transformed(Counted::new(zstd, lengths))
            }
            Coding::Brotli => {
                let brotli = brotli::Brotli::new(level, window);
                body.transformed(Counted::new(brotli, lengths))
            }
            Coding::Gzip => {
                let gzip = gzip::Gzip::new(level, window);
                body.transformed(Counted::new(gzip, lengths))
            }
        }
    }
}
