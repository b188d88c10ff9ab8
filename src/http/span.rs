//! A stretch of a buffer, kept as two offsets instead of a borrow.

use std::ops::Range;

/// Offsets of the first byte and of the byte after the last one.
///
/// A parsed head is a set of spans into the connection's buffer: it borrows nothing, so it can be
/// kept, reused and moved together with the bytes it describes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset just behind the last byte.
    pub end: u32,
}

impl Span {
    /// The span from `start` up to, not including, `end`.
    ///
    /// Buffers are far below 4 GiB (their limits are directives), so the offsets always fit.
    pub const fn new(start: usize, end: usize) -> Span {
        Span {
            start: start as u32,
            end: end as u32,
        }
    }

    /// The number of bytes.
    pub const fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// Whether there is no byte in it.
    pub const fn is_empty(self) -> bool {
        self.end <= self.start
    }

    /// The bytes it describes; none if `buffer` is not the one it was made for.
    pub fn of(self, buffer: &[u8]) -> &[u8] {
        buffer.get(self.range()).unwrap_or_default()
    }

    /// The same stretch as a range, for slicing.
    pub const fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The same stretch seen from a buffer in which it begins `distance` bytes later.
    pub const fn shifted(self, distance: usize) -> Span {
        Span {
            start: self.start + distance as u32,
            end: self.end + distance as u32,
        }
    }
}
