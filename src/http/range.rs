//! Range requests (RFC 9110 section 14), read the way nginx reads them.

use std::ops::Range;

/// What a `Range` header asks for, applied to a representation of known length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ranges {
    /// Answer as if there were no `Range` header.
    Ignore,
    /// Answer 416 with [`unsatisfied`] as `Content-Range`.
    Unsatisfiable,
    /// Answer 206 with these stretches, in the order they were asked for; there is at least one.
    Partial(Vec<Range<u64>>),
}

const MOST: u64 = i64::MAX as u64;

/// Reads a `Range` header for a representation of `length` bytes.
///
/// `max_ranges` is the directive of that name, `None` if it is not set. Then many ranges are fine
/// as long as answering them takes no more bytes than the whole.
pub fn parse(header: &[u8], length: u64, max_ranges: Option<usize>) -> Ranges {
    let Some((unit, list)) = header.split_at_checked(6) else {
        return Ranges::Ignore;
    };
    if list.is_empty() || !unit.eq_ignore_ascii_case(b"bytes=") || max_ranges == Some(0) {
        return Ranges::Ignore;
    }
    let mut ranges = Vec::new();
    let mut total = 0u64;
    for item in list.split(|&byte| byte == b',') {
        let Some(range) = one(item, length) else {
            return Ranges::Unsatisfiable;
        };
        if range.start < range.end {
            total = total.saturating_add(range.end - range.start);
            if total > MOST {
                return Ranges::Unsatisfiable;
            }
            ranges.push(range);
            if max_ranges.is_some_and(|most| ranges.len() > most) {
                return Ranges::Ignore;
            }
        } else if range.start == 0 {
            return Ranges::Ignore;
        }
    }
    if ranges.is_empty() {
        return Ranges::Unsatisfiable;
    }
    if ranges.len() > 1 && is_wasteful(&ranges, total, length, max_ranges) {
        return Ranges::Ignore;
    }
    Ranges::Partial(ranges)
}

/// Whether the parts together are larger than the whole, where their heads count if no number of
/// ranges was allowed explicitly.
fn is_wasteful(ranges: &[Range<u64>], total: u64, length: u64, max: Option<usize>) -> bool {
    const PART_HEAD: u64 = 256;
    const TOLERANCE: u64 = 4096;
    let with_heads = total.saturating_add(ranges.len() as u64 * PART_HEAD);
    total > length || (max.is_none() && with_heads > length.saturating_add(TOLERANCE))
}

/// One item of the list, cut to the length; empty if it lies behind the end, `None` if it is wrong.
fn one(item: &[u8], length: u64) -> Option<Range<u64>> {
    let item = trim_spaces(item);
    let dash = memchr::memchr(b'-', item)?;
    let (first, last) = (trim_spaces(&item[..dash]), &item[dash + 1..]);
    if dash == 0 {
        let start = length.saturating_sub(number(last)?);
        return Some(start..length);
    }
    let start = number(first)?;
    let last = trim_spaces(last);
    if last.is_empty() {
        return Some(start..length);
    }
    Some(start..number(last)?.saturating_add(1).min(length))
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value
            .checked_mul(10)?
            .checked_add(digit)
            .filter(|&value| value <= MOST)
    })
}

fn trim_spaces(mut text: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] | [rest @ .., b' '] = text {
        text = rest;
    }
    text
}

/// The `Content-Range` of one stretch of a representation of `length` bytes.
pub fn content_range(range: &Range<u64>, length: u64) -> String {
    format!(
        "bytes {}-{}/{length}",
        range.start,
        range.end.saturating_sub(1)
    )
}

/// The `Content-Range` of a 416 answer.
pub fn unsatisfied(length: u64) -> String {
    format!("bytes */{length}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_of_a_hundred_bytes() {
        use Ranges::{Ignore, Unsatisfiable};
        let partial = |list: &[(u64, u64)]| {
            Ranges::Partial(list.iter().map(|&(start, end)| start..end).collect())
        };
        let cases = [
            ("bytes=0-0", partial(&[(0, 1)])),
            ("BYTES=0-9", partial(&[(0, 10)])),
            ("bytes=10-", partial(&[(10, 100)])),
            ("bytes=-10", partial(&[(90, 100)])),
            ("bytes=-200", partial(&[(0, 100)])),
            ("bytes=0-200", partial(&[(0, 100)])),
            ("bytes= 1 - 2 ", partial(&[(1, 3)])),
            ("bytes=0-1,5-6", partial(&[(0, 2), (5, 7)])),
            ("bytes=0-1, 200-300, -1", partial(&[(0, 2), (99, 100)])),
            ("bytes=0-0,0-98", partial(&[(0, 1), (0, 99)])),
            ("bytes=0-0,0-99", Ignore),
            ("bytes=0-99,0-99", Ignore),
            ("bytes=100-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=200-300", Unsatisfiable),
            ("bytes=5-4", Unsatisfiable),
            ("bytes=a", Unsatisfiable),
            ("bytes=-", Unsatisfiable),
            ("bytes=1", Unsatisfiable),
            ("bytes=1-2x", Unsatisfiable),
            ("bytes=1-2,", Unsatisfiable),
            ("bytes=- 1", Unsatisfiable),
            ("bytes=1 2-3", Unsatisfiable),
            ("bytes=9223372036854775808-", Unsatisfiable),
            ("bytes=0-9223372036854775808", Unsatisfiable),
            ("bytes=0-9223372036854775807", partial(&[(0, 100)])),
            ("bytes=", Ignore),
            ("lines=0-1", Ignore),
            ("", Ignore),
        ];
        for (header, expected) in cases {
            assert_eq!(parse(header.as_bytes(), 100, None), expected, "{header}");
        }
    }

    #[test]
    fn nothing_can_be_taken_from_nothing() {
        assert_eq!(parse(b"bytes=0-", 0, None), Ranges::Ignore);
        assert_eq!(parse(b"bytes=-1", 0, None), Ranges::Ignore);
        assert_eq!(parse(b"bytes=1-", 0, None), Ranges::Unsatisfiable);
    }

    #[test]
    fn the_number_of_ranges_is_limited() {
        let two = b"bytes=0-0,2-2";
        assert_eq!(parse(two, 100, Some(0)), Ranges::Ignore);
        assert_eq!(parse(two, 100, Some(1)), Ranges::Ignore);
        assert_eq!(parse(two, 100, Some(2)), Ranges::Partial(vec![0..1, 2..3]));
        let many = format!("bytes={}", vec!["0-0"; 17].join(","));
        assert_eq!(parse(many.as_bytes(), 100, None), Ranges::Ignore);
        assert!(matches!(
            parse(many.as_bytes(), 100, Some(17)),
            Ranges::Partial(_)
        ));
    }

    #[test]
    fn content_ranges() {
        assert_eq!(content_range(&(0..10), 100), "bytes 0-9/100");
        assert_eq!(unsatisfied(100), "bytes */100");
    }

    proptest! {
        #[test]
        fn parts_lie_inside_the_whole(header in "bytes=[0-9, -]{0,20}", length in 0u64..1000) {
            if let Ranges::Partial(ranges) = parse(header.as_bytes(), length, None) {
                prop_assert!(!ranges.is_empty());
                prop_assert!(ranges.iter().all(|range| range.start < range.end && range.end <= length));
            }
        }
    }
}
