//! The current second as the logs and `Date` write it, put into words once a second.

use std::cell::RefCell;
use std::io::Write;

use crate::sys::clock::{self, LocalTime};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// One second in every form that is needed. All are ASCII and of fixed width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Seconds since 1970.
    pub unix: i64,
    /// `$time_local`: `28/Sep/1970:12:00:00 +0600`.
    pub local: [u8; 26],
    /// `$time_iso8601`: `1970-09-28T12:00:00+06:00`.
    pub iso8601: [u8; 25],
    /// A line of the error log: `1970/09/28 12:00:00`.
    pub error_log: [u8; 19],
    /// A syslog message (RFC 3164, section 4.1.2): `Sep 28 12:00:00`.
    pub syslog: [u8; 15],
    /// `Date` (RFC 9110, section 5.6.7): `Mon, 28 Sep 1970 06:00:00 GMT`.
    pub http: [u8; 29],
}

thread_local! {
    static LATEST: RefCell<Option<Times>> = const { RefCell::new(None) };
}

/// Hands the forms of the second `unix` to `read`. It is put into words only if it was not asked
/// for last.
pub fn at<R>(unix: i64, read: impl FnOnce(&Times) -> R) -> R {
    LATEST.with_borrow_mut(|latest| {
        if latest.as_ref().is_some_and(|times| times.unix != unix) {
            *latest = None;
        }
        read(latest.get_or_insert_with(|| Times::new(unix, &clock::local_time(unix))))
    })
}

/// The forms of this second, by a look at the clock.
pub fn now() -> Times {
    at(clock::realtime().0, |times| *times)
}

impl Times {
    fn new(unix: i64, local: &LocalTime) -> Self {
        let LocalTime {
            year,
            month,
            day,
            hour,
            minute,
            second,
            ..
        } = *local;
        let month_name = MONTHS[usize::from(month.clamp(1, 12)) - 1];
        let sign = if local.offset_minutes < 0 { '-' } else { '+' };
        let offset = local.offset_minutes.unsigned_abs();
        let (east, east_minutes) = (offset / 60, offset % 60);
        Self {
            unix,
            local: fixed(format_args!(
                "{day:02}/{month_name}/{year:04}:{hour:02}:{minute:02}:{second:02} {sign}{east:02}{east_minutes:02}"
            )),
            iso8601: fixed(format_args!(
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{sign}{east:02}:{east_minutes:02}"
            )),
            error_log: fixed(format_args!(
                "{year:04}/{month:02}/{day:02} {hour:02}:{minute:02}:{second:02}"
            )),
            syslog: fixed(format_args!(
                "{month_name} {day:2} {hour:02}:{minute:02}:{second:02}"
            )),
            http: http_date(unix),
        }
    }
}

/// The HTTP date of a second.
fn http_date(unix: i64) -> [u8; 29] {
    let since_1970 = std::time::Duration::from_secs(u64::try_from(unix).unwrap_or(0));
    fixed(format_args!(
        "{}",
        httpdate::HttpDate::from(std::time::UNIX_EPOCH + since_1970)
    ))
}

/// `text` in an array of its size; what does not fit is cut off.
fn fixed<const N: usize>(text: std::fmt::Arguments<'_>) -> [u8; N] {
    let mut bytes = [b' '; N];
    // Only years of five digits are too long, and a cut date beats no log line.
    let _ = (&mut bytes[..]).write_fmt(text);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_moment() {
        let local = LocalTime {
            year: 2026,
            month: 2,
            day: 3,
            hour: 4,
            minute: 5,
            second: 6,
            weekday: 2,
            yearday: 33,
            offset_minutes: -210,
        };
        let times = Times::new(1_770_102_306, &local);
        assert_eq!(&times.local, b"03/Feb/2026:04:05:06 -0330");
        assert_eq!(&times.iso8601, b"2026-02-03T04:05:06-03:30");
        assert_eq!(&times.error_log, b"2026/02/03 04:05:06");
        assert_eq!(&times.syslog, b"Feb  3 04:05:06");
        assert_eq!(&times.http, b"Tue, 03 Feb 2026 07:05:06 GMT");
    }

    #[test]
    fn a_second_is_remembered() {
        for unix in [1_770_102_306, 1_770_102_306, 1_770_102_307] {
            assert_eq!(at(unix, |times| times.unix), unix);
        }
    }
}
