//! The date as responses carry it, made once a second.

use std::cell::Cell;

use crate::event;
use crate::http::date;

/// `Date: Sun, 06 Nov 1994 08:49:37 GMT` and the end of the line.
type Line = [u8; 37];

thread_local!(static LINE: Cell<(i64, Line)> = const { Cell::new((i64::MIN, [0; 37])) });

/// Appends the field `Date`.
pub fn append_date(out: &mut Vec<u8>) {
    let second = event::unix_time().0;
    let (known, mut line) = LINE.get();
    if known != second {
        line = *b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
        line[6..35].copy_from_slice(&date::format(second));
        LINE.set((second, line));
    }
    out.extend_from_slice(&line);
}
