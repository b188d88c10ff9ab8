//! Patterns in an order, of which the first that matches counts.
//!
//! One search for all of them at once tells which can match at all, so that a long list costs
//! little more than one pattern.

use std::cell::OnceCell;
use std::rc::Rc;

use regex::bytes::{RegexSet, RegexSetBuilder, SetMatches};

use super::pattern::{Captures, LimitExceeded, Pattern};

/// Lists shorter than this are searched one by one at once.
const WORTHWHILE: usize = 4;

/// A list of patterns.
#[derive(Debug, Default)]
pub struct Patterns {
    list: Vec<Rc<Pattern>>,
    /// All of them as one, once needed; `None` if that can't be had.
    set: OnceCell<Option<RegexSet>>,
}

impl Patterns {
    /// Adds a pattern at the end; the first has number 0.
    pub fn push(&mut self, pattern: Rc<Pattern>) {
        self.list.push(pattern);
        self.set = OnceCell::new();
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The number of the first pattern that is found in `subject`; its groups are written to
    /// `captures`.
    ///
    /// # Errors
    /// One before it took too long, so it may have been that one.
    pub fn first_match(
        &self,
        subject: &[u8],
        captures: &mut Captures,
    ) -> Result<Option<usize>, LimitExceeded> {
        self.first(subject, |_, pattern| {
            pattern.try_captures(subject, captures)
        })
    }

    /// The number of the first pattern that `is_found` in `subject`.
    ///
    /// # Errors
    /// That of `is_found`, which then is not asked again.
    pub fn first(
        &self,
        subject: &[u8],
        mut is_found: impl FnMut(usize, &Pattern) -> Result<bool, LimitExceeded>,
    ) -> Result<Option<usize>, LimitExceeded> {
        let candidates = self.candidates(subject);
        for (number, pattern) in self.list.iter().enumerate() {
            if candidates.as_ref().is_none_or(|set| set.matched(number))
                && is_found(number, pattern)?
            {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// Which patterns may be found in `subject`; `None`: any of them.
    fn candidates(&self, subject: &[u8]) -> Option<SetMatches> {
        if self.list.len() < WORTHWHILE {
            return None;
        }
        let set = self.set.get_or_init(|| self.build()).as_ref()?;
        // There a final `$` means something else to the linear engine.
        (subject.last() != Some(&b'\n')).then(|| set.matches(subject))
    }

    /// Those that backtrack take part as one that is found everywhere.
    fn build(&self) -> Option<RegexSet> {
        let linear = self.list.iter().map(|pattern| pattern.linear_source());
        let sources = linear.map(Option::unwrap_or_default);
        RegexSetBuilder::new(sources).unicode(false).build().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PATTERNS: [&str; 9] = [
        "^/a",
        "b$",
        "(?=c)",
        "(a)(b)?",
        "^$",
        "a.c",
        "B",
        r"^/a(?!b)",
        "a|b",
    ];

    fn list(numbers: &[usize], ignore_case: bool) -> Patterns {
        let mut list = Patterns::default();
        for number in numbers {
            list.push(Rc::new(
                Pattern::new(PATTERNS[*number], ignore_case).unwrap(),
            ));
        }
        list
    }

    #[test]
    fn the_case_matters_to_some() {
        let mut patterns = list(&[6, 6, 6], false);
        patterns.push(Rc::new(Pattern::new("(b)", true).unwrap()));
        let mut captures = Captures::new();
        assert_eq!(patterns.first_match(b"xb", &mut captures), Ok(Some(3)));
        assert_eq!(captures.get(1), Some((1, 2)));
        assert_eq!(patterns.first_match(b"xBb", &mut captures), Ok(Some(0)));
        assert_eq!(patterns.first_match(b"x", &mut captures), Ok(None));
    }

    proptest! {
        #[test]
        fn it_is_as_if_they_were_tried_one_by_one(
            numbers in prop::collection::vec(0..PATTERNS.len(), 0..12),
            subject in "[/abc\n]{0,6}",
            ignore_case: bool,
        ) {
            let patterns = list(&numbers, ignore_case);
            let (mut captures, mut expected) = (Captures::new(), Captures::new());
            let found = patterns.first_match(subject.as_bytes(), &mut captures).unwrap();
            let first = patterns.list.iter().position(|pattern| {
                pattern.captures(subject.as_bytes(), &mut expected)
            });
            prop_assert_eq!(found, first);
            prop_assert_eq!(captures, expected);
        }
    }
}
