//! Looking at eight bytes at once, as one word.
//!
//! A mark is the top bit of a byte. The lowest mark is always right; those above it may be wrong,
//! since a subtraction borrows from the bytes above.

const ONES: u64 = 0x0101_0101_0101_0101;
const MARKS: u64 = 0x80 * ONES;

/// Eight bytes, the first of them lowest.
#[derive(Clone, Copy)]
pub struct Word(u64);

/// Which of the bytes are marked.
#[derive(Clone, Copy)]
pub struct Marks(u64);

impl Word {
    /// The word these bytes make.
    pub fn new(bytes: &[u8; 8]) -> Word {
        Word(u64::from_le_bytes(*bytes))
    }

    /// Marks the bytes below `limit`, which is 128 at most.
    pub fn below(self, limit: u8) -> Marks {
        Marks(self.0.wrapping_sub(u64::from(limit) * ONES) & !self.0)
    }

    /// Marks the bytes that are `byte`.
    pub fn equal(self, byte: u8) -> Marks {
        Word(self.0 ^ (u64::from(byte) * ONES)).below(1)
    }

    /// Marks the bytes from 128 on.
    pub fn beyond_ascii(self) -> Marks {
        Marks(self.0)
    }
}

impl Marks {
    /// The marks of both.
    pub fn or(self, other: Marks) -> Marks {
        Marks(self.0 | other.0)
    }

    /// The place of the first marked byte.
    pub fn first(self) -> Option<usize> {
        let marks = self.0 & MARKS;
        (marks != 0).then_some((marks.trailing_zeros() / 8) as usize)
    }
}

/// The place of the first byte that is marked, in words by `mark` and in what is left by `is_marked`.
#[inline]
pub fn position(
    bytes: &[u8],
    mark: impl Fn(Word) -> Marks,
    is_marked: impl Fn(u8) -> bool,
) -> Option<usize> {
    let (words, rest) = bytes.as_chunks();
    for (number, word) in words.iter().enumerate() {
        if let Some(place) = mark(Word::new(word)).first() {
            return Some(number * 8 + place);
        }
    }
    let place = rest.iter().position(|byte| is_marked(*byte))?;
    Some(words.len() * 8 + place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_mark_is_where_it_should_be(bytes: [u8; 8], limit in 0u8..=128, byte: u8) {
            let word = Word::new(&bytes);
            let place = |is: &dyn Fn(u8) -> bool| bytes.iter().position(|byte| is(*byte));
            prop_assert_eq!(word.below(limit).first(), place(&|other| other < limit));
            prop_assert_eq!(word.equal(byte).first(), place(&|other| other == byte));
            prop_assert_eq!(word.beyond_ascii().first(), place(&|other| other > 127));
            let either = word.below(limit).or(word.equal(byte));
            prop_assert_eq!(either.first(), place(&|other| other < limit || other == byte));
        }

        #[test]
        fn words_and_what_is_left_are_searched_alike(bytes: Vec<u8>) {
            let found = position(&bytes, |word| word.below(9), |byte| byte < 9);
            prop_assert_eq!(found, bytes.iter().position(|&byte| byte < 9));
        }
    }
}
