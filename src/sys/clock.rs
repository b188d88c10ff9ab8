//! The clocks: monotonic for deadlines, realtime for dates, local time for log lines.

use std::ffi::CString;
use std::mem::MaybeUninit;

/// Milliseconds on the monotonic clock; only differences mean anything.
pub fn monotonic_ms() -> u64 {
    let (seconds, nanos) = read(libc::CLOCK_MONOTONIC);
    seconds.unsigned_abs() * 1000 + u64::from(nanos / 1_000_000)
}

/// Seconds since the Unix epoch and the nanoseconds past them.
pub fn realtime() -> (i64, u32) {
    read(libc::CLOCK_REALTIME)
}

fn read(clock: libc::clockid_t) -> (i64, u32) {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for the answer, and both clocks exist on every Linux.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    (time.tv_sec, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Unix seconds as `format` says (`strftime`), in the local time zone or in Greenwich's. `None` if
/// that is longer than 2 KiB or nothing at all, or if `format` has a NUL byte.
pub fn strftime(format: &[u8], unix_seconds: i64, local: bool) -> Option<Vec<u8>> {
    let format = CString::new(format).ok()?;
    let mut broken_down = MaybeUninit::<libc::tm>::zeroed();
    let mut text = vec![0; 2048];
    // SAFETY: all pointers are valid, the format ends in a NUL byte, and `strftime` writes no more
    // than it is told; a zeroed `tm` is a valid value should breaking down fail.
    let length = unsafe {
        let seconds = &raw const unix_seconds;
        match local {
            true => libc::localtime_r(seconds, broken_down.as_mut_ptr()),
            false => libc::gmtime_r(seconds, broken_down.as_mut_ptr()),
        };
        let room = text.len();
        libc::strftime(
            text.as_mut_ptr().cast(),
            room,
            format.as_ptr(),
            broken_down.as_ptr(),
        )
    };
    text.truncate(length);
    (length > 0).then_some(text)
}

/// A moment as a wall clock in the local time zone shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// The year, all four digits.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60: a leap second counts.
    pub second: u8,
    /// 0 is Sunday.
    pub weekday: u8,
    /// 0 is the first of January.
    pub yearday: u16,
    /// Minutes east of UTC.
    pub offset_minutes: i32,
}

/// Breaks Unix seconds down in the local time zone (`TZ`, `/etc/localtime`).
pub fn local_time(unix_seconds: i64) -> LocalTime {
    let mut broken_down = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are valid; a zeroed `tm` is a valid value should the call fail.
    let tm = unsafe {
        libc::localtime_r(&raw const unix_seconds, broken_down.as_mut_ptr());
        broken_down.assume_init()
    };
    let small = |value: i32| u8::try_from(value).unwrap_or(0);
    LocalTime {
        year: tm.tm_year + 1900,
        month: small(tm.tm_mon + 1),
        day: small(tm.tm_mday),
        hour: small(tm.tm_hour),
        minute: small(tm.tm_min),
        second: small(tm.tm_sec),
        weekday: small(tm.tm_wday),
        yearday: u16::try_from(tm.tm_yday).unwrap_or(0),
        offset_minutes: i32::try_from(tm.tm_gmtoff / 60).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_never_goes_back() {
        let before = monotonic_ms();
        assert!(before > 0);
        assert!(monotonic_ms() >= before);
    }

    #[test]
    fn local_time_and_its_offset_name_the_same_moment() {
        // 2024-02-29 12:34:56 UTC, a leap day.
        let moment = 1_709_210_096;
        let local = local_time(moment);
        assert_eq!(local.year, 2024);
        let since_midnight =
            i64::from(local.hour) * 3600 + i64::from(local.minute) * 60 + i64::from(local.second);
        let shifted = moment + i64::from(local.offset_minutes) * 60;
        assert_eq!(shifted.rem_euclid(86400), since_midnight);
    }
}
