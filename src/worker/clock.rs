//! The date as responses carry it, made once a second.

use std::cell::Cell;

use crate::event;
use crate::http::date;

thread_local!(static CLOCK: Cell<(i64, [u8; 29])> = const { Cell::new((i64::MIN, [0; 29])) });

/// Hands the value of `Date` to `read`.
pub fn with_clock<R>(read: impl FnOnce(&[u8]) -> R) -> R {
    let second = event::unix_time().0;
    let (known, mut text) = CLOCK.get();
    if known != second {
        text = date::format(second);
        CLOCK.set((second, text));
    }
    read(&text)
}
