//! Limits that hold for all workers together: of the rate of requests (`limit_req`) and of the
//! requests in progress (`limit_conn`), each by a key.

pub mod conn;
pub mod req;

use crate::config::{Mistake, Use};
use crate::exchange::Template;
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

/// Reads the status requests beyond a limit are answered with.
fn status(d: &Use<'_>) -> Result<Status, Mistake> {
    match d.number(0)? {
        code @ 400..=599 => Ok(Status(code as u16)),
        _ => Err(d.mistake(0, "value must be between 400 and 599")),
    }
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
