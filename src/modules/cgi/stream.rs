//! The body of a script's response, as it comes.

use std::io;
use std::time::Duration;

use super::running::{Failure, Running};
use super::script_log::ScriptLog;
use crate::event;
use crate::exchange::{LocalBoxFuture, Piece, ResponseStream};
use crate::http::Text;
use crate::log::level::Level;
use crate::sys::process::Exit;

/// How long `cgi_buffering` waits for more before it passes on what there is.
pub const GATHER: Duration = Duration::from_millis(10);

/// What the log says of [`Failure::Coding`].
pub const BAD_CODING: &str = "the script's chunked coding is broken or not all of it came";

/// The rest of a script's output.
pub struct Output {
    running: Option<Running>,
    /// What was read and not yet passed on.
    buffer: Vec<u8>,
    /// What is still to come by its `Content-Length`.
    left: Option<u64>,
    /// Why nothing will follow what is in the buffer.
    failure: Option<io::Error>,
}

impl Output {
    /// What `running` says after `buffer`, `left` bytes in all if that is known.
    pub fn new(running: Running, buffer: Vec<u8>, left: Option<u64>) -> Output {
        Output {
            running: Some(running),
            buffer,
            left,
            failure: None,
        }
    }

    async fn pull(&mut self) -> Option<io::Result<Piece>> {
        if let Some(failure) = self.failure.take() {
            return Some(Err(failure));
        }
        if self.left == Some(0) {
            if let Some(running) = self.running.take() {
                running.let_go();
            }
            return None;
        }
        let running = self.running.as_mut()?;
        running.set_watched();
        let ended = match fill(running, &mut self.buffer).await {
            Ok(ended) => ended,
            Err(failure) => {
                let error = broken(&running.log, failure);
                self.running = None;
                return Some(Err(error));
            }
        };
        if ended {
            let end = running.finish().await;
            let short = self
                .left
                .is_some_and(|left| left > self.buffer.len() as u64);
            self.failure = match end {
                Ok(exit) => {
                    note(&running.log, exit);
                    let cut = premature(exit, short);
                    cut.map(|error| running.log.error(error.kind(), &error))
                }
                Err(failure) => Some(broken(&running.log, failure)),
            };
            self.running = None;
            if self.buffer.is_empty() {
                return self.failure.take().map(Err);
            }
        }
        let mut bytes = std::mem::take(&mut self.buffer);
        if let Some(left) = &mut self.left {
            bytes.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= bytes.len() as u64;
        }
        (!bytes.is_empty()).then_some(Ok(Piece::Bytes(Text::Owned(bytes))))
    }
}

/// What the log says of a response that stops.
fn broken(log: &ScriptLog, failure: Failure) -> io::Error {
    use io::ErrorKind::{ConnectionAborted, InvalidData, Other, TimedOut};
    match failure {
        Failure::TimedOut(directive) => {
            log.error(TimedOut, format_args!("the script exceeded {directive}"))
        }
        Failure::ClientGone => log.error(ConnectionAborted, "the client has left"),
        Failure::Body(_) => log.error(Other, "the rest of the request's body did not come"),
        Failure::Coding => log.error(InvalidData, BAD_CODING),
        Failure::Read(error) => log.error(error.kind(), &error),
    }
}

impl ResponseStream for Output {
    fn next(&mut self) -> LocalBoxFuture<'_, Option<io::Result<Piece>>> {
        Box::pin(self.pull())
    }

    fn remaining(&self) -> Option<u64> {
        self.left
    }
}

/// Reads until there is something to pass on; whether the output has ended. With
/// `cgi_buffering`, until there is a good deal or nothing more comes for a moment.
///
/// # Errors
/// See [`Failure`].
pub async fn fill(running: &mut Running, buffer: &mut Vec<u8>) -> Result<bool, Failure> {
    if buffer.is_empty() && running.read(buffer).await? == 0 {
        return Ok(true);
    }
    if !running.settings().buffering {
        return Ok(false);
    }
    let most = running.settings().buffers;
    let until = event::now() + GATHER;
    while buffer.len() < most {
        match running.read_until(buffer, until).await? {
            Some(0) => return Ok(true),
            Some(_) => {}
            None => break,
        }
    }
    Ok(false)
}

/// The error that cuts a response off, if what came of it is not all.
pub fn premature(exit: Option<Exit>, short: bool) -> Option<io::Error> {
    match exit {
        Some(Exit::Signal { signal, .. }) => Some(io::Error::other(format!(
            "the script died of signal {signal}"
        ))),
        _ if short => Some(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the script said less than its Content-Length",
        )),
        _ => None,
    }
}

/// Notes an exit code other than 0. It does not spoil an answer: scripts are careless with it.
pub fn note(log: &ScriptLog, exit: Option<Exit>) {
    if let Some(Exit::Code(code @ 1..)) = exit {
        log.log(
            Level::Info,
            format_args!("the script exited with code {code}"),
        );
    }
}
