//! Compressors that wait for later bodies: to make one costs as much as to compress some kilobytes.

use std::cell::RefCell;

/// How many of a kind a worker keeps.
const MAX_IDLE: usize = 16;

/// A worker's idle compressors, each with what it was made for.
pub(super) struct Idle<K, T>(RefCell<Vec<(K, T)>>);

impl<K: PartialEq, T> Idle<K, T> {
    pub(super) const fn new() -> Idle<K, T> {
        Idle(RefCell::new(Vec::new()))
    }

    /// One that was made for `key`.
    pub(super) fn take(&self, key: &K) -> Option<T> {
        let mut idle = self.0.borrow_mut();
        let at = idle.iter().position(|(known, _)| known == key)?;
        Some(idle.swap_remove(at).1)
    }

    /// Keeps one for later, unless enough wait already.
    pub(super) fn put(&self, key: K, item: T) {
        let mut idle = self.0.borrow_mut();
        if idle.len() < MAX_IDLE {
            idle.push((key, item));
        }
    }
}
