//! Values by range of IPv4 addresses.
//!
//! As in nginx, ranges are cut where the upper half of the address changes, and what overlaps is
//! judged piece by piece: a range may be put into a larger one, or take its place.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// A table of ranges.
pub struct Ranges<T> {
    /// By the upper half of the address, in order and without overlap.
    pieces: BTreeMap<u16, Vec<Piece<T>>>,
}

/// Part of a range: lower halves of addresses.
#[derive(Clone)]
struct Piece<T> {
    start: u16,
    end: u16,
    value: T,
}

/// Whether a range fits.
#[derive(Debug, PartialEq, Eq)]
pub enum Fit {
    /// It was added.
    Free,
    /// Not all of it was, for it overlaps this one.
    Overlaps(Ipv4Addr, Ipv4Addr),
}

impl<T> Default for Ranges<T> {
    fn default() -> Ranges<T> {
        Ranges {
            pieces: BTreeMap::new(),
        }
    }
}

impl<T: Clone> Ranges<T> {
    /// Adds a range; `replaced` is told of the values that it takes the place of.
    pub fn insert(
        &mut self,
        start: Ipv4Addr,
        end: Ipv4Addr,
        value: T,
        replaced: impl Fn(&T),
    ) -> Fit {
        for (upper, start, end) in cut(start, end) {
            let pieces = self.pieces.entry(upper).or_default();
            let value = value.clone();
            if let Err(hit) = insert(pieces, Piece { start, end, value }, &replaced) {
                let address =
                    |lower| Ipv4Addr::from_bits(u32::from(upper) << 16 | u32::from(lower));
                return Fit::Overlaps(address(pieces[hit].start), address(pieces[hit].end));
            }
        }
        Fit::Free
    }

    /// Takes a range out; `false` unless it was there as a whole.
    pub fn remove(&mut self, start: Ipv4Addr, end: Ipv4Addr) -> bool {
        let mut complete = true;
        for (upper, start, end) in cut(start, end) {
            let pieces = self.pieces.entry(upper).or_default();
            let before = pieces.len();
            pieces.retain(|piece| (piece.start, piece.end) != (start, end));
            complete &= pieces.len() < before;
        }
        complete
    }

    /// The value of the range that `address` is in.
    pub fn find(&self, address: Ipv4Addr) -> Option<&T> {
        let bits = address.to_bits();
        let (upper, lower) = ((bits >> 16) as u16, bits as u16);
        let pieces = self.pieces.get(&upper)?;
        let piece = pieces.get(pieces.partition_point(|piece| piece.end < lower))?;
        (piece.start <= lower).then_some(&piece.value)
    }
}

/// The pieces of a range: upper half, first and last lower half.
fn cut(start: Ipv4Addr, end: Ipv4Addr) -> impl Iterator<Item = (u16, u16, u16)> {
    let halves = |address: Ipv4Addr| ((address.to_bits() >> 16) as u16, address.to_bits() as u16);
    let ((first, start), (last, end)) = (halves(start), halves(end));
    (first..=last).map(move |upper| {
        let start = if upper == first { start } else { 0 };
        (upper, start, if upper == last { end } else { u16::MAX })
    })
}

/// Adds a piece, or gives the place of the one it overlaps.
fn insert<T: Clone>(
    pieces: &mut Vec<Piece<T>>,
    new: Piece<T>,
    replaced: &impl Fn(&T),
) -> Result<(), usize> {
    let at = pieces.partition_point(|piece| piece.end < new.start);
    // As nginx, the last of those it overlaps is the one that counts.
    let behind = pieces.partition_point(|piece| piece.start <= new.end);
    if at >= behind {
        pieces.insert(at, new);
        return Ok(());
    }
    let hit = behind - 1;
    let old = pieces[hit].clone();
    if (old.start, old.end) == (new.start, new.end) {
        replaced(&old.value);
        pieces[hit].value = new.value;
        return Ok(());
    }
    if new.start < old.start || old.end < new.end {
        return Err(hit);
    }
    // It lies in the old one, of which what is left stays on either side.
    let left = (old.start < new.start).then(|| Piece {
        end: new.start - 1,
        ..old.clone()
    });
    let right = (new.end < old.end).then(|| Piece {
        start: new.end + 1,
        ..old
    });
    let parts = left.into_iter().chain([new]).chain(right);
    pieces.splice(hit..=hit, parts.collect::<Vec<_>>());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(bits: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(bits)
    }

    proptest! {
        #[test]
        fn the_last_range_that_fits_decides(
            ranges in prop::collection::vec((0_u32..60, 0_u32..60, any::<u8>()), 0..12),
        ) {
            let mut table = Ranges::default();
            let mut naive = [None; 60];
            // Around the place where ranges are cut.
            let base = 0x0a01_0000 - 30;
            for (start, length, value) in ranges {
                let end = (start + length).min(59);
                let before = naive;
                let fit = table.insert(address(base + start), address(base + end), value, |_| {});
                if fit == Fit::Free {
                    naive[start as usize..=end as usize].fill(Some(value));
                } else {
                    // Pieces before the one that does not fit are there.
                    for (at, entry) in naive.iter_mut().enumerate() {
                        *entry = table.find(address(base + at as u32)).copied();
                        prop_assert!(*entry == before[at] || *entry == Some(value));
                    }
                }
                for (at, entry) in naive.iter().enumerate() {
                    prop_assert_eq!(table.find(address(base + at as u32)), entry.as_ref());
                }
            }
        }
    }
}
