//! One header line (RFC 9112 section 5), as strict and as lenient as nginx.

use crate::http::{KnownHeader, Span, word};

/// What a line of a header section turned out to be; spans count from the start of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldLine {
    /// So far nothing is wrong; the line has no end yet.
    Partial,
    /// The empty line that ends the section, and its length with the line end.
    End(usize),
    /// A field, and the length of its line with the line end.
    Field {
        /// The name as it was sent.
        name: Span,
        /// Which header that is, if the server knows it.
        known: KnownHeader,
        /// The value without surrounding spaces; empty, too, if there was no colon.
        value: Span,
        /// The name has only letters, digits, `-` and, if allowed, `_`.
        valid: bool,
        /// The length of the line with its end.
        length: usize,
    },
    /// The byte at this offset may not stand there.
    Invalid(usize),
}

/// A byte that may be in a name if `_` may.
const UNDERSCORE: u8 = 1;
/// A byte that makes a name invalid.
const ODD: u8 = 2;

/// What each byte means in a name; 0 for letters, digits and dashes.
static KINDS: [u8; 256] = {
    let mut table = [ODD; 256];
    let mut byte = 0;
    while byte < 256 {
        match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => table[byte] = 0,
            b'_' => table[byte] = UNDERSCORE,
            _ => {}
        }
        byte += 1;
    }
    table
};

/// Parses the header line at the start of `input`; `underscores` says whether `_` may be in a name.
pub fn parse(input: &[u8], underscores: bool) -> FieldLine {
    match input.first() {
        None => FieldLine::Partial,
        Some(b'\n') => FieldLine::End(1),
        Some(b'\r') => match input.get(1) {
            None => FieldLine::Partial,
            Some(b'\n') => FieldLine::End(2),
            Some(_) => FieldLine::Invalid(1),
        },
        Some(_) => field(input, underscores),
    }
}

fn field(input: &[u8], underscores: bool) -> FieldLine {
    let name = Name::at_start(input, underscores);
    match input.get(name.end) {
        None => FieldLine::Partial,
        Some(b':') if name.end > 0 => value(input, name),
        // A line without a colon is a field without a value: nginx takes it so.
        Some(b'\r' | b'\n') if name.end > 0 => {
            finish(input, name.end, name, Span::new(name.end, name.end))
        }
        Some(_) => FieldLine::Invalid(name.end),
    }
}

/// The name a line begins with.
#[derive(Clone, Copy)]
struct Name {
    end: usize,
    known: KnownHeader,
    valid: bool,
}

impl Name {
    /// What stands before the first colon, space or control byte.
    fn at_start(input: &[u8], underscores: bool) -> Name {
        let stop = word::position(
            input,
            |word| word.below(b'!').or(word.equal(b':')).or(word.equal(0x7f)),
            |byte| matches!(byte, 0..=b' ' | b':' | 0x7f),
        );
        let end = stop.unwrap_or(input.len());
        let name = &input[..end];
        let known = KnownHeader::from_name(name);
        let kinds = match known {
            KnownHeader::Other => name
                .iter()
                .fold(0, |kinds, &byte| kinds | KINDS[byte as usize]),
            // What the server knows has nothing but letters and dashes.
            _ => 0,
        };
        Name {
            end,
            known,
            valid: kinds & ODD == 0 && (underscores || kinds & UNDERSCORE == 0),
        }
    }
}

fn value(input: &[u8], name: Name) -> FieldLine {
    let mut start = name.end + 1;
    while input.get(start) == Some(&b' ') {
        start += 1;
    }
    let Some(stop) = value_end(input, start) else {
        return FieldLine::Partial;
    };
    if input[stop] == 0 {
        return FieldLine::Invalid(stop);
    }
    let mut end = stop;
    while end > start && input[end - 1] == b' ' {
        end -= 1;
    }
    finish(input, stop, name, Span::new(start, end))
}

/// Where a value that begins at `start` meets a line feed, a carriage return or a NUL byte.
fn value_end(input: &[u8], mut start: usize) -> Option<usize> {
    const LAST: u8 = b'\r';
    loop {
        let rest = input.get(start..)?;
        let low = word::position(rest, |word| word.below(LAST + 1), |byte| byte <= LAST)?;
        start += low;
        if matches!(input[start], b'\n' | b'\r' | 0) {
            return Some(start);
        }
        // The others up to there, such as a tab, are nothing special.
        start += 1;
    }
}

/// Steps over the line end at `stop`: a line feed, with any number of carriage returns before it.
fn finish(input: &[u8], stop: usize, name: Name, value: Span) -> FieldLine {
    let mut end = stop;
    while input.get(end) == Some(&b'\r') {
        end += 1;
    }
    match input.get(end) {
        None => FieldLine::Partial,
        Some(b'\n') => FieldLine::Field {
            name: Span::new(0, name.end),
            known: name.known,
            value,
            valid: name.valid,
            length: end + 1,
        },
        Some(_) => FieldLine::Invalid(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values() {
        let cases = [
            ("Host: a\r\n", "Host", "a", true),
            ("Host:a\n", "Host", "a", true),
            ("Host:   a b  \r\n", "Host", "a b", true),
            ("Host:\r\n", "Host", "", true),
            ("Host:    \r\n", "Host", "", true),
            ("Host\r\n", "Host", "", true),
            ("Host: a\r\r\n", "Host", "a", true),
            ("A: \tb\t\n", "A", "\tb\t", true),
            ("A: b:c\n", "A", "b:c", true),
            ("a_b: c\n", "a_b", "c", false),
            ("a.b: c\n", "a.b", "c", false),
            ("\u{e4}: c\n", "\u{e4}", "c", false),
        ];
        for (text, name, value, valid) in cases {
            let input = text.as_bytes();
            let FieldLine::Field {
                name: n,
                value: v,
                valid: is_valid,
                length,
                ..
            } = parse(input, false)
            else {
                panic!("{text:?}: {:?}", parse(input, false));
            };
            assert_eq!(
                (n.of(input), v.of(input)),
                (name.as_bytes(), value.as_bytes()),
                "{text:?}"
            );
            assert_eq!((is_valid, length), (valid, text.len()), "{text:?}");
        }
    }

    #[test]
    fn underscores_may_be_allowed() {
        assert!(matches!(
            parse(b"a_b: c\n", true),
            FieldLine::Field { valid: true, .. }
        ));
    }

    #[test]
    fn ends_and_errors() {
        let cases = [
            ("", FieldLine::Partial),
            ("\r", FieldLine::Partial),
            ("A", FieldLine::Partial),
            ("A:", FieldLine::Partial),
            ("A: b", FieldLine::Partial),
            ("A: b\r", FieldLine::Partial),
            ("\r\nX", FieldLine::End(2)),
            ("\nX", FieldLine::End(1)),
            ("\rX", FieldLine::Invalid(1)),
            (" folded\r\n", FieldLine::Invalid(0)),
            (": a\r\n", FieldLine::Invalid(0)),
            ("A b: c\r\n", FieldLine::Invalid(1)),
            ("A : c\r\n", FieldLine::Invalid(1)),
            ("A\0: c\r\n", FieldLine::Invalid(1)),
            ("A: b\0c\r\n", FieldLine::Invalid(4)),
            ("A: b\rc\r\n", FieldLine::Invalid(5)),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text.as_bytes(), false), expected, "{text:?}");
        }
    }
}
