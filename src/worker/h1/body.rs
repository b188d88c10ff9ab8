//! The body of a request as HTTP/1 frames it: counted or chunked (RFC 9112 section 6).

use std::time::Duration;

use super::wire::{Received, Wire};
use crate::event;
use crate::exchange::{BodyError, BodySource, LocalBoxFuture};
use crate::http::{Headers, Status};
use crate::proto::h1::chunked::{Chunked, Event};
use crate::proto::h1::framing::{BodyFraming, Framing};

/// Most bytes handed over at once.
const CHUNK: usize = 64 * 1024;

enum Left {
    /// So many bytes.
    Counted(u64),
    /// Until the last chunk.
    Chunked(Chunked),
}

/// Reads one request's body from the wire.
pub struct Source {
    wire: Wire,
    left: Left,
    /// `client_max_body_size` for a body whose length is not known beforehand; 0: no limit.
    limit: u64,
    received: u64,
    /// As `received`, framing included.
    taken: u64,
    patience: Duration,
    /// The client waits for `100 Continue` before it sends.
    continue_expected: bool,
}

impl Source {
    /// The body `framing` announces; `None` if there is none.
    pub fn new(wire: &Wire, framing: &Framing) -> Option<Source> {
        let left = match framing.body {
            BodyFraming::None | BodyFraming::Length(0) => return None,
            BodyFraming::Length(length) => Left::Counted(length),
            BodyFraming::Chunked => Left::Chunked(Chunked::default()),
        };
        Some(Source {
            wire: wire.clone(),
            left,
            limit: 0,
            received: 0,
            taken: 0,
            patience: Duration::from_secs(60),
            continue_expected: framing.expect_continue,
        })
    }

    async fn pull(&mut self, out: &mut Vec<u8>) -> Result<usize, BodyError> {
        loop {
            let before = out.len();
            let ended = self.take(out)?;
            let taken = out.len() - before;
            if taken > 0 || ended {
                return Ok(taken);
            }
            self.invite().await?;
            match self.receive(out).await {
                Received::Bytes => {}
                Received::TimedOut => return Err(BodyError::TimedOut),
                Received::End | Received::Failed => return Err(BodyError::Closed),
            }
            if out.len() > before {
                self.check_limit()?;
                return Ok(out.len() - before);
            }
        }
    }

    /// Waits for more. What is counted goes to `out` at once, what is chunked to the wire's input.
    async fn receive(&mut self, out: &mut Vec<u8>) -> Received {
        let deadline = event::now() + self.patience;
        let Left::Counted(left) = &mut self.left else {
            return self.wire.receive_up_to(CHUNK, deadline).await;
        };
        let before = out.len();
        let most = usize::try_from(*left).unwrap_or(usize::MAX).min(CHUNK);
        let received = self.wire.receive_onto(out, most, deadline).await;
        let count = (out.len() - before) as u64;
        *left -= count;
        self.taken += count;
        self.received += count;
        received
    }

    /// Sends `100 Continue` once, if the client waits for it and nothing has come yet.
    async fn invite(&mut self) -> Result<(), BodyError> {
        if std::mem::take(&mut self.continue_expected) && self.received == 0 {
            self.wire
                .write(|output| output.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n"));
        }
        self.wire.flush().await.map_err(|_| BodyError::Closed)
    }

    /// Moves what has arrived to `out`; whether the body is at its end.
    fn take(&mut self, out: &mut Vec<u8>) -> Result<bool, BodyError> {
        let before = out.len();
        let Source {
            wire, left, taken, ..
        } = self;
        let ended = wire.consume(|input| {
            let (used, ended) = match left {
                Left::Counted(left) => take_counted(left, input, out),
                Left::Chunked(decoder) => take_chunked(decoder, input, out),
            };
            *taken += used as u64;
            (used, ended)
        })?;
        self.received += (out.len() - before) as u64;
        self.check_limit()?;
        Ok(ended)
    }

    fn check_limit(&self) -> Result<(), BodyError> {
        match self.limit > 0 && self.received > self.limit {
            true => Err(BodyError::TooLarge),
            false => Ok(()),
        }
    }
}

impl BodySource for Source {
    fn read<'a>(
        &'a mut self,
        out: &'a mut Vec<u8>,
    ) -> LocalBoxFuture<'a, Result<usize, BodyError>> {
        Box::pin(self.pull(out))
    }

    fn set_limits(&mut self, bytes: u64, patience: Duration) {
        self.limit = bytes;
        self.patience = patience;
    }

    fn inform(&mut self, status: Status, headers: &Headers) {
        self.wire.write(|output| {
            output.extend_from_slice(b"HTTP/1.1 ");
            output.extend_from_slice(&status.digits());
            output.push(b' ');
            output.extend_from_slice(status.reason().as_bytes());
            for field in headers {
                output.extend_from_slice(b"\r\n");
                output.extend_from_slice(&field.name);
                output.extend_from_slice(b": ");
                output.extend_from_slice(&field.value);
            }
            output.extend_from_slice(b"\r\n\r\n");
        });
    }

    fn withhold_continue(&mut self) {
        self.continue_expected = false;
    }

    fn taken(&self) -> u64 {
        self.taken
    }
}

fn take_counted(
    left: &mut u64,
    input: &[u8],
    out: &mut Vec<u8>,
) -> (usize, Result<bool, BodyError>) {
    let count = usize::try_from(*left)
        .unwrap_or(usize::MAX)
        .min(input.len())
        .min(CHUNK);
    out.extend_from_slice(&input[..count]);
    *left -= count as u64;
    (count, Ok(*left == 0))
}

fn take_chunked(
    decoder: &mut Chunked,
    input: &[u8],
    out: &mut Vec<u8>,
) -> (usize, Result<bool, BodyError>) {
    let mut used = 0;
    let before = out.len();
    while out.len() - before < CHUNK {
        match decoder.decode(&input[used..]) {
            Ok((count, Event::Data(range))) => {
                out.extend_from_slice(&input[used..][range]);
                used += count;
            }
            Ok((count, Event::NeedMore)) => return (used + count, Ok(false)),
            Ok((count, Event::End)) => return (used + count, Ok(true)),
            Err(error) => return (used, Err(BodyError::Malformed(error.message()))),
        }
    }
    (used, Ok(false))
}
