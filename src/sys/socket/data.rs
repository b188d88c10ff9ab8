//! Moving bytes through sockets.

use crate::sys::fd::append;
use crate::sys::{check_count, retry};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Most slices one call takes (the kernel's UIO_MAXIOV).
const MAX_SLICES: usize = 1024;

/// `MSG_MORE` tells the kernel that a partial segment should wait for what follows.
fn flags(more: bool) -> libc::c_int {
    libc::MSG_NOSIGNAL | if more { libc::MSG_MORE } else { 0 }
}

/// recv(2) onto the end of `buffer`, at most `at_most` bytes; 0 means end of stream.
pub fn recv(fd: BorrowedFd<'_>, buffer: &mut Vec<u8>, at_most: usize) -> io::Result<usize> {
    // SAFETY: `append` passes a pointer to `room` writable bytes.
    append(buffer, at_most, |to, room| unsafe {
        libc::recv(fd.as_raw_fd(), to, room, 0)
    })
}

/// Looks at what is waiting without taking it; 0 means end of stream.
pub fn peek(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    retry(|| {
        // SAFETY: pointer and length come from one slice.
        check_count(unsafe {
            libc::recv(
                fd.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                flags,
            )
        })
    })
}

/// send(2) without SIGPIPE; may take fewer bytes than offered.
pub fn send(fd: BorrowedFd<'_>, bytes: &[u8], more: bool) -> io::Result<usize> {
    retry(|| {
        // SAFETY: pointer and length come from one slice.
        check_count(unsafe {
            libc::send(
                fd.as_raw_fd(),
                bytes.as_ptr().cast(),
                bytes.len(),
                flags(more),
            )
        })
    })
}

/// Sends several slices with one call, without SIGPIPE; may take fewer bytes than offered.
pub fn writev(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>], more: bool) -> io::Result<usize> {
    // SAFETY: `IoSlice` has the layout of `iovec` and borrows the memory it names.
    unsafe { send_slices(fd, slices.as_ptr().cast(), slices.len(), more) }
}

/// As [`writev`], for memory that Rust's slices can't stand for.
///
/// # Safety
/// There are `count` slices, and what they name is mapped.
pub(in crate::sys) unsafe fn send_slices(
    fd: BorrowedFd<'_>,
    slices: *const libc::iovec,
    count: usize,
    more: bool,
) -> io::Result<usize> {
    // SAFETY: an all-zero `msghdr` is valid: no name, no data, no control message.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = slices.cast_mut();
    message.msg_iovlen = count.min(MAX_SLICES) as _;
    // SAFETY: sendmsg only reads through the pointer.
    retry(|| check_count(unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, flags(more)) }))
}

/// sendfile(2): from `input` at `*offset`, which advances by what was sent; 0 means that the
/// file ends before the offset.
pub fn sendfile(
    output: BorrowedFd<'_>,
    input: BorrowedFd<'_>,
    offset: &mut u64,
    count: usize,
) -> io::Result<usize> {
    let mut position = i64::try_from(*offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    let sent = retry(|| {
        // SAFETY: `position` outlives the call.
        check_count(unsafe {
            libc::sendfile(
                output.as_raw_fd(),
                input.as_raw_fd(),
                &raw mut position,
                count,
            )
        })
    })?;
    *offset += sent as u64;
    Ok(sent)
}
