//! Accepting connections: bounded batches, limits, and patience when descriptors run out.

use std::cell::{Cell, OnceCell};
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use super::release_one_idle;
use crate::event::{self, Io, Loop};
use crate::exchange::counters::Count;
use crate::exchange::{Connection, Listener, ListeningSocket, Runtime};
use crate::log::errno::Errno;
use crate::log::level::Level;
use crate::net::address::Address;
use crate::sys::socket;

/// Connections taken from one listener before others get their turn.
const BATCH: usize = 64;

/// How long a full worker waits before it looks again whether a connection has ended.
const FULL_DELAY: Duration = Duration::from_millis(50);

/// Everything accepting needs to know.
pub struct Acceptor<F: Future<Output = ()> + 'static> {
    /// Runs the connections.
    pub turns: Loop<F>,
    /// Makes a connection's task.
    pub task: fn(Rc<Connection>) -> F,
    /// The configuration.
    pub runtime: Rc<Runtime>,
}

impl<F: Future<Output = ()> + 'static> Acceptor<F> {
    /// Accepts on one socket until the task is dropped.
    pub async fn accept(self: Rc<Self>, socket: usize, fd: OwnedFd) {
        let io = Io::new_exclusive(fd);
        let Some(socket) = self.runtime.sockets.get(socket) else {
            return;
        };
        loop {
            while self.turns.connections() >= self.runtime.events.worker_connections {
                self.make_room().await;
            }
            if io.readable(None).await.is_err() {
                return;
            }
            if let Err(error) = self.accept_batch(&io, socket) {
                self.runtime.error_log.log(
                    Level::Crit,
                    None,
                    format_args!("accept4() failed {}", Errno(&error)),
                );
                event::sleep(self.runtime.events.accept_mutex_delay).await;
            }
        }
    }

    /// Too many connections: the one idle longest goes, or accepting waits a little.
    async fn make_room(&self) {
        let log = &self.runtime.error_log;
        let limit = self.runtime.events.worker_connections;
        if release_one_idle() {
            let message = "worker_connections are not enough, reusing connections";
            log.log(Level::Warn, None, format_args!("{limit} {message}"));
            event::yield_now().await;
        } else {
            log.log(
                Level::Alert,
                None,
                format_args!("{limit} worker_connections are not enough"),
            );
            event::sleep(FULL_DELAY).await;
        }
    }

    /// Takes what waits, up to the batch's size; an error means no more can be taken for now.
    fn accept_batch(&self, io: &Io, socket: &ListeningSocket) -> io::Result<()> {
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
        for count in 0..batch.min(room) {
            match io.try_accept() {
                Ok((fd, peer)) => self.accepted(fd, peer, socket),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if is_of_the_connection(&error) => {}
                // Without a descriptor to spare, the kernel says so even if nobody waits any more.
                Err(_) if count > 0 => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn accepted(&self, fd: OwnedFd, peer: Address, socket: &ListeningSocket) {
        Count::Accepted.increase();
        let (listener, local) = listener_for(socket, fd.as_fd());
        let (seconds, millis) = event::unix_time();
        let connection = Rc::new(Connection {
            number: Count::Number.increase() + 1,
            requests: Cell::new(0),
            accepted: seconds.unsigned_abs() * 1000 + u64::from(millis),
            peer,
            listener,
            proxy: OnceCell::new(),
            local,
            reset: Cell::new(false),
            io: Io::new(fd),
        });
        Count::Handled.increase();
        self.turns.spawn_connection((self.task)(connection));
    }
}

/// The address the connection was made to; a socket that serves only one needs no question.
fn listener_for(socket: &ListeningSocket, fd: BorrowedFd<'_>) -> (Rc<Listener>, OnceCell<Address>) {
    let local = OnceCell::new();
    if socket.specific.is_empty() {
        return (Rc::clone(&socket.listener), local);
    }
    let Ok(address) = socket::local_addr(fd) else {
        return (Rc::clone(&socket.listener), local);
    };
    let address = local.get_or_init(|| address);
    let exact = socket
        .specific
        .iter()
        .find(|listener| listener.address == *address);
    (Rc::clone(exact.unwrap_or(&socket.listener)), local)
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
