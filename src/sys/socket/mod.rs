//! Sockets: creating them, their addresses, options and data.
//!
//! Everything is created non-blocking and close-on-exec.

mod addr;
mod data;
mod options;
mod rights;

pub use addr::Addr;
pub(in crate::sys) use data::send_slices;
pub use data::{peek, recv, send, sendfile, writev};
pub use options::{
    TcpInfo, cork, defer_accept, error, fast_open, has_fixed_send_buffer, keep_alive,
    keep_alive_times, kind, linger_reset, no_delay, receive_buffer, reuse_addr, reuse_port,
    send_buffer, tcp_info, v6_only,
};

pub use rights::{message_pair, receive_message, send_message};

use super::fd::own;
use super::{check, retry};
pub(in crate::sys) use addr::RawAddr;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

const FLAGS: libc::c_int = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;

/// What a socket carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A byte stream: TCP, or a Unix stream.
    Stream,
    /// Datagrams: UDP (QUIC, DNS, syslog), or Unix datagrams.
    Datagram,
}

/// A new socket of the address's family.
pub fn socket(addr: &Addr, kind: Kind) -> io::Result<OwnedFd> {
    let kind = match kind {
        Kind::Stream => libc::SOCK_STREAM,
        Kind::Datagram => libc::SOCK_DGRAM,
    };
    // SAFETY: no pointers are involved.
    Ok(own(check(unsafe {
        libc::socket(addr.family(), kind | FLAGS, 0)
    })?))
}

/// Two connected stream sockets.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` has room for the two descriptors the call writes.
    check(unsafe {
        libc::socketpair(
            libc::AF_UNIX,
            libc::SOCK_STREAM | FLAGS,
            0,
            ends.as_mut_ptr(),
        )
    })?;
    Ok((own(ends[0]), own(ends[1])))
}

/// bind(2).
pub fn bind(fd: BorrowedFd<'_>, addr: &Addr) -> io::Result<()> {
    let raw = RawAddr::new(addr)?;
    // SAFETY: `raw` holds a valid address of the length it states.
    check(unsafe { libc::bind(fd.as_raw_fd(), raw.as_ptr(), raw.len()) }).map(drop)
}

/// listen(2); calling it again changes the backlog.
pub fn listen(fd: BorrowedFd<'_>, backlog: i32) -> io::Result<()> {
    // SAFETY: no pointers are involved.
    check(unsafe { libc::listen(fd.as_raw_fd(), backlog) }).map(drop)
}

/// connect(2). `Ok(true)` means connected; `Ok(false)` means wait until writable and then
/// ask [`error`].
pub fn connect(fd: BorrowedFd<'_>, addr: &Addr) -> io::Result<bool> {
    let raw = RawAddr::new(addr)?;
    // SAFETY: `raw` holds a valid address of the length it states.
    match check(unsafe { libc::connect(fd.as_raw_fd(), raw.as_ptr(), raw.len()) }) {
        Ok(_) => Ok(true),
        Err(e) if e.raw_os_error() == Some(libc::EINPROGRESS) => Ok(false),
        Err(e) => Err(e),
    }
}

/// accept4(2): the next connection and its peer's address.
pub fn accept(fd: BorrowedFd<'_>) -> io::Result<(OwnedFd, Addr)> {
    let mut raw = RawAddr::room();
    let accepted = retry(|| {
        let (addr, len) = raw.fill();
        // SAFETY: `fill` gives room for any address and its length.
        check(unsafe { libc::accept4(fd.as_raw_fd(), addr, len, FLAGS) })
    })?;
    Ok((own(accepted), raw.addr()))
}

/// getsockname(2): the address this end is bound to.
pub fn local_addr(fd: BorrowedFd<'_>) -> io::Result<Addr> {
    let mut raw = RawAddr::room();
    let (addr, len) = raw.fill();
    // SAFETY: `fill` gives room for any address and its length.
    check(unsafe { libc::getsockname(fd.as_raw_fd(), addr, len) })?;
    Ok(raw.addr())
}

/// getpeername(2): the other end's address.
pub fn peer_addr(fd: BorrowedFd<'_>) -> io::Result<Addr> {
    let mut raw = RawAddr::room();
    let (addr, len) = raw.fill();
    // SAFETY: `fill` gives room for any address and its length.
    check(unsafe { libc::getpeername(fd.as_raw_fd(), addr, len) })?;
    Ok(raw.addr())
}

/// shutdown(2): closes one direction or both.
pub fn shutdown(fd: BorrowedFd<'_>, how: Shutdown) -> io::Result<()> {
    let how = match how {
        Shutdown::Read => libc::SHUT_RD,
        Shutdown::Write => libc::SHUT_WR,
        Shutdown::Both => libc::SHUT_RDWR,
    };
    // SAFETY: no pointers are involved.
    check(unsafe { libc::shutdown(fd.as_raw_fd(), how) }).map(drop)
}

#[cfg(test)]
mod tests;
