//! Signals as events, over the signal-hook crate.
//!
//! A handler notes the signal and who sent it and wakes a socket pair, which the loop watches
//! or [`Signals::wait`] polls. Nothing else happens in the handler.

use super::Io;
use crate::sys::fd;
use crate::sys::poll::{PollFd, Readiness, poll};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::WithOrigin;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
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
/// A forked child inherits the parent's handlers and socket pair: [`Signals::part`] gives it a
/// pair of its own.
#[derive(Debug)]
pub struct Signals {
    delivery: SignalDelivery<UnixStream, WithOrigin>,
    /// The end that the handlers write to.
    write: Arc<UnixStream>,
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
        let (read, write) = pair()?;
        let write = Arc::new(write);
        let origin = WithOrigin::default();
        let delivery = SignalDelivery::with_pipe(read, Arc::clone(&write), origin, signals)?;
        Ok(Signals {
            delivery,
            write,
            watched: None,
            pending: VecDeque::new(),
        })
    }

    /// In a forked child, with signals blocked since before the fork (`sys::signal::Blocked`): what
    /// has come so far was for the parent, and what comes from now on is for the child alone.
    ///
    /// # Errors
    /// The kernel's.
    pub fn part(&mut self) -> io::Result<()> {
        let (read, write) = pair()?;
        fd::replace(self.delivery.get_read().as_fd(), read.as_fd())?;
        fd::replace(self.write.as_fd(), write.as_fd())?;
        self.collect();
        self.pending.clear();
        Ok(())
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

/// Two sockets that are connected and do not block.
fn pair() -> io::Result<(UnixStream, UnixStream)> {
    let (read, write) = UnixStream::pair()?;
    read.set_nonblocking(true)?;
    write.set_nonblocking(true)?;
    Ok((read, write))
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
