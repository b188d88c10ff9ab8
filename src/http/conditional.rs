//! Conditional requests (RFC 9110 section 13), decided the way nginx decides them.

use super::date;

/// The conditions a request states, each the value of the header of that name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions<'a> {
    /// `If-Match`
    pub if_match: Option<&'a [u8]>,
    /// `If-None-Match`
    pub if_none_match: Option<&'a [u8]>,
    /// `If-Modified-Since`
    pub if_modified_since: Option<&'a [u8]>,
    /// `If-Unmodified-Since`
    pub if_unmodified_since: Option<&'a [u8]>,
}

impl Conditions<'_> {
    /// Whether the request states none.
    pub fn is_empty(&self) -> bool {
        self.if_match.is_none()
            && self.if_none_match.is_none()
            && self.if_modified_since.is_none()
            && self.if_unmodified_since.is_none()
    }
}

/// What is known about the representation that would be sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Validators<'a> {
    /// Its entity tag with quotes and, if weak, `W/`.
    pub etag: Option<&'a [u8]>,
    /// When it was last modified, in seconds since 1970.
    pub last_modified: Option<i64>,
    /// The same as clients were told, where that is at hand.
    pub date: Option<[u8; 29]>,
}

/// How `If-Modified-Since` is compared (`if_modified_since`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IfModifiedSince {
    /// Not at all: always modified.
    Off,
    /// The times must be the same.
    #[default]
    Exact,
    /// The modification must not be later.
    Before,
}

/// What the conditions mean for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Answer as if there were no conditions.
    Proceed,
    /// Answer 304.
    NotModified,
    /// Answer 412.
    PreconditionFailed,
}

/// Compares the conditions with the representation. For answers that would have been 200.
pub fn evaluate(conditions: &Conditions, found: &Validators, mode: IfModifiedSince) -> Verdict {
    if conditions
        .if_unmodified_since
        .is_some_and(|since| !is_unmodified(since, found))
    {
        return Verdict::PreconditionFailed;
    }
    if conditions
        .if_match
        .is_some_and(|list| !matches(list, found.etag, Strength::Strong))
    {
        return Verdict::PreconditionFailed;
    }
    let (since, none_match) = (conditions.if_modified_since, conditions.if_none_match);
    if since.is_none() && none_match.is_none() {
        return Verdict::Proceed;
    }
    // Where both are there, both must say that nothing changed.
    if since.is_some_and(|since| is_modified(since, found, mode)) {
        return Verdict::Proceed;
    }
    if none_match.is_some_and(|list| !matches(list, found.etag, Strength::Weak)) {
        return Verdict::Proceed;
    }
    Verdict::NotModified
}

/// Whether an `If-Range` header lets the `Range` header count.
pub fn if_range_holds(if_range: &[u8], found: &Validators) -> bool {
    if if_range.len() >= 2 && if_range.ends_with(b"\"") {
        return found.etag == Some(if_range);
    }
    found
        .last_modified
        .is_some_and(|modified| time(if_range) == modified)
}

/// A time that cannot be read is before all times.
fn time(text: &[u8]) -> i64 {
    date::parse(text).unwrap_or(-1)
}

fn is_unmodified(since: &[u8], found: &Validators) -> bool {
    found
        .last_modified
        .is_some_and(|modified| time(since) >= modified)
}

fn is_modified(since: &[u8], found: &Validators, mode: IfModifiedSince) -> bool {
    let Some(modified) = found.last_modified else {
        return true;
    };
    // Most clients give back what they were told.
    if found.date.is_some_and(|date| date == since) {
        return mode == IfModifiedSince::Off;
    }
    match mode {
        IfModifiedSince::Off => true,
        IfModifiedSince::Exact => time(since) != modified,
        IfModifiedSince::Before => time(since) < modified,
    }
}

/// Whether `W/` makes a difference (RFC 9110 section 8.8.3.2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strength {
    Strong,
    Weak,
}

/// Whether the entity tag is in the list.
fn matches(list: &[u8], etag: Option<&[u8]>, strength: Strength) -> bool {
    if list == b"*" {
        return true;
    }
    let Some(mut etag) = etag else { return false };
    let opaque = |tag| {
        if strength == Strength::Weak {
            without_weak_mark(tag)
        } else {
            tag
        }
    };
    etag = opaque(etag);
    let mut rest = list;
    while !rest.is_empty() {
        // A tag may itself hold commas, so the list is not split but compared from tag to tag.
        if let Some(behind) = opaque(rest).strip_prefix(etag)
            && matches!(behind.trim_ascii_start(), [] | [b',', ..])
        {
            return true;
        }
        let comma = memchr::memchr(b',', rest).unwrap_or(rest.len());
        rest = &rest[comma..];
        while let [b' ' | b'\t' | b',', behind @ ..] = rest {
            rest = behind;
        }
    }
    false
}

fn without_weak_mark(tag: &[u8]) -> &[u8] {
    match tag.strip_prefix(b"W/") {
        Some(opaque) if !opaque.is_empty() => opaque,
        _ => tag,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &[u8] = b"Sun, 06 Nov 1994 08:49:36 GMT";
    const EXACT: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &[u8] = b"Sun, 06 Nov 1994 08:49:38 GMT";

    const FOUND: Validators = Validators {
        etag: Some(b"\"a\""),
        last_modified: Some(784_111_777),
        date: None,
    };
    const WEAK: Validators = Validators {
        etag: Some(b"W/\"a\""),
        last_modified: None,
        date: None,
    };
    const NOTHING: Validators = Validators {
        etag: None,
        last_modified: None,
        date: None,
    };

    fn verdict(conditions: Conditions, found: &Validators) -> Verdict {
        evaluate(&conditions, found, IfModifiedSince::Exact)
    }

    #[test]
    fn lists_of_entity_tags() {
        let cases: [(&[u8], Validators, bool, bool); 13] = [
            (b"\"a\"", FOUND, true, true),
            (b"*", NOTHING, true, true),
            (b"\"a\"", NOTHING, false, false),
            (b"\"b\", \"a\"", FOUND, true, true),
            (b"\"b\",,\t\"a\" ,\"c\"", FOUND, true, true),
            (b"W/\"a\"", FOUND, false, true),
            (b"\"a\"", WEAK, false, true),
            (b"W/\"a\"", WEAK, true, true),
            (b"\"ab\"", FOUND, false, false),
            (b"\"a\"b", FOUND, false, false),
            (b"a", FOUND, false, false),
            (b"", FOUND, false, false),
            (b"*, \"b\"", FOUND, false, false),
        ];
        for (list, found, strong, weak) in cases {
            let text = String::from_utf8_lossy(list);
            assert_eq!(
                matches(list, found.etag, Strength::Strong),
                strong,
                "{text}"
            );
            assert_eq!(matches(list, found.etag, Strength::Weak), weak, "{text}");
        }
    }

    #[test]
    fn if_modified_since_by_mode() {
        use IfModifiedSince::{Before, Exact, Off};
        use Verdict::{NotModified, Proceed};
        let cases = [
            (BEFORE, [Proceed, Proceed, Proceed]),
            (EXACT, [Proceed, NotModified, NotModified]),
            (AFTER, [Proceed, Proceed, NotModified]),
            (b"garbage", [Proceed, Proceed, Proceed]),
        ];
        for (since, expected) in cases {
            let conditions = Conditions {
                if_modified_since: Some(since),
                ..Conditions::default()
            };
            let told = Validators {
                date: Some(date::format(784_111_777)),
                ..FOUND
            };
            for found in [FOUND, told] {
                let got = [Off, Exact, Before].map(|mode| evaluate(&conditions, &found, mode));
                assert_eq!(got, expected, "{}", String::from_utf8_lossy(since));
            }
        }
    }

    #[test]
    fn preconditions_come_first_and_both_caches_must_agree() {
        use Verdict::{NotModified, PreconditionFailed, Proceed};
        let none = Conditions::default();
        let cases = [
            (none, Proceed),
            (
                Conditions {
                    if_none_match: Some(b"\"a\""),
                    ..none
                },
                NotModified,
            ),
            (
                Conditions {
                    if_none_match: Some(b"\"b\""),
                    ..none
                },
                Proceed,
            ),
            (
                Conditions {
                    if_none_match: Some(b"\"a\""),
                    if_modified_since: Some(BEFORE),
                    ..none
                },
                Proceed,
            ),
            (
                Conditions {
                    if_none_match: Some(b"\"b\""),
                    if_modified_since: Some(EXACT),
                    ..none
                },
                Proceed,
            ),
            (
                Conditions {
                    if_match: Some(b"\"b\""),
                    ..none
                },
                PreconditionFailed,
            ),
            (
                Conditions {
                    if_match: Some(b"\"a\""),
                    ..none
                },
                Proceed,
            ),
            (
                Conditions {
                    if_unmodified_since: Some(BEFORE),
                    ..none
                },
                PreconditionFailed,
            ),
            (
                Conditions {
                    if_unmodified_since: Some(b"x"),
                    ..none
                },
                PreconditionFailed,
            ),
            (
                Conditions {
                    if_unmodified_since: Some(AFTER),
                    ..none
                },
                Proceed,
            ),
            (
                Conditions {
                    if_unmodified_since: Some(AFTER),
                    if_match: Some(b"*"),
                    if_none_match: Some(b"*"),
                    ..none
                },
                NotModified,
            ),
        ];
        for (conditions, expected) in cases {
            assert_eq!(verdict(conditions, &FOUND), expected, "{conditions:?}");
        }
        let unmodified = Conditions {
            if_unmodified_since: Some(AFTER),
            ..none
        };
        assert_eq!(verdict(unmodified, &NOTHING), PreconditionFailed);
    }

    #[test]
    fn if_range() {
        assert!(if_range_holds(b"\"a\"", &FOUND));
        assert!(!if_range_holds(b"\"b\"", &FOUND));
        assert!(!if_range_holds(b"W/\"a\"", &FOUND));
        assert!(if_range_holds(b"W/\"a\"", &WEAK));
        assert!(if_range_holds(EXACT, &FOUND));
        assert!(!if_range_holds(AFTER, &FOUND));
        assert!(!if_range_holds(EXACT, &NOTHING));
        assert!(!if_range_holds(b"\"a\"", &NOTHING));
    }
}
