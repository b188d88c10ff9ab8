//! The three ways to wait for events, behind one interface.

use crate::sys::poll::{self, Epoll, Event, FdSet, PollFd, Readiness};
use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::str::FromStr;

/// The `use` directive: how the loop waits for events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// epoll(7).
    #[default]
    Epoll,
    /// poll(2).
    Poll,
    /// select(2), for descriptors below 1024.
    Select,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Method::Epoll => "epoll",
            Method::Poll => "poll",
            Method::Select => "select",
        })
    }
}

impl FromStr for Method {
    type Err = ();
    fn from_str(name: &str) -> Result<Method, ()> {
        match name {
            "epoll" => Ok(Method::Epoll),
            "poll" => Ok(Method::Poll),
            "select" => Ok(Method::Select),
            _ => Err(()),
        }
    }
}

/// A descriptor as the poller sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watched {
    pub(super) fd: RawFd,
    pub(super) token: u64,
}

pub(super) enum Poller {
    Epoll(Epoll),
    Scan(Scan),
}

impl Poller {
    pub(super) fn new(method: Method) -> io::Result<Poller> {
        Ok(match method {
            Method::Epoll => Poller::Epoll(Epoll::new()?),
            Method::Poll => Poller::Scan(Scan::new(false)),
            Method::Select => Poller::Scan(Scan::new(true)),
        })
    }

    /// Starts watching. `exclusive`: see [`Epoll::add`].
    pub(super) fn add(&mut self, at: Watched, want: Readiness, exclusive: bool) -> io::Result<()> {
        match self {
            Poller::Epoll(epoll) => epoll.add(at.fd, at.token, want, exclusive),
            Poller::Scan(scan) => scan.add(at, want),
        }
    }

    pub(super) fn modify(&mut self, at: Watched, want: Readiness) -> io::Result<()> {
        match self {
            Poller::Epoll(epoll) => epoll.modify(at.fd, at.token, want),
            Poller::Scan(scan) => scan.modify(at, want),
        }
    }

    pub(super) fn remove(&mut self, fd: RawFd) -> io::Result<()> {
        match self {
            Poller::Epoll(epoll) => epoll.remove(fd),
            Poller::Scan(scan) => scan.remove(fd),
        }
    }

    /// Waits at most `timeout_ms` (-1: for ever). A signal ends the wait without events.
    pub(super) fn wait(&mut self, timeout_ms: i32) -> io::Result<()> {
        let result = match self {
            Poller::Epoll(epoll) => epoll.wait(timeout_ms),
            Poller::Scan(scan) => scan.wait(timeout_ms),
        };
        match result {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            result => result,
        }
    }

    /// One of the events that the last wait has found, counted from 0.
    pub(super) fn event(&self, number: usize) -> Option<Event> {
        match self {
            Poller::Epoll(epoll) => epoll.event(number),
            Poller::Scan(scan) => scan.events.get(number).copied(),
        }
    }
}

/// The pollers that pass the whole list of descriptors with every call.
pub(super) struct Scan {
    watched: Vec<(Watched, Readiness)>,
    /// The same descriptors for poll(2), in the same order.
    fds: Vec<PollFd>,
    events: Vec<Event>,
    use_select: bool,
}

impl Scan {
    fn new(use_select: bool) -> Scan {
        Scan {
            watched: Vec::new(),
            fds: Vec::new(),
            events: Vec::new(),
            use_select,
        }
    }

    fn position(&self, fd: RawFd) -> io::Result<usize> {
        let found = self.watched.iter().position(|(at, _)| at.fd == fd);
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn add(&mut self, at: Watched, want: Readiness) -> io::Result<()> {
        if self.use_select {
            FdSet::default().insert(at.fd)?;
        }
        self.watched.push((at, want));
        self.fds.push(PollFd::new(at.fd, want));
        Ok(())
    }

    fn modify(&mut self, at: Watched, want: Readiness) -> io::Result<()> {
        let position = self.position(at.fd)?;
        self.watched[position].1 = want;
        self.fds[position].set(want);
        Ok(())
    }

    fn remove(&mut self, fd: RawFd) -> io::Result<()> {
        let position = self.position(fd)?;
        self.watched.swap_remove(position);
        self.fds.swap_remove(position);
        Ok(())
    }

    fn wait(&mut self, timeout_ms: i32) -> io::Result<()> {
        self.events.clear();
        if self.use_select {
            return self.select(timeout_ms);
        }
        poll::poll(&mut self.fds, timeout_ms)?;
        for (slot, (at, _)) in self.fds.iter().zip(&self.watched) {
            push(&mut self.events, *at, slot.ready());
        }
        Ok(())
    }

    /// select(2) reports neither hang-ups nor errors by themselves: a descriptor in such a
    /// state is readable and writable. Whether the peer has closed is learnt by peeking.
    fn select(&mut self, timeout_ms: i32) -> io::Result<()> {
        let (mut read, mut write, mut highest) = (FdSet::default(), FdSet::default(), -1);
        for (at, want) in &self.watched {
            if want.meets(Readiness::READ | Readiness::PEER_CLOSED) {
                read.insert(at.fd)?;
            }
            if want.meets(Readiness::WRITE) {
                write.insert(at.fd)?;
            }
            highest = highest.max(at.fd);
        }
        poll::select(highest, &mut read, &mut write, timeout_ms)?;
        for (at, want) in &mut self.watched {
            let mut ready = Readiness::NONE;
            if read.contains(at.fd) {
                ready |= Readiness::READ;
                if want.meets(Readiness::PEER_CLOSED) {
                    ready |= poll::peer_state(at.fd);
                }
                if ready == Readiness::READ && !want.meets(Readiness::READ) {
                    // Bytes nobody wants yet hide what follows them: look no further.
                    *want = *want & !Readiness::PEER_CLOSED;
                }
            }
            if write.contains(at.fd) {
                ready |= Readiness::WRITE;
            }
            push(&mut self.events, *at, ready & (*want | Readiness::ERROR));
        }
        Ok(())
    }
}

fn push(events: &mut Vec<Event>, at: Watched, ready: Readiness) {
    if ready != Readiness::NONE {
        events.push(Event {
            token: at.token,
            ready,
        });
    }
}
