//! A slab whose entries never move, so that futures can live in it without a box each.
//!
//! Entries sit in chunks that are allocated once and freed with the slab: their addresses
//! are stable, which is all that pinning asks for.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::pin::Pin;

const CHUNK: usize = 64;

type Chunk<T> = Box<[UnsafeCell<Option<T>>; CHUNK]>;

/// A growing table of pinned values, addressed by index.
///
/// An entry is lent to one closure at a time; whoever asks for it meanwhile is told that it
/// is absent. New entries may be inserted while others are lent.
pub struct PinSlab<T> {
    chunks: RefCell<Vec<Chunk<T>>>,
    free: RefCell<Vec<u32>>,
    lent: RefCell<Vec<u32>>,
    len: Cell<usize>,
}

impl<T> Default for PinSlab<T> {
    fn default() -> Self {
        PinSlab {
            chunks: RefCell::default(),
            free: RefCell::default(),
            lent: RefCell::default(),
            len: Cell::new(0),
        }
    }
}

/// Takes the entry back when its closure ends, however it ends.
struct Loan<'a, T> {
    slab: &'a PinSlab<T>,
    index: u32,
    cell: &'a UnsafeCell<Option<T>>,
}

impl<T> Drop for Loan<'_, T> {
    fn drop(&mut self) {
        self.slab.lent.borrow_mut().pop();
        // SAFETY: the closure that had the only reference to the entry has returned.
        let vacant = unsafe { (*self.cell.get()).is_none() };
        if vacant {
            self.slab.free.borrow_mut().push(self.index);
            self.slab.len.set(self.slab.len.get() - 1);
        }
    }
}

impl<T> PinSlab<T> {
    /// How many entries are occupied.
    pub fn len(&self) -> usize {
        self.len.get()
    }

    /// Whether no entry is occupied.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One more than the highest index ever handed out.
    pub fn capacity(&self) -> u32 {
        u32::try_from(self.chunks.borrow().len() * CHUNK).unwrap_or(u32::MAX)
    }

    /// Puts a value in a free place and returns its index.
    pub fn insert(&self, value: T) -> u32 {
        let free = self.free.borrow_mut().pop();
        let index = free.unwrap_or_else(|| self.grow());
        if let Some(cell) = self.cell(index) {
            // SAFETY: a free place is lent to nobody, and its value is `None`.
            unsafe { *cell.get() = Some(value) };
        }
        self.len.set(self.len.get() + 1);
        index
    }

    /// Allocates a chunk, lists its places as free, and returns the first of them.
    fn grow(&self) -> u32 {
        let start = self.capacity();
        self.chunks
            .borrow_mut()
            .push(Box::new([const { UnsafeCell::new(None) }; CHUNK]));
        // In reverse, so that low indexes are used first.
        self.free
            .borrow_mut()
            .extend((start + 1..start + CHUNK as u32).rev());
        start
    }

    fn cell(&self, index: u32) -> Option<&UnsafeCell<Option<T>>> {
        let chunks = self.chunks.borrow();
        let cell = chunks
            .get(index as usize / CHUNK)?
            .get(index as usize % CHUNK)?;
        // SAFETY: a chunk is boxed and freed only with the slab, so the reference outlives
        // the borrow of the list of chunks.
        Some(unsafe { &*std::ptr::from_ref(cell) })
    }

    /// Lends the entry at `index`; setting it to `None` drops the value in place and frees
    /// the entry. Returns `None` when the entry is vacant or already lent.
    pub fn with<R>(&self, index: u32, f: impl FnOnce(Pin<&mut Option<T>>) -> R) -> Option<R> {
        if self.lent.borrow().contains(&index) {
            return None;
        }
        let cell = self.cell(index)?;
        // SAFETY: nobody holds a reference to the entry, since it is not lent.
        if unsafe { (*cell.get()).is_none() } {
            return None;
        }
        self.lent.borrow_mut().push(index);
        let _loan = Loan {
            slab: self,
            index,
            cell,
        };
        // SAFETY: `lent` keeps every other caller away until the loan ends, and entries are
        // neither moved nor freed before they are dropped in place.
        Some(f(unsafe { Pin::new_unchecked(&mut *cell.get()) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_reused_and_keep_their_address() {
        let slab = PinSlab::default();
        let indexes: Vec<u32> = (0..200).map(|n| slab.insert(n)).collect();
        let address = |index| slab.with(index, |e| std::ptr::from_ref(&*e) as usize);
        let before = address(indexes[3]);
        slab.with(7, |mut entry| entry.set(None));
        assert_eq!(slab.with(7, |_| ()), None);
        assert_eq!((slab.len(), slab.insert(1000)), (199, 7));
        (0..1000).for_each(|n| {
            slab.insert(n);
        });
        assert_eq!(address(indexes[3]), before);
    }

    #[test]
    fn a_lent_entry_is_absent_for_others() {
        let slab = PinSlab::default();
        let index = slab.insert(1);
        let inner = slab.with(index, |_| {
            let other = slab.insert(2);
            (slab.with(index, |_| ()), slab.with(other, |entry| *entry))
        });
        assert_eq!(inner, Some((None, Some(Some(2)))));
        assert_eq!(slab.with(index, |entry| *entry), Some(Some(1)));
    }

    #[test]
    fn a_panic_returns_the_entry() {
        let slab = PinSlab::default();
        let index = slab.insert(1);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            slab.with(index, |_| std::panic::resume_unwind(Box::new(())))
        }));
        assert!(result.is_err());
        assert_eq!(slab.with(index, |entry| *entry), Some(Some(1)));
    }
}
