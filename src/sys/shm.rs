//! Memory shared by the processes that are forked after it was made.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

/// An anonymous shared mapping, zeroed. It is shared by fork and unmapped when dropped.
#[derive(Debug)]
pub struct SharedMap {
    start: NonNull<AtomicU64>,
    words: usize,
}

// SAFETY: all access goes through atomics, and the mapping belongs to no thread.
unsafe impl Send for SharedMap {}
// SAFETY: as above.
unsafe impl Sync for SharedMap {}

impl SharedMap {
    /// Maps at least `bytes` bytes.
    ///
    /// # Errors
    /// `InvalidInput` for 0 bytes, and the kernel's when it has no memory.
    pub fn new(bytes: usize) -> io::Result<SharedMap> {
        let words = bytes.div_ceil(size_of::<AtomicU64>());
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        // SAFETY: a new anonymous mapping touches no memory in use.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                words * size_of::<AtomicU64>(),
                protection,
                flags,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(SharedMap { start, words })
    }

    /// The memory, as words that any of the processes may change at any time.
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned, zeroed, `words` long and lives as long as self.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.words) }
    }
}

impl Drop for SharedMap {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no reference to it outlives self.
        unsafe {
            libc::munmap(
                self.start.as_ptr().cast(),
                self.words * size_of::<AtomicU64>(),
            )
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn it_starts_as_zeroes_and_keeps_what_is_stored() {
        let map = SharedMap::new(4097).unwrap();
        assert_eq!(map.words().len(), 513);
        assert!(map.words().iter().all(|word| word.load(Relaxed) == 0));
        map.words()[512].store(7, Relaxed);
        assert_eq!(map.words()[512].fetch_add(1, Relaxed), 7);
        assert!(SharedMap::new(0).is_err());
    }
}
