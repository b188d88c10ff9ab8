//! The bytes of a burst: what was read and not yet understood, what was written and not yet sent.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::time::Duration;

use super::Broken;
use crate::event::{self, Instant};
use crate::exchange::Connection;
use crate::net::buffer::Buffer;
use crate::sys::mapping::Mapping;
use crate::sys::socket;
use crate::worker::memory::Memory;

/// How much is read at once.
const READ_SIZE: usize = 16 * 1024;

/// Output beyond this is sent before more is made.
const HIGH_WATER: usize = 64 * 1024;

/// How much is copied to the kernel at once, in bytes: no more than a client that has not yet
/// received much has room for. What is beyond its window would be sent when the client makes
/// room: by timers and acknowledgements, which take longer than another call.
pub const PIECE: u64 = 96 * 1024;

/// How much of a long response is sent before others get their turn, in bytes: some 50
/// microseconds' work.
pub const TURN: u64 = 5 * PIECE;

/// A client whose answers take so long, in microseconds, is near.
const NEAR: Range<u32> = 1..1000;

/// The send buffer for long responses that are copied to near clients, in bytes. What the kernel
/// would choose is meant for long ways: so much leaves the processor's caches before the client
/// has read it.
const NEAR_BUFFER: i32 = 512 * 1024;

/// From how many bytes on a response is long.
const LONG: u64 = 1024 * 1024;

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

/// How much memory of a buffer is kept for the next burst.
const LARGEST_KEPT: usize = 128 * 1024;

/// What a burst reads and writes, and how that went so far.
pub struct Buffers {
    input: RefCell<Buffer>,
    /// What was sent leaves it at once: a flush that is dropped in the middle, or that another
    /// overtakes, sends nothing twice.
    output: RefCell<Buffer>,
    /// Whether what stands behind the request at the front may have come within this turn.
    behind: Cell<bool>,
    failed: Cell<bool>,
    timed_out: Cell<bool>,
    send_timeout: Cell<Duration>,
    keepalive_timeout: Cell<Option<Duration>>,
}

impl Default for Buffers {
    fn default() -> Buffers {
        Buffers {
            input: RefCell::default(),
            output: RefCell::default(),
            behind: Cell::new(false),
            failed: Cell::new(false),
            timed_out: Cell::new(false),
            send_timeout: Cell::new(Duration::from_secs(60)),
            keepalive_timeout: Cell::new(None),
        }
    }
}

impl Buffers {
    /// Forgets everything but the memory, ready for the next burst.
    pub fn clear(&mut self) {
        let Buffers { input, output, .. } = std::mem::take(self);
        self.input = RefCell::new(emptied(input.into_inner()));
        self.output = RefCell::new(emptied(output.into_inner()));
    }
}

fn emptied(mut buffer: Buffer) -> Buffer {
    if buffer.capacity() > LARGEST_KEPT {
        return Buffer::default();
    }
    buffer.clear();
    buffer
}

/// A connection and its buffers, for as long as it is busy. A clone is another handle of both.
#[derive(Clone)]
pub struct Wire {
    connection: Rc<Connection>,
    buffers: Rc<Buffers>,
}

impl Wire {
    /// The wire to `connection`, with the buffers out of `memory`.
    pub fn new(connection: Rc<Connection>, memory: &Memory) -> Wire {
        Wire {
            connection,
            buffers: Rc::clone(&memory.buffers),
        }
    }

    /// The connection.
    pub fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    /// Hands the unread input to `look`, which says how much of it is used up.
    pub fn consume<R>(&self, look: impl FnOnce(&[u8]) -> (usize, R)) -> R {
        let mut input = self.buffers.input.borrow_mut();
        let (used, result) = look(&input);
        input.consume(used);
        result
    }

    /// Whether input is left.
    pub fn has_input(&self) -> bool {
        !self.buffers.input.borrow().is_empty()
    }

    /// Goes on with what stands behind a request. Since it may have been sent after others had
    /// things looked at in this turn, it is a new occasion, once for all that was read together.
    pub fn go_behind(&self) {
        if self.buffers.behind.take() {
            event::new_occasion();
        }
    }

    /// Reads what is there, waiting until `deadline` for it.
    pub async fn receive(&self, deadline: Instant) -> Received {
        self.receive_up_to(READ_SIZE, deadline).await
    }

    /// As [`Wire::receive`], `at_most` so many bytes at once.
    pub async fn receive_up_to(&self, at_most: usize, deadline: Instant) -> Received {
        let receive = || self.read_onto(self.buffers.input.borrow_mut().tail(), at_most);
        self.wait_for(deadline, receive).await
    }

    /// As [`Wire::receive`], but onto the end of `out`, `at_most` so many bytes: for what needs no
    /// understanding. There must be no input left.
    pub async fn receive_onto(
        &self,
        out: &mut Vec<u8>,
        at_most: usize,
        deadline: Instant,
    ) -> Received {
        self.wait_for(deadline, || self.read_onto(out, at_most))
            .await
    }

    async fn wait_for(
        &self,
        deadline: Instant,
        mut receive: impl FnMut() -> Option<Received>,
    ) -> Received {
        loop {
            if let Some(received) = receive() {
                return received;
            }
            match self.connection.io.readable(Some(deadline)).await {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    self.buffers.timed_out.set(true);
                    return Received::TimedOut;
                }
                Err(_) => return self.fail(),
            }
        }
    }

    /// Reads what is there; `None` if nothing is.
    pub fn try_receive(&self) -> Option<Received> {
        self.read_onto(self.buffers.input.borrow_mut().tail(), READ_SIZE)
    }

    fn read_onto(&self, out: &mut Vec<u8>, at_most: usize) -> Option<Received> {
        loop {
            match self.connection.io.try_recv(out, at_most) {
                Ok(0) => return Some(Received::End),
                Ok(_) => {
                    self.buffers.behind.set(true);
                    return Some(Received::Bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(_) => return Some(self.fail()),
            }
        }
    }

    /// Sets how long the client may take nothing of what is sent (`send_timeout`).
    pub fn set_send_timeout(&self, timeout: Duration) {
        self.buffers.send_timeout.set(timeout);
    }

    /// Appends to the output; it leaves with the next flush.
    pub fn write(&self, append: impl FnOnce(&mut Vec<u8>)) {
        append(self.buffers.output.borrow_mut().tail());
    }

    /// Whether enough output waits to be worth sending.
    pub fn is_full(&self) -> bool {
        self.buffers.output.borrow().len() >= HIGH_WATER
    }

    /// Sends all output.
    ///
    /// # Errors
    /// The client is gone or took nothing for `send_timeout`.
    pub fn flush(&self) -> impl Future<Output = Result<(), Broken>> {
        self.push(false)
    }

    /// Sends all output, telling the kernel whether more follows at once.
    ///
    /// # Errors
    /// As [`Wire::flush`].
    pub async fn push(&self, more: bool) -> Result<(), Broken> {
        while !self.buffers.output.borrow().is_empty() {
            let sent = self.behind_output(|output| self.connection.io.try_send(output, more));
            if let Err(error) = sent {
                self.overcome(error).await?;
            }
        }
        Ok(())
    }

    /// Sends `bytes` behind the output there is, without copying them there; `done` counts what was
    /// sent.
    ///
    /// # Errors
    /// As [`Wire::flush`].
    pub async fn send_behind(&self, bytes: &[u8], done: &mut u64) -> Result<(), Broken> {
        let length = bytes.len() as u64;
        self.fit_send_buffer(length);
        self.send_in_turns(length, TURN, PIECE, done, |from, count| {
            let part = &bytes[from as usize..][..count];
            self.behind_output(|output| {
                let slices = [IoSlice::new(output), IoSlice::new(part)];
                self.connection.io.try_writev(&slices, false)
            })
        })
        .await
    }

    /// Sends a range of a mapped file behind the output there is; `chunk` bytes at most before
    /// others get their turn. `done` counts what was sent.
    ///
    /// # Errors
    /// As [`Wire::flush`], and a file that has become shorter.
    pub async fn send_mapped(
        &self,
        file: &Mapping,
        range: Range<u64>,
        chunk: u64,
        done: &mut u64,
    ) -> Result<(), Broken> {
        let length = range.end - range.start;
        self.fit_send_buffer(length);
        self.send_in_turns(length, chunk, PIECE, done, |from, count| {
            // What is mapped has an address, so this is no loss.
            let offset = (range.start + from) as usize;
            self.behind_output(|output| {
                let io = &self.connection.io;
                io.try_send_mapped(output, file, offset, count)
            })
        })
        .await
    }

    /// Sends a range of a file after all output; `chunk` bytes at most before others get
    /// their turn. `done` counts what was sent.
    ///
    /// # Errors
    /// As [`Wire::flush`], and a file that has become shorter.
    pub async fn send_file(
        &self,
        file: BorrowedFd<'_>,
        range: Range<u64>,
        chunk: u64,
        done: &mut u64,
    ) -> Result<(), Broken> {
        self.push(true).await?;
        let length = range.end - range.start;
        self.send_in_turns(length, chunk, TURN, done, |from, count| {
            let mut offset = range.start + from;
            match self.connection.io.try_sendfile(file, &mut offset, count) {
                Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                sent => sent,
            }
        })
        .await
    }

    /// Calls `attempt` until `length` bytes are done: with how many are already, and how many may
    /// be sent now, `piece` at most; it says how many were. What is long gives way to others first,
    /// and again after each turn: `chunk` bytes, if that is less than a turn has and not 0.
    async fn send_in_turns(
        &self,
        length: u64,
        chunk: u64,
        piece: u64,
        done: &mut u64,
        mut attempt: impl FnMut(u64, usize) -> io::Result<usize>,
    ) -> Result<(), Broken> {
        let turn = match chunk {
            0 => TURN,
            chunk => chunk.min(TURN),
        };
        // What may still be sent in this turn.
        let mut left = if length > turn { 0 } else { turn };
        while *done < length {
            if left == 0 {
                event::give_way().await;
                left = turn;
            }
            let count = (length - *done).min(left).min(piece);
            match attempt(*done, count as usize) {
                Ok(sent) => {
                    *done += sent as u64;
                    left -= sent as u64;
                }
                Err(error) => self.overcome(error).await?,
            }
        }
        Ok(())
    }

    /// Makes the send buffer small if a long response is copied to a client that is near, unless
    /// `sndbuf` says how large it is.
    fn fit_send_buffer(&self, length: u64) {
        if length <= LONG {
            return;
        }
        let socket = self.connection.io.fd();
        let is_near = || socket::tcp_info(socket).is_ok_and(|info| NEAR.contains(&info.min_rtt));
        if !socket::has_fixed_send_buffer(socket) && is_near() {
            // It is as good with the size it has, only not as quick.
            let _ = socket::send_buffer(socket, NEAR_BUFFER);
        }
    }

    /// Has `send` send the output and perhaps something behind it; the result counts only that.
    fn behind_output(&self, send: impl FnOnce(&[u8]) -> io::Result<usize>) -> io::Result<usize> {
        let mut output = self.buffers.output.borrow_mut();
        let sent = send(&output)?;
        let of_output = sent.min(output.len());
        output.consume(of_output);
        Ok(sent - of_output)
    }

    /// Sees to it that sending can go on after `error`: waits if the socket is full.
    async fn overcome(&self, error: io::Error) -> Result<(), Broken> {
        match error.kind() {
            io::ErrorKind::Interrupted => return Ok(()),
            io::ErrorKind::WouldBlock => {
                let deadline = event::now() + self.buffers.send_timeout.get();
                match self.connection.io.writable(Some(deadline)).await {
                    Ok(()) => return Ok(()),
                    Err(error) => self
                        .buffers
                        .timed_out
                        .set(error.kind() == io::ErrorKind::TimedOut),
                }
            }
            io::ErrorKind::UnexpectedEof => log::warn!("a file became shorter while it was sent"),
            _ => {}
        }
        self.buffers.failed.set(true);
        Err(Broken)
    }

    /// Whether nothing can be sent any more.
    pub fn has_failed(&self) -> bool {
        self.buffers.failed.get()
    }

    /// Whether the client kept us waiting too long.
    pub fn has_timed_out(&self) -> bool {
        self.buffers.timed_out.get()
    }

    /// Has the connection closed without another word, as if the client had timed out.
    pub fn give_up(&self) {
        self.buffers.failed.set(true);
        self.buffers.timed_out.set(true);
    }

    fn fail(&self) -> Received {
        self.buffers.failed.set(true);
        Received::Failed
    }

    /// Remembers for how long the last request lets the connection stay idle.
    pub fn set_keepalive_timeout(&self, timeout: Duration) {
        self.buffers.keepalive_timeout.set(Some(timeout));
    }

    /// For how long the connection may stay idle, if a request in this burst has said so.
    pub fn keepalive_timeout(&self) -> Option<Duration> {
        self.buffers.keepalive_timeout.get()
    }
}
