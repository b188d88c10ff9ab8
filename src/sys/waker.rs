//! Wakers that are one word: cloning copies the word, dropping does nothing.

use std::marker::PhantomData;
use std::task::{RawWaker, RawWakerVTable, Waker};

/// What waking does with the word.
pub trait WakeWord: 'static {
    /// Called for every `wake`; on whatever thread the waker was taken to.
    fn wake(word: usize);
}

/// A waker that calls `W::wake(word)`.
pub fn from_word<W: WakeWord>(word: usize) -> Waker {
    // SAFETY: the word is never dereferenced, so cloning it is copying it and it needs no
    // release; all four functions may be called from any thread.
    unsafe { Waker::from_raw(raw::<W>(word as *const ())) }
}

fn raw<W: WakeWord>(word: *const ()) -> RawWaker {
    RawWaker::new(word, Table::<W>::VTABLE)
}

struct Table<W>(PhantomData<W>);

impl<W: WakeWord> Table<W> {
    const VTABLE: &'static RawWakerVTable = &RawWakerVTable::new(
        raw::<W>,
        |word| W::wake(word as usize),
        |word| W::wake(word as usize),
        |_| {},
    );
}
