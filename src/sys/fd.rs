//! Plain descriptors: pipes, event counters, reading and writing.

use super::{check, check_count, retry};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Takes ownership of a descriptor a system call has just returned.
pub(super) fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: callers pass a descriptor the kernel opened for them and nobody else owns.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Takes ownership of a descriptor this process inherited by number: `LISTEN_FDS`, or the
/// listeners an upgraded binary is handed.
///
/// # Errors
/// `EBADF` when no such descriptor is open. The caller must not adopt one number twice.
pub fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_GETFD only looks the number up.
    check(unsafe { libc::fcntl(fd, libc::F_GETFD) })?;
    Ok(own(fd))
}

/// A pipe, non-blocking and close-on-exec at both ends: (read end, write end).
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` has room for the two descriptors the call writes.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK | libc::O_CLOEXEC) })?;
    Ok((own(ends[0]), own(ends[1])))
}

/// A pipe whose first end, for reading, does not block; the second, for another program, does.
pub fn pipe_to_read() -> io::Result<(OwnedFd, OwnedFd)> {
    let ends = blocking_pipe()?;
    set_flags(ends.0.as_fd(), libc::O_NONBLOCK)?;
    Ok(ends)
}

/// A pipe whose second end, for writing, does not block; the first, for another program, does.
pub fn pipe_to_write() -> io::Result<(OwnedFd, OwnedFd)> {
    let ends = blocking_pipe()?;
    set_flags(ends.1.as_fd(), libc::O_NONBLOCK)?;
    Ok(ends)
}

fn blocking_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` has room for the two descriptors the call writes.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    Ok((own(ends[0]), own(ends[1])))
}

/// Has the descriptor `old` mean what `new` does; what it meant before is closed.
pub fn replace(old: BorrowedFd<'_>, new: BorrowedFd<'_>) -> io::Result<()> {
    let (new, old) = (new.as_raw_fd(), old.as_raw_fd());
    // SAFETY: whoever owns `old` goes on owning an open descriptor.
    retry(|| check(unsafe { libc::dup3(new, old, libc::O_CLOEXEC) })).map(drop)
}

/// Sets the flags that can be set after opening, in place of those there were.
fn set_flags(fd: BorrowedFd<'_>, flags: libc::c_int) -> io::Result<()> {
    // SAFETY: the call takes an integer.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags) }).map(drop)
}

/// An event counter, which is how another thread wakes the loop.
pub fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: no pointers are involved.
    Ok(own(check(unsafe {
        libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC)
    })?))
}

/// Switches between blocking and non-blocking.
pub fn set_nonblocking(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    set_flag(fd, libc::O_NONBLOCK, on)
}

/// Sets or clears one of the status flags `fcntl(F_SETFL)` may change.
pub(super) fn set_flag(fd: BorrowedFd<'_>, flag: libc::c_int, on: bool) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as it is borrowed.
    let now = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    let wanted = if on { now | flag } else { now & !flag };
    if wanted != now {
        // SAFETY: as above; F_SETFL takes an integer.
        check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, wanted) })?;
    }
    Ok(())
}

/// Whether the descriptor survives `exec`; everything opened here does not, unless asked.
pub fn set_inheritable(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    let flags = if on { 0 } else { libc::FD_CLOEXEC };
    // SAFETY: the descriptor is open for as long as it is borrowed; F_SETFD takes an integer.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, flags) }).map(drop)
}

/// Appends what one `call(pointer, room)` delivers to `buffer`, at most `at_most` bytes.
pub(super) fn append(
    buffer: &mut Vec<u8>,
    at_most: usize,
    mut call: impl FnMut(*mut libc::c_void, usize) -> libc::ssize_t,
) -> io::Result<usize> {
    buffer.reserve(at_most);
    let start = buffer.len();
    let spare = buffer.spare_capacity_mut().as_mut_ptr();
    let count = retry(|| check_count(call(spare.cast(), at_most)))?;
    debug_assert!(count <= at_most);
    // SAFETY: `reserve` made room for `at_most` bytes and the kernel filled the first `count`.
    unsafe { buffer.set_len(start + count) };
    Ok(count)
}

/// Reads at most `at_most` bytes onto the end of `buffer`; 0 means end of file.
pub fn read(fd: BorrowedFd<'_>, buffer: &mut Vec<u8>, at_most: usize) -> io::Result<usize> {
    // SAFETY: `append` passes a pointer to `room` writable bytes.
    append(buffer, at_most, |to, room| unsafe {
        libc::read(fd.as_raw_fd(), to, room)
    })
}

/// Writes once; may take fewer bytes than offered.
pub fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    retry(|| {
        // SAFETY: the pointer and length come from one slice.
        check_count(unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_pipe_carries_bytes_and_then_its_end() {
        let (reader, writer) = pipe().unwrap();
        let mut got = b"x".to_vec();
        let empty = read(reader.as_fd(), &mut got, 9).unwrap_err();
        assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(write(writer.as_fd(), b"hello").unwrap(), 5);
        assert_eq!(read(reader.as_fd(), &mut got, 3).unwrap(), 3);
        assert_eq!(got, b"xhel");
        drop(writer);
        assert_eq!(read(reader.as_fd(), &mut got, 9).unwrap(), 2);
        assert_eq!(read(reader.as_fd(), &mut got, 9).unwrap(), 0);
    }

    #[test]
    fn a_closed_number_is_not_adopted() {
        assert!(adopt(1_000_000).is_err());
    }
}
