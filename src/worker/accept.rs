//! Accepting connections: bounded batches, limits, and patience when descriptors run out.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use super::connection::Task;
use super::rush::Rush;
use crate::event::{self, Io, Loop, Review};
use crate::exchange::counters::Count;
use crate::exchange::{Connection, Listener, ListeningSocket, Runtime};
use crate::log::errno::Errno;
use crate::log::level::Level;
use crate::net::address::Address;
use crate::net::listen::DEFER_SECONDS;
use crate::sys::socket;

/// Connections taken from one listener before others get their turn.
const BATCH: usize = 64;

/// How many idle connections are closed at once for new ones to have room.
const MOST_RELEASED: usize = 32;

/// How long a full worker waits before it looks again whether a connection has ended.
const FULL_DELAY: Duration = Duration::from_millis(50);

/// Everything accepting needs to know.
pub struct Acceptor {
    /// Runs the connections.
    pub turns: Loop<Task>,
    /// The configuration.
    pub runtime: Rc<Runtime>,
}

impl Acceptor {
    /// Accepts on one socket until the task is dropped.
    pub async fn accept(self: Rc<Self>, socket: usize, fd: OwnedFd) {
        let Some(socket) = self.runtime.sockets.get(socket) else {
            return;
        };
        let mut gate = Gate::new(fd, socket);
        loop {
            while self.turns.connections() >= self.runtime.events.worker_connections {
                self.make_room().await;
            }
            match gate.io.readable(gate.rush.deadline()).await {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
                Err(_) => return,
            }
            match self.accept_batch(&gate, socket) {
                Ok(accepted) => gate.passed(accepted),
                Err(error) => {
                    let message = format_args!("accept4() failed {}", Errno(&error));
                    self.runtime.error_log.log(Level::Crit, None, message);
                    event::sleep(self.runtime.events.accept_mutex_delay).await;
                }
            }
        }
    }

    /// Too many connections: those idle longest go, or accepting waits a little.
    async fn make_room(&self) {
        let log = &self.runtime.error_log;
        let limit = self.runtime.events.worker_connections;
        if release_idle(&self.turns) {
            let message = "worker_connections are not enough, reusing connections";
            log.log(Level::Warn, None, format_args!("{limit} {message}"));
        } else {
            log.log(
                Level::Alert,
                None,
                format_args!("{limit} worker_connections are not enough"),
            );
            event::sleep(FULL_DELAY).await;
        }
    }

    /// Takes what waits, up to the batch's size, serves it and says how many that were; an error
    /// means no more can be taken for now.
    fn accept_batch(&self, gate: &Gate, socket: &ListeningSocket) -> io::Result<usize> {
        let batch = if self.runtime.events.multi_accept {
            BATCH * 8
        } else {
            BATCH
        };
        let room = self
            .runtime
            .events
            .worker_connections
            .saturating_sub(self.turns.connections());
        let accepted = gate.take(batch.min(room))?;
        let count = accepted.len();
        // Those kept back had sent something before they were accepted, the others perhaps not.
        let spoke_before = gate.rush.is_on();
        event::new_occasion();
        for (fd, peer) in accepted {
            if !spoke_before {
                event::new_occasion();
            }
            self.serve(fd, peer, socket);
        }
        Ok(count)
    }

    fn serve(&self, fd: OwnedFd, peer: Address, socket: &ListeningSocket) {
        Count::Accepted.increase();
        let listener = Rc::clone(listener_for(socket, fd.as_fd()));
        let connection = Connection::new(Io::new(fd), peer, listener);
        Count::Handled.increase();
        self.turns.spawn_connection(Task::new(Rc::new(connection)));
    }
}

/// Where connections come in, and in what numbers.
struct Gate {
    io: Io,
    rush: Rush,
    /// Whether the kernel may be told to keep connections back: not where `listen` has said so.
    is_free: bool,
}

impl Gate {
    fn new(fd: OwnedFd, socket: &ListeningSocket) -> Gate {
        Gate {
            io: Io::new_exclusive(fd),
            rush: Rush::default(),
            is_free: socket.options.address.ip().is_some() && !socket.options.deferred,
        }
    }

    /// Accepts what waits, `most` connections at most. All of them first, then they are served: so
    /// none of the code that does either has left the processor's caches.
    fn take(&self, most: usize) -> io::Result<Vec<(OwnedFd, Address)>> {
        let mut accepted = Vec::new();
        for _ in 0..most {
            match self.io.try_accept() {
                Ok(connection) => accepted.push(connection),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if is_of_the_connection(&error) => {}
                // Without a descriptor to spare, the kernel says so even if nobody waits any more.
                Err(_) if !accepted.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(accepted)
    }

    /// Notes how many connections have come in.
    fn passed(&mut self, accepted: usize) {
        if self.is_free
            && let Some(is_on) = self.rush.note(accepted, event::now())
        {
            self.keep_back(is_on);
        }
    }

    fn keep_back(&self, silent_ones: bool) {
        let seconds = if silent_ones { DEFER_SECONDS } else { 0 };
        // If it fails, connections come as they always do.
        let _ = socket::defer_accept(self.io.fd(), seconds);
    }
}

impl Drop for Gate {
    /// The socket outlives this worker.
    fn drop(&mut self) {
        if self.rush.is_on() {
            self.keep_back(false);
        }
    }
}

/// Closes some of the connections that have been idle longest, at least one and not so many that
/// the rest would soon follow; `false` if none is idle.
fn release_idle(turns: &Loop<Task>) -> bool {
    let mut idle = Vec::new();
    turns.review(|task| {
        idle.extend(task.idle_since());
        Review::Leave
    });
    if idle.is_empty() {
        return false;
    }
    let mut left = (idle.len() / 8).clamp(1, MOST_RELEASED);
    let (_, latest, _) = idle.select_nth_unstable(left - 1);
    turns.review(|task| match task.idle_since() {
        Some(since) if since <= *latest && left > 0 => {
            left -= 1;
            Review::Drop
        }
        _ => Review::Leave,
    });
    true
}

/// Who serves the address the connection was made to; a socket for only one needs no question.
fn listener_for<'a>(socket: &'a ListeningSocket, fd: BorrowedFd<'_>) -> &'a Rc<Listener> {
    if socket.specific.is_empty() {
        return &socket.listener;
    }
    let Ok(address) = socket::local_addr(fd) else {
        return &socket.listener;
    };
    let mut specific = socket.specific.iter();
    let exact = specific.find(|listener| listener.address == address);
    exact.unwrap_or(&socket.listener)
}

/// Errors that concern the connection that could not be accepted, not the listener.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(
        error.kind(),
        Interrupted
            | ConnectionAborted
            | ConnectionReset
            | NetworkDown
            | HostUnreachable
            | NetworkUnreachable
    )
}
