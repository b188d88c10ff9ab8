//! Variables that are the same for all requests of a moment: the time and the process.

use super::{decimal, seconds, text};
use crate::event;
use crate::exchange::{Moment, Variable};
use crate::log::{clock, syslog};

pub(super) const ROWS: &[Variable] = &[
    Variable::plain(
        "msec",
        "Seconds since 1970, with milliseconds.",
        |_, out| seconds(Moment::now().0, out),
    ),
    Variable::plain(
        "time_local",
        "The local time as the common log format writes it.",
        |_, out| clock::at(event::unix_time().0, |times| text(&times.local, out)),
    ),
    Variable::plain(
        "time_iso8601",
        "The local time in the format of ISO 8601.",
        |_, out| clock::at(event::unix_time().0, |times| text(&times.iso8601, out)),
    ),
    Variable::plain("pid", "The worker's process id.", |_, out| {
        decimal(std::process::id().into(), out)
    }),
    Variable::plain("hostname", "This machine's name.", |_, out| {
        text(syslog::host_name().as_bytes(), out)
    }),
    Variable::plain("nginx_version", "The server's version.", |_, out| {
        text(env!("CARGO_PKG_VERSION").as_bytes(), out)
    }),
];
