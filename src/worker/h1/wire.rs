//! The bytes of a burst: what was read and not yet understood, what was written and not yet sent.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::time::Duration;

use super::Broken;
use crate::event::{self, Instant};
use crate::exchange::Connection;
use crate::net::buffer::Buffer;
use crate::worker::pool::with_pool;

/// How much is read at once.
const READ_SIZE: usize = 16 * 1024;

/// Output beyond this is sent before more is made.
const HIGH_WATER: usize = 64 * 1024;

/// How a read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// There is more input than before.
    Bytes,
    /// The client sends no more.
    End,
    /// Nothing came in time.
    TimedOut,
    /// The connection is broken.
    Failed,
}

/// A connection's buffers, for as long as it is busy.
pub struct Wire {
    connection: Rc<Connection>,
    input: RefCell<Buffer>,
    output: RefCell<Vec<u8>>,
    failed: Cell<bool>,
    timed_out: Cell<bool>,
    send_timeout: Cell<Duration>,
    keepalive_timeout: Cell<Option<Duration>>,
}

impl Wire {
    /// Buffers for `connection`, taken from the worker's pool.
    pub fn new(connection: Rc<Connection>) -> Wire {
        let (input, output) = with_pool(|pool| (pool.take_input(), pool.take_output()));
        Wire {
            connection,
            input: RefCell::new(input),
            output: RefCell::new(output),
            failed: Cell::new(false),
            timed_out: Cell::new(false),
            send_timeout: Cell::new(Duration::from_secs(60)),
            keepalive_timeout: Cell::new(None),
        }
    }

    /// The connection.
    pub fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    /// Hands the unread input to `look`, which says how much of it is used up.
    pub fn consume<R>(&self, look: impl FnOnce(&[u8]) -> (usize, R)) -> R {
        let mut input = self.input.borrow_mut();
        let (used, result) = look(&input);
        input.consume(used);
        result
    }

    /// Whether input is left.
    pub fn has_input(&self) -> bool {
        !self.input.borrow().is_empty()
    }

    /// Reads what is there, waiting until `deadline` for it.
    pub async fn receive(&self, deadline: Instant) -> Received {
        loop {
            if let Some(received) = self.try_receive() {
                return received;
            }
            match self.connection.io.readable(Some(deadline)).await {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    self.timed_out.set(true);
                    return Received::TimedOut;
                }
                Err(_) => return self.fail(),
            }
        }
    }

    /// Reads what is there; `None` if nothing is.
    pub fn try_receive(&self) -> Option<Received> {
        loop {
            let mut input = self.input.borrow_mut();
            match self.connection.io.try_recv(input.tail(), READ_SIZE) {
                Ok(0) => return Some(Received::End),
                Ok(_) => return Some(Received::Bytes),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(_) => return Some(self.fail()),
            }
        }
    }

    /// Sets how long the client may take between two reads (`send_timeout`).
    pub fn set_send_timeout(&self, timeout: Duration) {
        self.send_timeout.set(timeout);
    }

    /// Appends to the output; it leaves with the next flush.
    pub fn write(&self, append: impl FnOnce(&mut Vec<u8>)) {
        append(&mut self.output.borrow_mut());
    }

    /// Whether enough output waits to be worth sending.
    pub fn is_full(&self) -> bool {
        self.output.borrow().len() >= HIGH_WATER
    }

    /// Sends all output.
    ///
    /// # Errors
    /// The client is gone or took nothing for `send_timeout`.
    pub async fn flush(&self) -> Result<(), Broken> {
        self.push(false).await
    }

    /// Sends all output, telling the kernel whether more follows at once.
    ///
    /// # Errors
    /// As [`Wire::flush`].
    pub async fn push(&self, more: bool) -> Result<(), Broken> {
        let mut sent = 0;
        while sent < self.output.borrow().len() {
            let result = self
                .connection
                .io
                .try_send(&self.output.borrow()[sent..], more);
            sent += self.progress(result).await?;
        }
        self.output.borrow_mut().clear();
        Ok(())
    }

    /// Sends `bytes` behind the output there is, without copying them; `done` counts what was sent.
    ///
    /// # Errors
    /// As [`Wire::flush`].
    pub async fn send_behind(&self, bytes: &[u8], done: &mut u64) -> Result<(), Broken> {
        let head = self.output.borrow().len();
        let mut sent = 0;
        while sent < head + bytes.len() {
            let result = {
                let output = self.output.borrow();
                let front = output.get(sent..).unwrap_or_default();
                let back = &bytes[sent.saturating_sub(head)..];
                self.connection
                    .io
                    .try_writev(&[io::IoSlice::new(front), io::IoSlice::new(back)], false)
            };
            sent += self.progress(result).await?;
            *done = sent.saturating_sub(head) as u64;
        }
        self.output.borrow_mut().clear();
        Ok(())
    }

    /// Sends a range of a file after all output; `chunk` bytes at most before others get
    /// their turn. `done` counts what was sent.
    ///
    /// # Errors
    /// As [`Wire::flush`], and a file that has become shorter.
    pub async fn send_file(
        &self,
        file: BorrowedFd<'_>,
        mut offset: u64,
        length: u64,
        chunk: u64,
        done: &mut u64,
    ) -> Result<(), Broken> {
        self.push(true).await?;
        let end = offset + length;
        let chunk = if chunk == 0 { u64::MAX } else { chunk };
        let mut turn = 0;
        while offset < end {
            let count = usize::try_from((end - offset).min(chunk - turn)).unwrap_or(usize::MAX);
            let result = self.connection.io.try_sendfile(file, &mut offset, count);
            if matches!(result, Ok(0)) {
                log::warn!("a file became shorter while it was sent");
                return self.break_off();
            }
            let sent = self.progress(result).await? as u64;
            (turn, *done) = (turn + sent, *done + sent);
            if turn >= chunk && offset < end {
                event::yield_now().await;
                turn = 0;
            }
        }
        Ok(())
    }

    /// What a send achieved; waits if the socket is full.
    async fn progress(&self, result: io::Result<usize>) -> Result<usize, Broken> {
        match result {
            Ok(sent) => Ok(sent),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let deadline = event::now() + self.send_timeout.get();
                match self.connection.io.writable(Some(deadline)).await {
                    Ok(()) => Ok(0),
                    Err(error) => {
                        self.timed_out.set(error.kind() == io::ErrorKind::TimedOut);
                        self.break_off()
                    }
                }
            }
            Err(_) => self.break_off(),
        }
    }

    /// Whether nothing can be sent any more.
    pub fn has_failed(&self) -> bool {
        self.failed.get()
    }

    /// Whether the client kept us waiting too long.
    pub fn has_timed_out(&self) -> bool {
        self.timed_out.get()
    }

    /// Has the connection closed without another word, as if the client had timed out.
    pub fn give_up(&self) {
        self.failed.set(true);
        self.timed_out.set(true);
    }

    fn break_off<T>(&self) -> Result<T, Broken> {
        self.failed.set(true);
        Err(Broken)
    }

    fn fail(&self) -> Received {
        self.failed.set(true);
        Received::Failed
    }

    /// Remembers for how long the last request lets the connection stay idle.
    pub fn set_keepalive_timeout(&self, timeout: Duration) {
        self.keepalive_timeout.set(Some(timeout));
    }

    /// For how long the connection may stay idle, if a request in this burst has said so.
    pub fn keepalive_timeout(&self) -> Option<Duration> {
        self.keepalive_timeout.get()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let (input, output) = (
            std::mem::take(self.input.get_mut()),
            std::mem::take(self.output.get_mut()),
        );
        with_pool(|pool| pool.give_back(input, output));
    }
}
