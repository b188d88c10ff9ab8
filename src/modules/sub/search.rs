//! The search for the first of several patterns, in any letter case.

use std::ops::Range;

/// Patterns, ready to be searched for.
pub(super) struct Patterns {
    /// In lower case.
    list: Vec<Box<[u8]>>,
    /// The length of the shortest.
    min: usize,
    /// By the byte (in lower case) where the shortest pattern would end: how far the next place is
    /// at which any pattern can be (Horspool's rule for several patterns).
    shift: [u8; 256],
}

/// What a search comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// No pattern is there or begins there.
    Nothing,
    /// A pattern begins here and runs into the end.
    Begun(usize),
    /// A pattern is there.
    Match {
        /// Where.
        range: Range<usize>,
        /// Which.
        number: usize,
    },
}

impl Patterns {
    /// Patterns in the order of their precedence; none may be empty.
    pub(super) fn new<'a>(list: impl IntoIterator<Item = &'a [u8]>) -> Patterns {
        let list: Vec<Box<[u8]>> = list
            .into_iter()
            .map(|pattern| pattern.to_ascii_lowercase().into())
            .collect();
        let min = list.iter().map(|pattern| pattern.len()).min().unwrap_or(0);
        let most = u8::try_from(min).unwrap_or(u8::MAX);
        let mut shift = [most; 256];
        for pattern in &list {
            for (distance, byte) in (0..most).zip(pattern[..min].iter().rev()) {
                let known = &mut shift[usize::from(*byte)];
                *known = distance.min(*known);
            }
        }
        Patterns { list, min, shift }
    }

    /// The first place from `from` on where a pattern is that is not `used`: the first in the list
    /// of those there.
    pub(super) fn find(&self, text: &[u8], from: usize, used: &[bool]) -> Found {
        if used.iter().all(|used| *used) {
            return Found::Nothing;
        }
        let mut at = from;
        while let Some(candidate) = self.skip(text, at) {
            at = candidate;
            let rest = &text[at..];
            for (number, pattern) in self.list.iter().enumerate() {
                let length = pattern.len().min(rest.len());
                if used[number] || !rest[..length].eq_ignore_ascii_case(&pattern[..length]) {
                    continue;
                }
                return match length == pattern.len() {
                    true => Found::Match {
                        range: at..at + length,
                        number,
                    },
                    false => Found::Begun(at),
                };
            }
            at += 1;
        }
        Found::Nothing
    }

    /// The next place at which a pattern may be or begin; `None` behind the end.
    fn skip(&self, text: &[u8], mut at: usize) -> Option<usize> {
        while let Some(last) = text.get(at + self.min - 1) {
            match self.shift[usize::from(last.to_ascii_lowercase())] {
                0 => return Some(at),
                shift => at += usize::from(shift),
            }
        }
        (at < text.len()).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_and_there_the_first_pattern() {
        let patterns = Patterns::new([&b"Abc"[..], b"bc", b"xyz"]);
        let unused = [false; 3];
        let at = |range, number| Found::Match { range, number };
        let cases = [
            ("--aBC-", at(2..5, 0)),
            ("--bc-abc", at(2..4, 1)),
            ("-----xy", Found::Begun(5)),
            ("------b", Found::Begun(6)),
            ("-------", Found::Nothing),
            ("", Found::Nothing),
        ];
        for (text, expected) in cases {
            assert_eq!(
                patterns.find(text.as_bytes(), 0, &unused),
                expected,
                "{text}"
            );
        }
        assert_eq!(patterns.find(b"abc", 0, &[true, false, false]), at(1..3, 1));
        assert_eq!(patterns.find(b"abc", 0, &[true; 3]), Found::Nothing);
    }
}
