//! Coarse time: the clocks are read once a turn of the loop.

use super::executor;
use crate::sys::clock;
use std::num::NonZeroU64;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment on the monotonic clock, in milliseconds. `Option<Instant>` is one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(NonZeroU64);

impl Instant {
    pub(super) fn from_ms(ms: u64) -> Instant {
        Instant(NonZeroU64::MIN.saturating_add(ms.saturating_sub(1)))
    }

    /// The same on the clock that all processes of the machine share, in milliseconds.
    pub fn ms(self) -> u64 {
        self.0.get()
    }

    /// How long after `earlier` this is; zero if it is not after.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_millis(self.ms().saturating_sub(earlier.ms()))
    }

    /// How long ago this was, by the loop's clock.
    pub fn elapsed(self) -> Duration {
        now().since(self)
    }
}

/// Rounds up to whole milliseconds, so that no deadline comes early.
impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, duration: Duration) -> Instant {
        let part = u64::from(duration.subsec_nanos().div_ceil(1_000_000));
        let ms = duration.as_secs().saturating_mul(1000).saturating_add(part);
        Instant(self.0.saturating_add(ms))
    }
}

impl Sub for Instant {
    type Output = Duration;
    fn sub(self, earlier: Instant) -> Duration {
        self.since(earlier)
    }
}

/// Both clocks, as read at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub(super) instant: Instant,
    pub(super) unix: (i64, u32),
}

impl Reading {
    pub(super) fn take() -> Reading {
        let (seconds, nanos) = clock::realtime();
        Reading {
            instant: Instant::from_ms(clock::monotonic_ms()),
            unix: (seconds, nanos / 1_000_000),
        }
    }
}

/// The monotonic time at which this turn of the loop began; the actual time where no loop
/// runs.
pub fn now() -> Instant {
    executor::reading().instant
}

/// The Unix time at which this turn of the loop began: seconds and milliseconds.
pub fn unix_time() -> (i64, u32) {
    executor::reading().unix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_round_up_and_saturate() {
        let start = Instant::from_ms(1000);
        let cases = [
            (Duration::ZERO, 1000),
            (Duration::from_nanos(1), 1001),
            (Duration::from_millis(5), 1005),
            (Duration::from_micros(5001), 1006),
            (Duration::MAX, u64::MAX),
        ];
        for (duration, ms) in cases {
            assert_eq!((start + duration).ms(), ms);
        }
        assert_eq!(start - (start + Duration::from_secs(1)), Duration::ZERO);
        assert_eq!(size_of::<Option<Instant>>(), 8);
    }
}
