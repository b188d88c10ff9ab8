//! Waiting for many descriptors: epoll(7), poll(2) and select(2), in one vocabulary.

use super::fd::own;
use super::{check, check_count};
use std::io;
use std::mem::MaybeUninit;
use std::ops::{BitAnd, BitOr, BitOrAssign, Not};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// A set of conditions of a descriptor: asked for, or found to hold.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Readiness(u8);

impl Readiness {
    /// No condition.
    pub const NONE: Readiness = Readiness(0);
    /// Bytes, a connection or end of file can be read.
    pub const READ: Readiness = Readiness(1);
    /// Bytes can be written.
    pub const WRITE: Readiness = Readiness(2);
    /// The peer has closed its sending half (`EPOLLRDHUP`).
    pub const PEER_CLOSED: Readiness = Readiness(4);
    /// The descriptor is finished in both directions (`EPOLLHUP`); reported unasked.
    pub const HANGUP: Readiness = Readiness(8);
    /// The descriptor has failed (`EPOLLERR`); reported unasked.
    pub const ERROR: Readiness = Readiness(16);

    /// Whether every condition of `other` is in this set.
    pub const fn contains(self, other: Readiness) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the two sets share a condition.
    pub const fn meets(self, other: Readiness) -> bool {
        self.0 & other.0 != 0
    }

    /// The places of its conditions, counted as they stand above: reading is 0.
    pub fn places(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let place = left.trailing_zeros();
            left &= left.checked_sub(1)?;
            Some(place as usize)
        })
    }
}

impl BitOr for Readiness {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Readiness(self.0 | other.0)
    }
}

impl BitOrAssign for Readiness {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for Readiness {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Readiness(self.0 & other.0)
    }
}

impl Not for Readiness {
    type Output = Self;
    fn not(self) -> Self {
        Readiness(!self.0)
    }
}

impl std::fmt::Debug for Readiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = ["READ", "WRITE", "PEER_CLOSED", "HANGUP", "ERROR"];
        let held = names
            .iter()
            .enumerate()
            .filter(|(bit, _)| self.0 & (1 << bit) != 0);
        f.debug_set().entries(held.map(|(_, name)| name)).finish()
    }
}

/// What one wait found out about one descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The word the descriptor was registered with.
    pub token: u64,
    /// The conditions that hold.
    pub ready: Readiness,
}

const EPOLL_BITS: [(Readiness, libc::c_int); 5] = [
    (Readiness::READ, libc::EPOLLIN),
    (Readiness::WRITE, libc::EPOLLOUT),
    (Readiness::PEER_CLOSED, libc::EPOLLRDHUP),
    (Readiness::HANGUP, libc::EPOLLHUP),
    (Readiness::ERROR, libc::EPOLLERR),
];

/// Translates a set into a kernel's mask.
fn to_mask(ready: Readiness) -> libc::c_int {
    EPOLL_BITS
        .iter()
        .filter(|(bit, _)| ready.meets(*bit))
        .fold(0, |mask, (_, flag)| mask | flag)
}

fn from_mask(mask: libc::c_int) -> Readiness {
    EPOLL_BITS
        .iter()
        .fold(Readiness::NONE, |ready, (bit, flag)| {
            // Without a branch, for this is asked of every event.
            ready | Readiness(bit.0 * u8::from(mask & flag != 0))
        })
}

/// How many events one wait collects at most.
const BATCH: usize = 512;

/// An epoll instance, level-triggered.
pub struct Epoll {
    fd: OwnedFd,
    batch: Box<[MaybeUninit<libc::epoll_event>; BATCH]>,
    /// How many events of the batch the last wait has brought.
    count: usize,
}

impl Epoll {
    /// A new instance, close-on-exec.
    pub fn new() -> io::Result<Epoll> {
        // SAFETY: no pointers are involved.
        let fd = own(check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?);
        Ok(Epoll {
            fd,
            batch: Box::new([const { MaybeUninit::uninit() }; BATCH]),
            count: 0,
        })
    }

    fn control(
        &self,
        operation: libc::c_int,
        fd: RawFd,
        mask: libc::c_int,
        token: u64,
    ) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: mask.cast_unsigned(),
            u64: token,
        };
        // SAFETY: `event` outlives the call, and a wrong descriptor only yields an error.
        check(unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), operation, fd, &raw mut event) })
            .map(drop)
    }

    /// Starts watching a descriptor.
    ///
    /// `exclusive` wakes one of the processes that share a listener instead of all
    /// (`EPOLLEXCLUSIVE`); such a registration cannot be modified, only removed.
    ///
    /// # Errors
    /// `EPERM` for what is always ready and cannot be watched, such as a regular file.
    pub fn add(&self, fd: RawFd, token: u64, want: Readiness, exclusive: bool) -> io::Result<()> {
        let exclusive = if exclusive { libc::EPOLLEXCLUSIVE } else { 0 };
        self.control(libc::EPOLL_CTL_ADD, fd, to_mask(want) | exclusive, token)
    }

    /// Replaces the set of conditions watched for.
    pub fn modify(&self, fd: RawFd, token: u64, want: Readiness) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, to_mask(want), token)
    }

    /// Stops watching a descriptor.
    pub fn remove(&self, fd: RawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, 0, 0)
    }

    /// Waits at most `timeout_ms` (-1: for ever); [`Epoll::event`] tells what it found.
    ///
    /// # Errors
    /// Those of epoll_wait(2), an interruption among them; nothing was found then.
    pub fn wait(&mut self, timeout_ms: i32) -> io::Result<()> {
        self.count = 0;
        let room = self.batch.as_mut_ptr().cast();
        // SAFETY: `room` has space for BATCH events.
        let count = check(unsafe {
            libc::epoll_wait(self.fd.as_raw_fd(), room, BATCH as libc::c_int, timeout_ms)
        })?;
        self.count = count.unsigned_abs() as usize;
        Ok(())
    }

    /// One of the events that the last wait has found, counted from 0.
    pub fn event(&self, number: usize) -> Option<Event> {
        let event = self.batch[..self.count].get(number)?;
        // SAFETY: the kernel has initialised the first `count` events.
        let event = unsafe { event.assume_init() };
        Some(Event {
            token: event.u64,
            ready: from_mask(event.events.cast_signed()),
        })
    }
}

/// One descriptor in a call to [`poll`].
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct PollFd(libc::pollfd);

impl PollFd {
    /// A descriptor and what to wait for. The masks of poll and epoll are the same bits.
    pub fn new(fd: RawFd, want: Readiness) -> PollFd {
        PollFd(libc::pollfd {
            fd,
            events: to_mask(want) as libc::c_short,
            revents: 0,
        })
    }

    /// Changes what to wait for.
    pub fn set(&mut self, want: Readiness) {
        self.0.events = to_mask(want) as libc::c_short;
    }

    /// The conditions the last call found; a descriptor that is not open counts as failed.
    pub fn ready(&self) -> Readiness {
        let invalid = self.0.revents & libc::POLLNVAL != 0;
        let ready = from_mask(libc::c_int::from(self.0.revents));
        if invalid {
            ready | Readiness::ERROR
        } else {
            ready
        }
    }
}

/// poll(2): waits at most `timeout_ms` (-1: for ever) and returns how many are ready.
pub fn poll(fds: &mut [PollFd], timeout_ms: i32) -> io::Result<usize> {
    // SAFETY: `PollFd` is a transparent `pollfd`; pointer and length come from one slice.
    let count = check(unsafe {
        libc::poll(
            fds.as_mut_ptr().cast(),
            fds.len() as libc::nfds_t,
            timeout_ms,
        )
    })?;
    Ok(count.unsigned_abs() as usize)
}

/// A set of descriptors for [`select`].
#[derive(Clone, Copy)]
pub struct FdSet(libc::fd_set);

impl Default for FdSet {
    fn default() -> Self {
        // SAFETY: an all-zero `fd_set` is the empty set.
        FdSet(unsafe { MaybeUninit::zeroed().assume_init() })
    }
}

impl FdSet {
    /// Adds a descriptor.
    ///
    /// # Errors
    /// `InvalidInput` for a number select(2) cannot express (1024 and above).
    pub fn insert(&mut self, fd: RawFd) -> io::Result<()> {
        if !(0..libc::FD_SETSIZE as RawFd).contains(&fd) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "select() supports only descriptors below 1024",
            ));
        }
        // SAFETY: the number was just checked to lie within the set.
        unsafe { libc::FD_SET(fd, &raw mut self.0) };
        Ok(())
    }

    /// Whether the descriptor is in the set.
    pub fn contains(&self, fd: RawFd) -> bool {
        // SAFETY: the number is checked to lie within the set.
        (0..libc::FD_SETSIZE as RawFd).contains(&fd)
            && unsafe { libc::FD_ISSET(fd, &raw const self.0) }
    }
}

/// What reading from a readable socket would find, for want of a better report: the peer's
/// end, an error, or (nothing) bytes. Descriptors that are no sockets report nothing.
pub fn peer_state(fd: RawFd) -> Readiness {
    let mut byte = 0u8;
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    // SAFETY: the kernel writes at most one byte; a wrong descriptor only yields an error.
    match check_count(unsafe { libc::recv(fd, (&raw mut byte).cast(), 1, flags) }) {
        Ok(0) => Readiness::PEER_CLOSED,
        Ok(_) => Readiness::NONE,
        Err(error) => match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EINTR | libc::ENOTSOCK | libc::EINVAL) => Readiness::NONE,
            _ => Readiness::PEER_CLOSED | Readiness::ERROR,
        },
    }
}

/// select(2): leaves in the sets what is ready. `highest` is the largest descriptor in them.
pub fn select(
    highest: RawFd,
    read: &mut FdSet,
    write: &mut FdSet,
    timeout_ms: i32,
) -> io::Result<()> {
    let mut timeout = libc::timeval {
        tv_sec: libc::time_t::from(timeout_ms / 1000),
        tv_usec: libc::suseconds_t::from(timeout_ms % 1000) * 1000,
    };
    let timeout = if timeout_ms < 0 {
        std::ptr::null_mut()
    } else {
        &raw mut timeout
    };
    // SAFETY: the sets and the timeout outlive the call; a null timeout waits for ever.
    check(unsafe {
        libc::select(
            highest + 1,
            &raw mut read.0,
            &raw mut write.0,
            std::ptr::null_mut(),
            timeout,
        )
    })
    .map(drop)
}
