//! `expires`: for how long a response may be kept.

use crate::config::{Mistake, Use, units};
use crate::event;
use crate::exchange::{Exchange, Response, Template};
use crate::http::date;
use crate::sys::clock::local_time;

const DAY: i64 = 24 * 60 * 60;

/// What one `expires` says.
#[derive(Clone)]
pub struct Expires {
    /// Written with `modified`: the time counts from the last modification.
    modified: bool,
    when: When,
}

#[derive(Clone)]
enum When {
    Fixed(Moment),
    Computed(Template),
}

/// A value of `expires`; times are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// `off`: nothing is said.
    Off,
    /// `epoch`: it may not be kept.
    Epoch,
    /// `max`: ten years.
    Max,
    /// So long after the response, or after its modification.
    After(i64),
    /// `@15h30m`: the next time it is so late, by local time.
    Daily(i64),
}

impl Expires {
    /// Reads the arguments; `None` for `off`.
    ///
    /// # Errors
    /// A value that is none.
    pub fn parse(d: &Use<'_>) -> Result<Option<Expires>, Mistake> {
        let modified = d.count() == 2;
        if modified && d.arg(0) != b"modified" {
            return Err(d.complaint(0, "invalid value"));
        }
        let last = d.count() - 1;
        let template = d.template(last)?;
        let when = match template.literal() {
            None => When::Computed(template),
            Some(value) => match Moment::parse(value, modified) {
                Ok(Moment::Off) => return Ok(None),
                Ok(moment) => When::Fixed(moment),
                Err(what) => return Err(d.complaint(last, what)),
            },
        };
        Ok(Some(Expires { modified, when }))
    }

    /// Sets `Expires` and `Cache-Control`; a value made of variables that is none is passed over.
    pub fn apply(&self, exchange: &Exchange, response: &mut Response) {
        let moment = match &self.when {
            When::Fixed(moment) => *moment,
            When::Computed(template) => {
                let expand = || template.expand(exchange).into_owned();
                let text = exchange.speaking_of(response, expand);
                match Moment::parse(&text, self.modified) {
                    Ok(moment) => moment,
                    Err(_) => return,
                }
            }
        };
        let (now, _) = event::unix_time();
        let modified = response.entity.last_modified.filter(|_| self.modified);
        let Some((expires, max_age)) = moment.resolve(now, modified) else {
            return;
        };
        response
            .headers
            .set("Expires", date::format(expires).to_vec());
        match max_age {
            Some(seconds) => response
                .headers
                .set("Cache-Control", format!("max-age={seconds}")),
            None => response.headers.set("Cache-Control", "no-cache"),
        }
    }
}

impl Moment {
    fn parse(value: &[u8], modified: bool) -> Result<Moment, &'static str> {
        match value {
            b"epoch" if !modified => return Ok(Moment::Epoch),
            b"max" if !modified => return Ok(Moment::Max),
            b"off" if !modified => return Ok(Moment::Off),
            _ => {}
        }
        let (sign, digits) = match value.split_first() {
            Some((sign @ (b'@' | b'+' | b'-'), digits)) => (*sign, digits),
            _ => (b'+', value),
        };
        if sign == b'@' && modified {
            return Err("daily time cannot be used with \"modified\" parameter");
        }
        let seconds = units::time_secs(digits).and_then(|seconds| i64::try_from(seconds).ok());
        let seconds = seconds.ok_or("invalid value")?;
        match sign {
            b'@' if seconds > DAY => Err("daily time value must be less than 24 hours"),
            b'@' => Ok(Moment::Daily(seconds)),
            b'-' => Ok(Moment::After(-seconds)),
            _ => Ok(Moment::After(seconds)),
        }
    }

    /// When the response expires, and the age up to which it may be kept, if it may.
    fn resolve(self, now: i64, modified: Option<i64>) -> Option<(i64, Option<i64>)> {
        const LAST: i64 = 2_145_916_555; // Thu, 31 Dec 2037 23:55:55 GMT
        let (expires, age) = match self {
            Moment::Off => return None,
            Moment::Epoch => return Some((1, None)),
            Moment::Max => (LAST, 315_360_000),
            Moment::After(0) => (now, 0),
            Moment::After(seconds) => {
                let expires = modified.unwrap_or(now).saturating_add(seconds);
                (expires, expires.saturating_sub(now))
            }
            Moment::Daily(time) => {
                let expires = next(time, now);
                (expires, expires - now)
            }
        };
        let stale = age < 0 || matches!(self, Moment::After(..0));
        Some((expires, Some(age).filter(|_| !stale)))
    }
}

/// When it is `time` seconds after midnight next, by local time.
fn next(time: i64, now: i64) -> i64 {
    let local = local_time(now);
    let midnight = now
        - (i64::from(local.hour) * 3600 + i64::from(local.minute) * 60 + i64::from(local.second));
    let today = midnight + time;
    if today > now {
        return today;
    }
    // A day on which the clocks are changed has not 24 hours.
    let tomorrow = today + DAY;
    tomorrow - i64::from(local_time(tomorrow).offset_minutes - local.offset_minutes) * 60
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        use Moment::{After, Daily, Epoch, Max, Off};
        const WITH_MODIFIED: &str = "daily time cannot be used with \"modified\" parameter";
        const TOO_LATE: &str = "daily time value must be less than 24 hours";
        let cases = [
            ("epoch", Ok(Epoch), Err("invalid value")),
            ("max", Ok(Max), Err("invalid value")),
            ("off", Ok(Off), Err("invalid value")),
            ("2048", Ok(After(2048)), Ok(After(2048))),
            ("+1h", Ok(After(3600)), Ok(After(3600))),
            ("-1d", Ok(After(-86_400)), Ok(After(-86_400))),
            ("@15h30m33s", Ok(Daily(55_833)), Err(WITH_MODIFIED)),
            ("@24h", Ok(Daily(86_400)), Err(WITH_MODIFIED)),
            ("@25h", Err(TOO_LATE), Err(WITH_MODIFIED)),
            ("", Err("invalid value"), Err("invalid value")),
            ("-", Err("invalid value"), Err("invalid value")),
            ("soon", Err("invalid value"), Err("invalid value")),
        ];
        for (value, plain, modified) in cases {
            assert_eq!(Moment::parse(value.as_bytes(), false), plain, "{value}");
            assert_eq!(
                Moment::parse(value.as_bytes(), true),
                modified,
                "modified {value}"
            );
        }
    }

    #[test]
    fn moments_become_dates_and_ages() {
        use Moment::{After, Epoch, Max, Off};
        let now = 1_000_000;
        let cases = [
            (Off, None, None),
            (Epoch, None, Some((1, None))),
            (Max, None, Some((2_145_916_555, Some(315_360_000)))),
            (After(0), Some(5), Some((now, Some(0)))),
            (After(60), None, Some((now + 60, Some(60)))),
            (After(60), Some(now - 20), Some((now + 40, Some(40)))),
            (After(60), Some(now - 100), Some((now - 40, None))),
            (After(-60), None, Some((now - 60, None))),
            (After(-60), Some(now + 100), Some((now + 40, None))),
        ];
        for (moment, modified, expected) in cases {
            assert_eq!(moment.resolve(now, modified), expected, "{moment:?}");
        }
    }

    #[test]
    fn the_next_time_of_day_is_within_a_day() {
        let now = 1_700_000_000;
        for time in [0, 1, 55_833, DAY] {
            let at = next(time, now);
            assert!(at > now && at <= now + DAY, "{time}: {at}");
            let local = local_time(at);
            let since_midnight = i64::from(local.hour) * 3600
                + i64::from(local.minute) * 60
                + i64::from(local.second);
            assert_eq!(since_midnight, time % DAY);
        }
    }
}
