//! The task of one connection.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::driver::Driver;
use super::h1::After;
use super::is_retiring;
use crate::event::{self, Instant};
use crate::exchange::Connection;
use crate::exchange::counters::{ACTIVE, Gauge};
use crate::log::level::Level;
use crate::sys::socket;

/// What an idle connection is given once the worker retires: a client that is just sending a
/// request gets its answer.
const GRACE: Duration = Duration::from_secs(1);

/// A connection, from accepting to closing it. Written by hand, not as an `async fn`, because
/// there are ten thousand that only wait: such a one is a socket and two points in time.
pub struct Task {
    connection: Rc<Connection>,
    state: State,
    _active: Gauge<ACTIVE>,
}

enum State {
    /// Waiting for the first byte of a request.
    Idle { since: Instant, until: Instant },
    /// In the middle of requests and responses.
    Busy(Driver),
}

impl Task {
    /// Serves a connection that was just accepted.
    pub fn new(connection: Rc<Connection>) -> Task {
        Task {
            state: State::Busy(Driver::begin(&connection)),
            connection,
            _active: Gauge::new(),
        }
    }

    /// Since when it has been waiting for a request, if it has.
    pub fn idle_since(&self) -> Option<Instant> {
        match self.state {
            State::Idle { since, .. } => Some(since),
            State::Busy(_) => None,
        }
    }

    /// Waits no longer than a retiring worker can, from when it is polled next.
    pub fn hurry(&mut self) {
        let server = &self.connection.listener.default;
        let most = event::now() + GRACE.max(server.base.core.keepalive_min_timeout);
        if let State::Idle { until, .. } = &mut self.state {
            *until = most.min(*until);
        }
    }

    fn wait(&mut self, patience: Duration) {
        let since = event::now();
        self.state = State::Idle {
            since,
            until: since + patience,
        };
        if is_retiring() {
            self.hurry();
        }
    }

    /// A client that never sent a request is not merely one that sent its last.
    fn log_timeout(&self) {
        if self.connection.requests() == 0 && !is_retiring() {
            let why = "client timed out (110: Connection timed out) while waiting for request";
            self.connection.log(Level::Info, format_args!("{why}"));
        }
    }

    fn close(&self) {
        if self.connection.reset.get() {
            // If it fails the connection is closed the ordinary way.
            let _ = socket::linger_reset(self.connection.io.fd());
        }
    }
}

impl Future for Task {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let task = self.get_mut();
        // Whether it has become idle only now.
        let mut anew = false;
        loop {
            let after = match &mut task.state {
                State::Idle { until, .. } => {
                    // Woken before its time, it need not ask why: reading will tell.
                    let is_woken = !anew && event::now() < *until;
                    let io = &task.connection.io;
                    match is_woken || ready!(io.poll_readable(*until, anew)).is_ok() {
                        true => {
                            task.state = State::Busy(Driver::begin(&task.connection));
                            continue;
                        }
                        false => {
                            task.log_timeout();
                            After::Close
                        }
                    }
                }
                State::Busy(driver) => match driver.poll(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(after) => after,
                },
            };
            match after {
                After::Idle(patience) => {
                    task.wait(patience);
                    anew = true;
                }
                After::Close => {
                    task.close();
                    return Poll::Ready(());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_task_is_small() {
        assert!(size_of::<Option<Task>>() <= 24, "{}", size_of::<Task>());
    }
}
