//! Dates in headers (RFC 9110 section 5.6.7) as seconds since 1970.

const DAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// The last second that can be written with a year of four digits.
const LAST: i64 = 253_402_300_799;

/// Writes the time as `Sun, 06 Nov 1994 08:49:37 GMT`; times before 1970 are written as 1970.
pub fn format(seconds: i64) -> [u8; 29] {
    let seconds = seconds.clamp(0, LAST);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil_from_days(days);
    let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    text[..3].copy_from_slice(DAYS[(days % 7) as usize]);
    text[8..11].copy_from_slice(MONTHS[month - 1]);
    let pairs = [
        (5, day),
        (12, year / 100),
        (14, year % 100),
        (17, rest / 3600),
        (20, rest / 60 % 60),
        (23, rest % 60),
    ];
    for (at, value) in pairs {
        text[at] = b'0' + (value / 10) as u8;
        text[at + 1] = b'0' + (value % 10) as u8;
    }
    text
}

/// Reads any of the three forms of a date; `None` if it is none of them.
///
/// As in nginx, the day of the week is not looked at and neither is what follows the time: old
/// browsers append `; length=…` to `If-Modified-Since`.
pub fn parse(text: &[u8]) -> Option<i64> {
    let separator = text.iter().position(|&byte| matches!(byte, b',' | b' '))?;
    let mut reader = Reader {
        rest: &text[separator + 1..],
    };
    reader.skip_spaces();
    if reader.rest.len() < 18 {
        return None;
    }
    let (year, month, day, seconds);
    if text[separator] == b' ' {
        month = reader.month()?;
        reader.byte(b' ')?;
        day = reader.day_of_asctime()?;
        reader.byte(b' ')?;
        seconds = reader.time()?;
        reader.byte(b' ')?;
        year = reader.number(4)?;
    } else {
        day = reader.number(2)?;
        let long = reader.rest.first() == Some(&b' ');
        let between = if long { b' ' } else { b'-' };
        reader.byte(between)?;
        month = reader.month()?;
        reader.byte(between)?;
        year = if long {
            reader.number(4)?
        } else {
            century(reader.number(2)?)
        };
        reader.byte(b' ')?;
        seconds = reader.time()?;
    }
    (1..=days_in(year, month)).contains(&day).then_some(())?;
    Some(days_from_civil(year, month, day) * 86_400 + seconds)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn byte(&mut self, wanted: u8) -> Option<()> {
        self.rest = self.rest.strip_prefix(&[wanted])?;
        Some(())
    }

    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.rest.split_at_checked(digits)?;
        self.rest = rest;
        number.iter().try_fold(0, |value, byte| {
            byte.is_ascii_digit()
                .then(|| value * 10 + i64::from(byte - b'0'))
        })
    }

    /// The month, counted from one.
    fn month(&mut self) -> Option<usize> {
        let (name, rest) = self.rest.split_first_chunk::<3>()?;
        self.rest = rest;
        Some(MONTHS.iter().position(|&month| month == name)? + 1)
    }

    /// The day without or with a space or a zero before a single digit.
    fn day_of_asctime(&mut self) -> Option<i64> {
        self.rest = self.rest.strip_prefix(b" ").unwrap_or(self.rest);
        let digits = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if (1..=2).contains(&digits) {
            self.number(digits)
        } else {
            None
        }
    }

    /// `hh:mm:ss` in seconds.
    fn time(&mut self) -> Option<i64> {
        let hour = self.number(2)?;
        self.byte(b':')?;
        let minute = self.number(2)?;
        self.byte(b':')?;
        let second = self.number(2)?;
        let valid = hour < 24 && minute < 60 && second < 60;
        valid.then_some(hour * 3600 + minute * 60 + second)
    }
}

/// The year two digits stand for.
fn century(year: i64) -> i64 {
    if year < 70 { 2000 + year } else { 1900 + year }
}

fn days_in(year: i64, month: usize) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970. Years start in March here, so that a leap day is the last day of its year.
fn days_from_civil(year: i64, month: usize, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month as i64 + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + day_of_year - 719_468
}

/// Year, month from one and day from one of a day that is not before 1970.
fn civil_from_days(days: i64) -> (i64, usize, i64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month as usize, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn all_three_forms_are_read() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun Nov 06 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 GMT; length=1234",
            "X,   06 Nov 1994 08:49:37",
        ] {
            assert_eq!(parse(text.as_bytes()), Some(784_111_777), "{text}");
        }
        assert_eq!(parse(b"Thu, 29 Feb 2024 00:00:00 GMT"), Some(1_709_164_800));
        assert_eq!(
            parse(b"Wednesday, 01-Jan-69 00:00:00 GMT"),
            Some(3_124_224_000)
        );
    }

    #[test]
    fn wrong_dates_are_refused() {
        for text in [
            "",
            "0",
            "Sun",
            "Sun, 06 Nov 1994",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Wed, 29 Feb 2023 00:00:00 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:60 GMT",
            "Sun, 06-Nov 1994 08:49:37 GMT",
            "Sun Nov 123 08:49:37 1994",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn times_out_of_range_are_clamped() {
        assert_eq!(&format(-1), b"Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(&format(i64::MAX), b"Fri, 31 Dec 9999 23:59:59 GMT");
    }

    proptest! {
        #[test]
        fn parsing_undoes_formatting(seconds in 0..=LAST) {
            prop_assert_eq!(parse(&format(seconds)), Some(seconds));
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds as u64);
            let oracle = httpdate::fmt_http_date(time);
            prop_assert_eq!(&format(seconds)[..], oracle.as_bytes());
        }

        #[test]
        fn any_bytes_are_survived(text: Vec<u8>) {
            parse(&text);
        }
    }
}
