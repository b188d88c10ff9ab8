//! Descriptors that tasks wait for.
//!
//! Try first, wait second: call a `try_` method and await [`Io::readable`] or
//! [`Io::writable`] only when it says `WouldBlock`. Readiness is never remembered.

use super::executor::{with_reactor, with_reactor_for};
use super::reactor::{Key, Outcome, Reactor, Wait};
use super::time::Instant;
use crate::sys::fd;
use crate::sys::mapping::Mapping;
use crate::sys::socket::{self, Addr};
use std::cell::Cell;
use std::future::Future;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A non-blocking descriptor of this thread: a socket, a pipe, an event counter.
///
/// The poller learns of it at the first await; dropping it ends that and closes it. One task
/// at a time may await each of reading, writing and hanging up.
#[derive(Debug)]
pub struct Io {
    // In this order: what is closed must no longer be registered.
    registration: Registration,
    fd: OwnedFd,
}

/// The descriptor's place in the reactor's table, once it has one.
#[derive(Debug)]
struct Registration {
    key: Cell<Key>,
    exclusive: bool,
}

impl Registration {
    /// The key; the first call, and the first on another loop, enters the descriptor.
    fn enter(&self, reactor: &mut Reactor, fd: RawFd) -> Key {
        if !reactor.holds(self.key.get()) {
            self.key.set(reactor.insert(fd, self.exclusive));
        }
        self.key.get()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if self.key.get() != Key::NONE {
            with_reactor(|reactor| reactor.remove(self.key.get()));
        }
    }
}

impl Io {
    /// Takes a descriptor that is non-blocking already.
    pub fn new(fd: OwnedFd) -> Io {
        let key = Cell::new(Key::NONE);
        Io {
            registration: Registration {
                key,
                exclusive: false,
            },
            fd,
        }
    }

    /// Takes a listener that several processes share: a connection wakes one of them
    /// (`EPOLLEXCLUSIVE`), not all.
    pub fn new_exclusive(fd: OwnedFd) -> Io {
        let mut io = Io::new(fd);
        io.registration.exclusive = true;
        io
    }

    /// The descriptor, for options and calls that have no method here.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Gives the descriptor back, no longer watched.
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Resolves when reading would not block: bytes, a connection, the end or a failure.
    ///
    /// # Errors
    /// `TimedOut` at the deadline; the poller's.
    pub fn readable(&self, deadline: Option<Instant>) -> Ready<'_> {
        Ready(Leaf::new(self, Wait::Read, deadline))
    }

    /// As [`Io::readable`], for tasks that cannot hold a future: polled until it is ready, or
    /// the descriptor is closed. If `anew`, what came true of an earlier wait does not count.
    pub fn poll_readable(&self, deadline: Instant, anew: bool) -> Poll<io::Result<()>> {
        match self.look(Wait::Read, Some(deadline), anew) {
            Ok(Outcome::Pending) => Poll::Pending,
            Ok(Outcome::Ready { .. }) => Poll::Ready(Ok(())),
            Ok(Outcome::TimedOut) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// How a wait stands, which begins with the first look.
    fn look(&self, wait: Wait, deadline: Option<Instant>, anew: bool) -> io::Result<Outcome> {
        let outcome = with_reactor_for(|reactor, task, now| {
            let key = self.registration.enter(reactor, self.fd.as_raw_fd());
            if anew {
                // What came true of it earlier, while nobody looked, may be so no more.
                reactor.end(key, wait);
            }
            reactor.check(key, wait, task, deadline, now)
        });
        outcome.unwrap_or_else(|| Err(io::Error::other("this thread has no event loop")))
    }

    /// Resolves when writing would not block.
    ///
    /// # Errors
    /// `TimedOut` at the deadline; the poller's.
    pub fn writable(&self, deadline: Option<Instant>) -> Ready<'_> {
        Ready(Leaf::new(self, Wait::Write, deadline))
    }

    /// Resolves when the peer is gone. For racing work against a vanishing client.
    pub fn hangup(&self) -> HangupWait<'_> {
        HangupWait(Leaf::new(self, Wait::Hangup, None))
    }

    /// Whether the poller has reported that the connection is dead, even if nobody awaited
    /// anything then.
    pub fn is_broken(&self) -> bool {
        let key = self.registration.key.get();
        key != Key::NONE && with_reactor(|reactor| reactor.is_broken(key)).unwrap_or(false)
    }

    /// recv(2) onto the end of `buffer`, which grows if it lacks room for `at_most` bytes;
    /// 0 is the end of the stream.
    pub fn try_recv(&self, buffer: &mut Vec<u8>, at_most: usize) -> io::Result<usize> {
        socket::recv(self.fd(), buffer, at_most)
    }

    /// As [`Io::try_recv`], for descriptors that are no sockets.
    pub fn try_read(&self, buffer: &mut Vec<u8>, at_most: usize) -> io::Result<usize> {
        fd::read(self.fd(), buffer, at_most)
    }

    /// send(2); `more` says that further bytes follow at once (`MSG_MORE`).
    pub fn try_send(&self, bytes: &[u8], more: bool) -> io::Result<usize> {
        socket::send(self.fd(), bytes, more)
    }

    /// As [`Io::try_send`], for descriptors that are no sockets.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        fd::write(self.fd(), bytes)
    }

    /// Sends several slices with one call.
    pub fn try_writev(&self, slices: &[IoSlice<'_>], more: bool) -> io::Result<usize> {
        socket::writev(self.fd(), slices, more)
    }

    /// sendfile(2) from `file` at `*offset`, which advances; 0 means that the file has ended.
    pub fn try_sendfile(
        &self,
        file: BorrowedFd<'_>,
        offset: &mut u64,
        count: usize,
    ) -> io::Result<usize> {
        socket::sendfile(self.fd(), file, offset, count)
    }

    /// Sends `front`, then `count` bytes of a mapped file from `offset` on, with one call.
    ///
    /// # Errors
    /// `UnexpectedEof`: the file has become shorter.
    pub fn try_send_mapped(
        &self,
        front: &[u8],
        file: &Mapping,
        offset: usize,
        count: usize,
    ) -> io::Result<usize> {
        file.send(self.fd(), front, offset, count)
    }

    /// The next connection of a listener, non-blocking, and its peer.
    pub fn try_accept(&self) -> io::Result<(OwnedFd, Addr)> {
        socket::accept(self.fd())
    }
}

/// The common part of the socket futures: one wait for one condition.
#[derive(Debug)]
struct Leaf<'a> {
    io: &'a Io,
    deadline: Option<Instant>,
    wait: Wait,
    begun: bool,
}

impl<'a> Leaf<'a> {
    fn new(io: &'a Io, wait: Wait, deadline: Option<Instant>) -> Leaf<'a> {
        Leaf {
            io,
            deadline,
            wait,
            begun: false,
        }
    }

    fn poll(&mut self) -> io::Result<Outcome> {
        let outcome = self.io.look(self.wait, self.deadline, !self.begun)?;
        self.begun = outcome == Outcome::Pending;
        Ok(outcome)
    }
}

impl Drop for Leaf<'_> {
    fn drop(&mut self) {
        if self.begun {
            with_reactor(|reactor| reactor.end(self.io.registration.key.get(), self.wait));
        }
    }
}

/// The future of [`Io::readable`] and [`Io::writable`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Ready<'a>(Leaf<'a>);

impl Future for Ready<'_> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match self.0.poll() {
            Ok(Outcome::Pending) => return Poll::Pending,
            Ok(Outcome::Ready { .. }) => Ok(()),
            Ok(Outcome::TimedOut) => Err(io::ErrorKind::TimedOut.into()),
            Err(error) => Err(error),
        })
    }
}

/// How a peer is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hangup {
    /// It has closed its sending half and may still be reading.
    HalfClosed,
    /// It has closed or reset the connection.
    Dead,
}

/// The future of [`Io::hangup`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct HangupWait<'a>(Leaf<'a>);

impl Future for HangupWait<'_> {
    type Output = Hangup;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Hangup> {
        Poll::Ready(match self.0.poll() {
            Ok(Outcome::Ready { broken: false }) => Hangup::HalfClosed,
            Ok(Outcome::Ready { broken: true }) | Err(_) => Hangup::Dead,
            Ok(Outcome::Pending | Outcome::TimedOut) => return Poll::Pending,
        })
    }
}
