//! Complaints about logs that cannot be written: one a minute, or they would fill the error log.

use std::cell::Cell;
use std::fmt;

use super::facade;
use super::level::Level;

/// How many seconds pass between two complaints.
const INTERVAL: i64 = 60;

/// Remembers when the error log last heard of a problem, in seconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    last: Cell<i64>,
}

impl Complaints {
    /// Tells the error log of `problem`, unless it heard of one a moment ago.
    pub(super) fn alert(&self, now: i64, problem: impl fmt::Display) {
        if now - self.last.get() >= INTERVAL {
            self.last.set(now);
            facade::main().log(Level::Alert, None, format_args!("{problem}"));
        }
    }
}
