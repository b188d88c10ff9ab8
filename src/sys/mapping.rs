//! Files mapped into memory, to be sent and for nothing else.
//!
//! What is cut off a file while it is mapped is gone from the mapping as well. Whoever touches it
//! then is killed (SIGBUS); the kernel, told to send it, says `EFAULT`. So no byte of a mapping
//! is touched here, and none can be borrowed.
#![allow(unsafe_code)]

use super::socket;
use std::cell::Cell;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;

/// How many mappings a thread may have: the kernel limits those of a process, and memory for
/// everything else needs some, too.
const MOST: usize = 4096;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

/// A file's bytes as the page cache holds them, now and later.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<libc::c_void>,
    length: usize,
}

impl Mapping {
    /// Maps the first `length` bytes of `file`.
    ///
    /// # Errors
    /// The file system can't do that, or there are too many mappings.
    pub fn new(file: BorrowedFd<'_>, length: u64) -> io::Result<Mapping> {
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
        if COUNT.get() >= MOST {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let (read, shared) = (libc::PROT_READ, libc::MAP_SHARED);
        // SAFETY: a new mapping where the kernel finds room touches no memory in use.
        let start = unsafe {
            let anywhere = std::ptr::null_mut();
            libc::mmap(anywhere, length, read, shared, file.as_raw_fd(), 0)
        };
        match NonNull::new(start) {
            Some(start) if start.as_ptr() != libc::MAP_FAILED => {
                COUNT.set(COUNT.get() + 1);
                Ok(Mapping { start, length })
            }
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Sends `front`, then `count` bytes of the file from `offset` on, with one call; may take
    /// fewer bytes than offered.
    ///
    /// # Errors
    /// The socket's; `UnexpectedEof` if the file has no such bytes any more.
    pub fn send(
        &self,
        to: BorrowedFd<'_>,
        front: &[u8],
        offset: usize,
        count: usize,
    ) -> io::Result<usize> {
        let offset = offset.min(self.length);
        let slices = [
            libc::iovec {
                iov_base: front.as_ptr().cast_mut().cast(),
                iov_len: front.len(),
            },
            libc::iovec {
                iov_base: self.start.as_ptr().wrapping_byte_add(offset),
                iov_len: count.min(self.length - offset),
            },
        ];
        // SAFETY: both slices lie in memory that is mapped as long as `front` and `self` are borrowed.
        let sent = unsafe { socket::send_slices(to, slices.as_ptr(), slices.len(), false) };
        sent.map_err(|error| match error.raw_os_error() {
            Some(libc::EFAULT) => io::ErrorKind::UnexpectedEof.into(),
            _ => error,
        })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        COUNT.set(COUNT.get() - 1);
        // SAFETY: the mapping is ours, and nobody can have borrowed from it.
        unsafe { libc::munmap(self.start.as_ptr(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;

    #[test]
    fn what_is_cut_off_is_an_error() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[b'x'; 3 * 4096]).unwrap();
        let mapping = Mapping::new(file.as_fd(), 3 * 4096).unwrap();
        let (ours, theirs) = socket::pair().unwrap();
        let sent = mapping.send(ours.as_fd(), b"front", 3 * 4096 - 2, 99);
        let mut received = Vec::new();
        assert_eq!(sent.unwrap(), 7);
        assert_eq!(socket::recv(theirs.as_fd(), &mut received, 99).unwrap(), 7);
        assert_eq!(received, b"frontxx");
        file.set_len(4096).unwrap();
        let error = mapping.send(ours.as_fd(), b"", 8192, 10).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn their_number_is_limited() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"x").unwrap();
        let mut all: Vec<_> = (0..MOST)
            .map_while(|_| Mapping::new(file.as_fd(), 1).ok())
            .collect();
        assert_eq!(all.len(), MOST);
        assert!(Mapping::new(file.as_fd(), 1).is_err());
        all.pop();
        assert!(Mapping::new(file.as_fd(), 1).is_ok());
    }
}
