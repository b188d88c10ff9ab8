//! What all workers together count of connections and requests (`stub_status`).
//!
//! A worker does one thing at a time, so a request that never has to wait is seen by nobody while
//! it is read or answered: gauges count only what waits.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sys::shm::SharedMap;

/// What is counted; the places are those in the shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// The number of the last connection, which its log lines carry.
    Number,
    /// Connections accepted.
    Accepted,
    /// Connections that were then served.
    Handled,
    /// Requests.
    Requests,
    /// Open connections.
    Active,
    /// Connections on which a request is being read.
    Reading,
    /// Connections on which a request is being answered.
    Writing,
}

thread_local!(static SHARED: OnceCell<Rc<SharedMap>> = const { OnceCell::new() });

/// Has this worker count in `memory`, which it shares with the others.
pub fn count_in(memory: Rc<SharedMap>) {
    // A worker is started once.
    let _ = SHARED.with(|shared| shared.set(memory));
}

impl Count {
    /// Counts one more; returns how many there were.
    pub fn increase(self) -> u64 {
        self.with(|word| word.fetch_add(1, Ordering::Relaxed))
    }

    /// How many there are.
    pub fn get(self) -> u64 {
        self.with(|word| word.load(Ordering::Relaxed))
    }

    /// How many there are in `memory`, for a process that counts nothing itself.
    pub fn get_from(self, memory: &SharedMap) -> u64 {
        let word = memory.words().get(self as usize);
        word.map_or(0, |word| word.load(Ordering::Relaxed))
    }

    fn decrease(self) {
        self.with(|word| word.fetch_sub(1, Ordering::Relaxed));
    }

    /// Where it is counted; 0 outside of workers.
    fn with(self, use_word: impl FnOnce(&AtomicU64) -> u64) -> u64 {
        SHARED.with(|shared| {
            let word = shared.get().and_then(|map| map.words().get(self as usize));
            word.map_or(0, use_word)
        })
    }
}

/// Counts one for as long as it lives; takes no memory, for idle connections have it.
pub struct Gauge<const COUNT: u8>(());

/// See [`Count::Active`].
pub const ACTIVE: u8 = Count::Active as u8;
/// See [`Count::Reading`].
pub const READING: u8 = Count::Reading as u8;
/// See [`Count::Writing`].
pub const WRITING: u8 = Count::Writing as u8;

impl<const COUNT: u8> Gauge<COUNT> {
    const WHAT: Count = match COUNT {
        READING => Count::Reading,
        WRITING => Count::Writing,
        _ => Count::Active,
    };

    /// Counts from now on.
    pub fn new() -> Self {
        Self::WHAT.increase();
        Gauge(())
    }
}

impl<const COUNT: u8> Default for Gauge<COUNT> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const COUNT: u8> Drop for Gauge<COUNT> {
    fn drop(&mut self) {
        Self::WHAT.decrease();
    }
}
