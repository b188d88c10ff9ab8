//! Socket options, one function each.

use crate::sys::check;
use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsRawFd, BorrowedFd};

fn set<T>(fd: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int, value: T) -> io::Result<()> {
    let len = mem::size_of::<T>() as libc::socklen_t;
    // SAFETY: the pointer is to a value of `len` bytes that outlives the call.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), len) })
        .map(drop)
}

/// Reads an option into a value that starts as zeroes, since older kernels fill less of it.
fn get<T: Copy>(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
) -> io::Result<MaybeUninit<T>> {
    let mut value = MaybeUninit::<T>::zeroed();
    let mut len = mem::size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` has room for `len` bytes, and both outlive the call.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            level,
            name,
            value.as_mut_ptr().cast(),
            &raw mut len,
        )
    })?;
    Ok(value)
}

/// SO_REUSEADDR: bind although old connections linger in TIME_WAIT.
pub fn reuse_addr(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    set(
        fd,
        libc::SOL_SOCKET,
        libc::SO_REUSEADDR,
        libc::c_int::from(on),
    )
}

/// SO_REUSEPORT: several sockets share an address (`listen … reuseport`).
pub fn reuse_port(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    set(
        fd,
        libc::SOL_SOCKET,
        libc::SO_REUSEPORT,
        libc::c_int::from(on),
    )
}

/// SO_RCVBUF, bytes (`listen … rcvbuf=`).
pub fn receive_buffer(fd: BorrowedFd<'_>, bytes: i32) -> io::Result<()> {
    set(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, bytes)
}

/// SO_SNDBUF, bytes (`listen … sndbuf=`).
pub fn send_buffer(fd: BorrowedFd<'_>, bytes: i32) -> io::Result<()> {
    set(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, bytes)
}

/// Whether the kernel leaves the size of the send buffer as it was set, and does not fit it to the
/// path (`SO_BUF_LOCK`); also where it does not tell.
pub fn has_fixed_send_buffer(fd: BorrowedFd<'_>) -> bool {
    const SEND_BUFFER: libc::c_int = 1;
    // SAFETY: any bit pattern is a valid integer.
    let locked = get::<libc::c_int>(fd, libc::SOL_SOCKET, libc::SO_BUF_LOCK)
        .map(|locked| unsafe { locked.assume_init() });
    locked.map_or(true, |locked| locked & SEND_BUFFER != 0)
}

/// SO_KEEPALIVE (`listen … so_keepalive=on|off`).
pub fn keep_alive(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    set(
        fd,
        libc::SOL_SOCKET,
        libc::SO_KEEPALIVE,
        libc::c_int::from(on),
    )
}

/// TCP_KEEPIDLE and TCP_KEEPINTVL in seconds, TCP_KEEPCNT; `None` leaves the system's value
/// (`listen … so_keepalive=idle:interval:count`).
pub fn keep_alive_times(
    fd: BorrowedFd<'_>,
    idle: Option<i32>,
    interval: Option<i32>,
    count: Option<i32>,
) -> io::Result<()> {
    let options = [
        (libc::TCP_KEEPIDLE, idle),
        (libc::TCP_KEEPINTVL, interval),
        (libc::TCP_KEEPCNT, count),
    ];
    for (name, value) in options {
        if let Some(value) = value {
            set(fd, libc::IPPROTO_TCP, name, value)?;
        }
    }
    Ok(())
}

/// TCP_DEFER_ACCEPT, seconds: accept only once data has arrived (`listen … deferred`).
pub fn defer_accept(fd: BorrowedFd<'_>, seconds: i32) -> io::Result<()> {
    set(fd, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, seconds)
}

/// TCP_FASTOPEN: how many connections may wait that have sent data but not yet finished the
/// handshake (`listen … fastopen=`).
pub fn fast_open(fd: BorrowedFd<'_>, queue: i32) -> io::Result<()> {
    set(fd, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, queue)
}

/// IPV6_V6ONLY: an IPv6 wildcard does not take IPv4 (`listen … ipv6only=`).
pub fn v6_only(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    set(
        fd,
        libc::IPPROTO_IPV6,
        libc::IPV6_V6ONLY,
        libc::c_int::from(on),
    )
}

/// TCP_NODELAY (`tcp_nodelay`); accepted sockets inherit it from the listener.
pub fn no_delay(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    set(
        fd,
        libc::IPPROTO_TCP,
        libc::TCP_NODELAY,
        libc::c_int::from(on),
    )
}

/// TCP_CORK (`tcp_nopush`).
pub fn cork(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    set(fd, libc::IPPROTO_TCP, libc::TCP_CORK, libc::c_int::from(on))
}

/// SO_LINGER with zero seconds: closing resets the connection
/// (`reset_timedout_connection`, `return 444`).
pub fn linger_reset(fd: BorrowedFd<'_>) -> io::Result<()> {
    set(
        fd,
        libc::SOL_SOCKET,
        libc::SO_LINGER,
        libc::linger {
            l_onoff: 1,
            l_linger: 0,
        },
    )
}

/// SO_ERROR: the pending error, which asking clears; how a connect's outcome is learnt.
pub fn error(fd: BorrowedFd<'_>) -> io::Result<Option<io::Error>> {
    // SAFETY: any bit pattern is a valid integer.
    let code = unsafe { get::<libc::c_int>(fd, libc::SOL_SOCKET, libc::SO_ERROR)?.assume_init() };
    Ok((code != 0).then(|| io::Error::from_raw_os_error(code)))
}

/// The kernel's view of a TCP connection: `$tcpinfo_rtt`, `$tcpinfo_rttvar`,
/// `$tcpinfo_snd_cwnd`, `$tcpinfo_rcv_space`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpInfo {
    /// Smoothed round-trip time, microseconds.
    pub rtt: u32,
    /// Its variance, microseconds.
    pub rttvar: u32,
    /// Congestion window, segments.
    pub snd_cwnd: u32,
    /// Receive window, bytes.
    pub rcv_space: u32,
    /// The shortest round trip of late, microseconds; 0 where the kernel does not tell.
    pub min_rtt: u32,
}

/// TCP_INFO.
pub fn tcp_info(fd: BorrowedFd<'_>) -> io::Result<TcpInfo> {
    // SAFETY: `tcp_info` consists of integers, for which zeroes are valid.
    let info =
        unsafe { get::<libc::tcp_info>(fd, libc::IPPROTO_TCP, libc::TCP_INFO)?.assume_init() };
    Ok(TcpInfo {
        rtt: info.tcpi_rtt,
        rttvar: info.tcpi_rttvar,
        snd_cwnd: info.tcpi_snd_cwnd,
        rcv_space: info.tcpi_rcv_space,
        min_rtt: info.tcpi_min_rtt,
    })
}

/// SO_TYPE: what the socket carries.
pub fn kind(fd: BorrowedFd<'_>) -> io::Result<super::Kind> {
    // SAFETY: any bit pattern is a valid integer.
    let kind = unsafe { get::<libc::c_int>(fd, libc::SOL_SOCKET, libc::SO_TYPE)?.assume_init() };
    Ok(match kind {
        libc::SOCK_DGRAM => super::Kind::Datagram,
        _ => super::Kind::Stream,
    })
}
