//! Programs that the helper process has started as another user, that tasks wait for.

use super::{Instant, Io, sleep};
use crate::sys::process::{Exit, Program, SPARE, Starter, end_of, start_of};
use crate::sys::socket;
use std::io;
use std::time::Duration;

/// How long to wait before asking a helper again that has too much to do.
const PAUSE: Duration = Duration::from_millis(8);

/// A program started by the helper. Dropping it kills the program's process group.
#[derive(Debug)]
pub struct RemoteChild {
    control: Io,
}

impl RemoteChild {
    /// Has the helper start a program as its account of that number, until `deadline`.
    ///
    /// # Errors
    /// Those of starting it, and of asking the helper.
    pub async fn start(
        starter: &Starter,
        account: usize,
        program: &Program<'_>,
        deadline: Instant,
    ) -> io::Result<RemoteChild> {
        let control = loop {
            match starter.request(account, program) {
                Err(error) if is_busy(&error) && super::now() < deadline => sleep(PAUSE).await,
                asked => break Io::new(asked?),
            }
        };
        control.readable(Some(deadline)).await?;
        start_of(control.fd())?;
        Ok(RemoteChild { control })
    }

    /// Sends a signal to the program and what it has started.
    ///
    /// # Errors
    /// The kernel's; what has ended cannot be told anything.
    pub fn kill(&self, signal: i32) -> io::Result<()> {
        let signal = u8::try_from(signal).map_err(|_| io::ErrorKind::InvalidInput)?;
        socket::send_message(self.control.fd(), &[signal], &[])
    }

    /// Has it outlive this value.
    pub fn spare(&self) {
        // Nothing that has ended needs to be spared.
        let _ = socket::send_message(self.control.fd(), &[SPARE], &[]);
    }

    /// Resolves when the program has ended, and what is left of its group with it if it was told
    /// to.
    ///
    /// # Errors
    /// The poller's.
    pub async fn ended(&self) -> io::Result<()> {
        self.control.readable(None).await
    }

    /// How it has ended; once.
    ///
    /// # Errors
    /// The poller's, and those of a helper that is gone.
    pub async fn wait(&self) -> io::Result<Exit> {
        self.ended().await?;
        end_of(self.control.fd())
    }
}

fn is_busy(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}
