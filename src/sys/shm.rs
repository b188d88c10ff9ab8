//! Memory shared by the processes that are forked after it was made.

use std::io;
use std::mem::MaybeUninit;
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

/// Words that processes take turns at. They are zeroes at first, and again after whoever had
/// them died or panicked half-way through a change.
#[derive(Debug)]
pub struct LockedMap {
    map: SharedMap,
}

/// The words at the start of the mapping that the lock takes.
const LOCK_WORDS: usize = size_of::<libc::pthread_mutex_t>().div_ceil(size_of::<u64>());

impl LockedMap {
    /// Maps at least `bytes` bytes besides the lock.
    ///
    /// # Errors
    /// As [`SharedMap::new`].
    pub fn new(bytes: usize) -> io::Result<LockedMap> {
        let map = SharedMap::new(LOCK_WORDS * size_of::<u64>() + bytes)?;
        let locked = LockedMap { map };
        make_mutex(locked.mutex())?;
        Ok(locked)
    }

    /// Does `work` while no other process has the words.
    ///
    /// # Panics
    /// When `work` asks for the same words again.
    pub fn with<R>(&self, work: impl FnOnce(&mut [u64]) -> R) -> R {
        // SAFETY: the mutex was made by `new` and lives as long as self.
        let code = unsafe { libc::pthread_mutex_lock(self.mutex()) };
        assert!(
            code == 0 || code == libc::EOWNERDEAD,
            "words in use are asked for"
        );
        let mut turn = Turn {
            map: self,
            was_panicking: std::thread::panicking(),
        };
        if code == libc::EOWNERDEAD {
            turn.words().fill(0);
            // SAFETY: this thread has just become the mutex's owner.
            unsafe { libc::pthread_mutex_consistent(self.mutex()) };
        }
        work(turn.words())
    }

    fn mutex(&self) -> *mut libc::pthread_mutex_t {
        self.map.start.as_ptr().cast()
    }
}

/// The time for which this process has the words.
struct Turn<'a> {
    map: &'a LockedMap,
    was_panicking: bool,
}

impl Turn<'_> {
    fn words(&mut self) -> &mut [u64] {
        let map = &self.map.map;
        // SAFETY: the mapping is `words` words long, of which the lock has the first. Whoever has
        // the turn has the others for itself, and there is one `Turn` at a time.
        unsafe {
            let start = map.start.as_ptr().cast::<u64>().add(LOCK_WORDS);
            std::slice::from_raw_parts_mut(start, map.words - LOCK_WORDS)
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.was_panicking {
            self.words().fill(0);
        }
        // SAFETY: this thread has locked it.
        unsafe { libc::pthread_mutex_unlock(self.map.mutex()) };
    }
}

/// Makes a mutex that processes share, that tells when its owner died, and that refuses to be
/// locked twice by one.
fn make_mutex(mutex: *mut libc::pthread_mutex_t) -> io::Result<()> {
    let mut attributes = MaybeUninit::uninit();
    let attributes: *mut libc::pthread_mutexattr_t = attributes.as_mut_ptr();
    // SAFETY: the attributes are made before they are used and destroyed after; the mutex is
    // zeroed memory of its size that nobody else knows yet.
    let code = unsafe {
        let made = libc::pthread_mutexattr_init(attributes);
        if made != 0 {
            return Err(io::Error::from_raw_os_error(made));
        }
        libc::pthread_mutexattr_settype(attributes, libc::PTHREAD_MUTEX_ERRORCHECK);
        libc::pthread_mutexattr_setpshared(attributes, libc::PTHREAD_PROCESS_SHARED);
        libc::pthread_mutexattr_setrobust(attributes, libc::PTHREAD_MUTEX_ROBUST);
        let code = libc::pthread_mutex_init(mutex, attributes);
        libc::pthread_mutexattr_destroy(attributes);
        code
    };
    match code {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
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

    #[test]
    fn locked_words_are_kept_between_turns() {
        let map = LockedMap::new(1000).unwrap();
        map.with(|words| {
            assert_eq!(words.len(), 125);
            assert!(words.iter().all(|word| *word == 0));
            words[124] = 7;
        });
        assert_eq!(map.with(|words| words[124]), 7);
    }

    #[test]
    fn whoever_panics_leaves_zeroes() {
        let map = LockedMap::new(8).unwrap();
        let panicked = std::panic::catch_unwind(|| {
            map.with(|words| {
                words[0] = 1;
                panic!("half-way");
            })
        });
        assert!(panicked.is_err());
        assert_eq!(map.with(|words| words[0]), 0);
    }

    #[test]
    fn whoever_dies_leaves_zeroes() {
        let map = std::sync::Arc::new(LockedMap::new(8).unwrap());
        map.with(|words| words[0] = 1);
        // A thread that ends with the lock is to the kernel what a process is.
        let theirs = std::sync::Arc::clone(&map);
        let thread = std::thread::spawn(move || {
            // SAFETY: the mutex is the map's, which lives on.
            unsafe { libc::pthread_mutex_lock(theirs.mutex()) };
        });
        thread.join().unwrap();
        assert_eq!(map.with(|words| words[0]), 0);
        assert_eq!(map.with(|words| words[0]), 0);
    }

    #[test]
    #[should_panic = "words in use are asked for"]
    fn nobody_takes_a_turn_within_a_turn() {
        let map = LockedMap::new(8).unwrap();
        map.with(|_| map.with(|_| ()));
    }
}
