//! Limits that hold for all workers together: of the rate of requests (`limit_req`) and of the
//! requests in progress (`limit_conn`), each by a key.

pub mod conn;
pub mod req;

use std::borrow::Cow;

use crate::config::context::HTTP_SERVER_LOCATION;
use crate::config::{Directive, Mistake, Use, directive};
use crate::exchange::{Exchange, Template};
use crate::http::Status;
use crate::log::level::Level;

/// How requests beyond a limit are treated.
#[derive(Clone, Copy)]
struct Refusal {
    /// At which level that is logged.
    level: Level,
    status: Status,
    /// Whether it is only logged.
    dry_run: bool,
}

impl Default for Refusal {
    fn default() -> Refusal {
        Refusal {
            level: Level::Error,
            status: Status::SERVICE_UNAVAILABLE,
            dry_run: false,
        }
    }
}

const LEVELS: &[(&str, Level)] = &[
    ("info", Level::Info),
    ("notice", Level::Notice),
    ("warn", Level::Warn),
    ("error", Level::Error),
];

/// Settings that say how requests beyond a limit are treated.
trait Refuses {
    fn refusal(&mut self) -> &mut Refusal;
}

/// The row of `…_log_level`.
const fn log_level<S: Refuses>(name: &'static str) -> Directive<S> {
    directive(name)
        .syntax("info | notice | warn | error")
        .default("error")
        .contexts(HTTP_SERVER_LOCATION)
        .set(|settings, d| {
            settings.refusal().level = d.one_of(0, LEVELS)?;
            Ok(())
        })
}

/// The row of `…_status`.
const fn status<S: Refuses>(name: &'static str) -> Directive<S> {
    directive(name)
        .syntax("code")
        .default("503")
        .contexts(HTTP_SERVER_LOCATION)
        .set(|settings, d| {
            settings.refusal().status = match d.number(0)? {
                code @ 400..=599 => Status(code as u16),
                _ => return Err(d.mistake(0, "value must be between 400 and 599")),
            };
            Ok(())
        })
}

/// The row of `…_dry_run`.
const fn dry_run<S: Refuses>(name: &'static str) -> Directive<S> {
    directive(name)
        .syntax("on | off")
        .default("off")
        .contexts(HTTP_SERVER_LOCATION)
        .flag()
        .set(|settings, d| {
            settings.refusal().dry_run = d.flag()?;
            Ok(())
        })
}

/// What requests are counted by, and how that was written.
struct ZoneKey {
    template: Template,
    text: Box<[u8]>,
}

impl ZoneKey {
    /// Reads the first argument.
    fn parse(d: &Use<'_>) -> Result<ZoneKey, Mistake> {
        Ok(ZoneKey {
            template: d.template(0)?,
            text: d.arg(0).into(),
        })
    }

    /// The key of a request; `None` if it is empty, and so not counted, or longer than `most` bytes.
    fn value<'a>(&'a self, exchange: &Exchange, most: usize) -> Option<Cow<'a, [u8]>> {
        let value = self.template.expand(exchange);
        if value.len() > most {
            let text = String::from_utf8_lossy;
            let (key, value) = (text(&self.text), text(&value));
            let message = format_args!(
                "the value of the \"{key}\" key is more than {most} bytes: \"{value}\""
            );
            exchange.log(Level::Error, message);
        }
        Some(value).filter(|value| (1..=most).contains(&value.len()))
    }

    /// That a zone has one key.
    fn taken(&self, d: &Use<'_>, name: &[u8]) -> Mistake {
        let text = String::from_utf8_lossy;
        let (directive, name, key) = (text(d.name()), text(name), text(&self.text));
        d.mistake(
            1,
            format!("{directive} \"{name}\" is already bound to key \"{key}\""),
        )
    }
}

/// That a directive names no zone.
fn no_zone(d: &Use<'_>) -> Mistake {
    let name = String::from_utf8_lossy(d.name());
    d.mistake(0, format!("\"{name}\" must have \"zone\" parameter"))
}
