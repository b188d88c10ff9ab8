//! Numbers, sizes and times as nginx writes them.
//!
//! Every function gives `None` for what nginx refuses, overflow included.

use nom::IResult;
use nom::Parser;
use nom::bytes::complete::take_while1;
use nom::combinator::{all_consuming, map_opt};

const MAX: u64 = i64::MAX as u64;

/// Decimal digits only, up to `i64::MAX`.
pub fn number(text: &[u8]) -> Option<u64> {
    all_consuming(digits).parse(text).ok().map(|(_, n)| n)
}

/// Bytes: digits, then `k` or `m` in either case.
pub fn size(text: &[u8]) -> Option<u64> {
    scaled(text, |unit| match unit {
        b'k' => Some(10),
        b'm' => Some(20),
        _ => None,
    })
}

/// A length that may exceed memory: as [`size`], and `g`.
pub fn offset(text: &[u8]) -> Option<u64> {
    scaled(text, |unit| match unit {
        b'k' => Some(10),
        b'm' => Some(20),
        b'g' => Some(30),
        _ => None,
    })
}

/// Milliseconds; a number without a unit counts seconds. From `w` down to `ms`: `1h30m`.
pub fn time_ms(text: &[u8]) -> Option<u64> {
    time(text, true)
}

/// Seconds; a number without a unit counts seconds. From `y` down to `s`: `1y 6M`.
pub fn time_secs(text: &[u8]) -> Option<u64> {
    time(text, false)
}

fn digits(input: &[u8]) -> IResult<&[u8], u64> {
    map_opt(
        take_while1(|b: u8| b.is_ascii_digit()),
        |digits: &[u8]| {
            digits.iter().try_fold(0u64, |sum, digit| {
                let sum = sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
                (sum <= MAX).then_some(sum)
            })
        },
    )
    .parse(input)
}

fn scaled(text: &[u8], shift: fn(u8) -> Option<u32>) -> Option<u64> {
    let (last, rest) = text.split_last()?;
    match shift(last.to_ascii_lowercase()) {
        Some(bits) => number(rest)?.checked_mul(1 << bits).filter(|n| *n <= MAX),
        None => number(text),
    }
}

/// A unit's rank (units must come in falling order, each once) and its length in seconds;
/// `None` for milliseconds.
fn unit(input: &[u8]) -> Option<(u8, Option<u64>, &[u8])> {
    const DAY: u64 = 24 * 60 * 60;
    let (first, rest) = input.split_first()?;
    Some(match first {
        b'y' => (1, Some(365 * DAY), rest),
        b'M' => (2, Some(30 * DAY), rest),
        b'w' => (3, Some(7 * DAY), rest),
        b'd' => (4, Some(DAY), rest),
        b'h' => (5, Some(60 * 60), rest),
        b'm' if rest.first() == Some(&b's') => (8, None, rest.get(1..)?),
        b'm' => (6, Some(60), rest),
        b's' => (7, Some(1), rest),
        b' ' => (9, Some(1), rest),
        _ => return None,
    })
}

/// nginx lets years and months into seconds only, and milliseconds nowhere else.
fn time(mut text: &[u8], millis: bool) -> Option<u64> {
    let scale = if millis { 1000 } else { 1 };
    let mut rank = if millis { 2 } else { 0 };
    let mut total = 0u64;
    let mut seen = false;
    while !text.is_empty() {
        let (rest, value) = digits(text).map_or((text, None), |(rest, n)| (rest, Some(n)));
        seen |= value.is_some();
        let value = value.unwrap_or(0);
        if rest.is_empty() {
            return total
                .checked_add(value.checked_mul(scale)?)
                .filter(|n| *n <= MAX);
        }
        let (next, length, rest) = unit(rest)?;
        let room = rank < next && (next != 9 || rank < 7);
        if !room || (length.is_none() && !millis) {
            return None;
        }
        rank = next;
        let length = length.map_or(Some(1), |length| length.checked_mul(scale))?;
        total = total
            .checked_add(value.checked_mul(length)?)
            .filter(|n| *n <= MAX)?;
        let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
        text = &rest[spaces..];
    }
    seen.then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Table<'a> = &'a [(&'a str, Option<u64>)];

    fn check(parse: fn(&[u8]) -> Option<u64>, table: Table<'_>) {
        for (text, expected) in table {
            assert_eq!(parse(text.as_bytes()), *expected, "{text:?}");
        }
    }

    #[test]
    fn numbers() {
        let table: Table<'_> = &[
            ("0", Some(0)),
            ("0042", Some(42)),
            ("9223372036854775807", Some(MAX)),
            ("9223372036854775808", None),
            ("", None),
            ("-1", None),
            ("1 ", None),
            ("1k", None),
        ];
        check(number, table);
    }

    #[test]
    fn sizes_and_offsets() {
        let table: Table<'_> = &[
            ("10", Some(10)),
            ("8k", Some(8192)),
            ("8K", Some(8192)),
            ("1m", Some(1 << 20)),
            ("k", None),
            ("", None),
            ("1kk", None),
            ("9007199254740991k", Some(9_007_199_254_740_991 << 10)),
            ("9007199254740992k", None),
        ];
        check(size, table);
        check(offset, table);
        check(size, &[("1g", None)]);
        check(
            offset,
            &[
                ("1g", Some(1 << 30)),
                ("2G", Some(2 << 30)),
                ("8589934592g", None),
            ],
        );
    }

    #[test]
    fn milliseconds() {
        let table: Table<'_> = &[
            ("0", Some(0)),
            ("60", Some(60_000)),
            ("500ms", Some(500)),
            ("1s500ms", Some(1500)),
            ("1s 500ms", Some(1500)),
            ("1h30m", Some(5_400_000)),
            ("1m 5", Some(65_000)),
            ("5 ", Some(5000)),
            ("5 5", Some(10_000)),
            ("1w", Some(604_800_000)),
            ("1y", None),
            ("1M", None),
            ("1m1h", None),
            ("1s1s", None),
            ("1ms1s", None),
            ("1s5", Some(6000)),
            ("5 1s", None),
            ("s", None),
            ("", None),
            ("1x", None),
            ("9223372036854775", Some(9_223_372_036_854_775_000)),
            ("9223372036854776", None),
        ];
        check(time_ms, table);
    }

    #[test]
    fn seconds() {
        let table: Table<'_> = &[
            ("60", Some(60)),
            ("1y", Some(31_536_000)),
            ("1y1M1w1d1h1m1s", Some(34_822_861)),
            ("1M1y", None),
            ("500ms", None),
            ("1d12h", Some(129_600)),
        ];
        check(time_secs, table);
    }
}
