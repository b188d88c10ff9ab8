//! Signals as events, over the signal-hook crate.
//!
//! A handler notes the signal and who sent it and wakes a socket pair, which the loop watches
//! or [`Signals::wait`] polls. Nothing else happens in the handler.

use super::Io;
use crate::sys::poll::{PollFd, Readiness, poll};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::WithOrigin;
use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A signal and the process that sent it; 0 when the kernel did not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// The signal's number.
    pub signal: i32,
    /// The sender.
    pub sender: i32,
}

/// The signals this process has asked for.
///
/// A forked child inherits the parent's handlers and socket pair: it makes its own `Signals`
/// and drops the inherited one, with signals blocked meanwhile (`sys::signal::Blocked`).
#[derive(Debug)]
pub struct Signals {
    delivery: SignalDelivery<UnixStream, WithOrigin>,
    /// The same socket for the loop, from the first await on.
    watched: Option<Io>,
    pending: VecDeque<Received>,
}

impl Signals {
    /// Starts to receive these signals in place of their default effect. Several instances
    /// each get every signal they asked for; after the last one is dropped, the signals are
    /// ignored.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(signals: &[i32]) -> io::Result<Signals> {
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        write.set_nonblocking(true)?;
        let delivery = SignalDelivery::with_pipe(read, write, WithOrigin::default(), signals)?;
        Ok(Signals {
            delivery,
            watched: None,
            pending: VecDeque::new(),
        })
    }

    /// The next signal.
    ///
    /// # Errors
    /// The poller's.
    pub async fn next(&mut self) -> io::Result<Received> {
        loop {
            self.collect();
            if let Some(received) = self.pending.pop_front() {
                return Ok(received);
            }
            let watched = match self.watched.take() {
                Some(io) => io,
                None => Io::new(self.delivery.get_read().try_clone()?.into()),
            };
            self.watched.insert(watched).readable(None).await?;
        }
    }

    /// Blocks until signals arrive, or for `timeout`; then the list is empty. For processes
    /// without a loop, such as the master.
    ///
    /// # Errors
    /// The kernel's.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<Vec<Received>> {
        self.collect();
        if self.pending.is_empty() {
            // Rounded up, so that a short time does not become none.
            let ms = timeout.map_or(-1, |timeout| {
                i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
            });
            let mut fds = [PollFd::new(
                self.delivery.get_read().as_raw_fd(),
                Readiness::READ,
            )];
            match poll(&mut fds, ms) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => self.collect(),
            }
        }
        Ok(self.pending.drain(..).collect())
    }

    /// Takes over what the handlers have noted.
    fn collect(&mut self) {
        let noted = self.delivery.pending();
        self.pending.extend(noted.map(|origin| Received {
            signal: origin.signal,
            sender: origin.process.map_or(0, |process| process.pid),
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{block_on, spawn, yield_now};
    use crate::sys::process::{kill, pid};
    use signal_hook::consts::{SIGUSR1, SIGUSR2, SIGWINCH};

    #[test]
    fn a_signal_tells_who_sent_it() {
        let mut signals = Signals::new(&[SIGUSR1, SIGWINCH]).unwrap();
        assert_eq!(signals.wait(Some(Duration::ZERO)).unwrap(), []);
        kill(pid(), SIGUSR1).unwrap();
        let expected = Received {
            signal: SIGUSR1,
            sender: pid(),
        };
        assert_eq!(signals.wait(None).unwrap(), [expected]);
    }

    #[test]
    fn the_loop_awaits_signals_and_an_instance_can_be_made_anew() {
        for _ in 0..2 {
            let received = block_on(async {
                let mut signals = Signals::new(&[SIGUSR2]).unwrap();
                spawn(async {
                    yield_now().await;
                    kill(pid(), SIGUSR2).unwrap();
                });
                signals.next().await.unwrap()
            });
            assert_eq!(received.unwrap().signal, SIGUSR2);
        }
    }
}
