//! Complaints about logs that cannot be written: one a minute, or they would fill the error log.

use std::cell::Cell;

/// How many seconds pass between two complaints.
const INTERVAL: i64 = 60;

/// Remembers when the last complaint was made, in seconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    last: Cell<i64>,
}

impl Complaints {
    /// Whether one may be made now; if so, it counts as made.
    pub(super) fn allowed(&self, now: i64) -> bool {
        let allowed = now - self.last.get() >= INTERVAL;
        if allowed {
            self.last.set(now);
        }
        allowed
    }
}
