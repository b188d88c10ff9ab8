//! A script's standard input: the request's body.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::event::{self, Io};
use crate::exchange::{BodyError, BufferedBody, RequestBody};
use crate::sys::fd;

/// What is still to be written to a script.
#[derive(Default)]
pub struct Input {
    pipe: Option<Io>,
    /// What was taken from the body and not yet written, from `at` on.
    pending: Vec<u8>,
    at: usize,
    /// The rest of the body, if it still comes from the client.
    body: Option<RequestBody>,
}

/// Why a script did not get all of the body.
#[derive(Debug)]
pub enum InputError {
    /// It took nothing for too long.
    TimedOut,
    /// The body could not be had.
    Body(BodyError),
}

/// How much of the body is read ahead of the script, in bytes.
const HIGH_WATER: usize = 64 << 10;

impl Input {
    /// Nothing to write, nor for the script to read.
    pub fn nothing() -> (Option<OwnedFd>, Input) {
        (None, Input::default())
    }

    /// A body that was read whole. One in a file is read by the script itself.
    pub fn whole(body: &BufferedBody) -> io::Result<(Option<OwnedFd>, Input)> {
        match body {
            BufferedBody::Memory(bytes) if bytes.is_empty() => Ok(Input::nothing()),
            BufferedBody::Memory(bytes) => Input::piped(bytes.clone(), None),
            BufferedBody::File(temp) => Ok((Some(temp.reopen()?.into()), Input::default())),
        }
    }

    /// A body to be passed on as it comes.
    pub fn streamed(body: RequestBody) -> io::Result<(Option<OwnedFd>, Input)> {
        Input::piped(Vec::new(), Some(body))
    }

    fn piped(pending: Vec<u8>, body: Option<RequestBody>) -> io::Result<(Option<OwnedFd>, Input)> {
        let (reader, writer) = fd::pipe_to_write()?;
        let input = Input {
            pipe: Some(Io::new(writer)),
            pending,
            at: 0,
            body,
        };
        Ok((Some(reader), input))
    }

    /// Whether all was written that the script was ready to take.
    pub fn is_done(&self) -> bool {
        self.pipe.is_none()
    }

    /// Gives up the rest of a body that the script did not want, if it comes from the client.
    pub fn take_body(&mut self) -> Option<RequestBody> {
        self.body.take()
    }

    /// Writes until all is written or the script wants no more; `patience` is for each write.
    ///
    /// # Errors
    /// See [`InputError`]. May be dropped and called again.
    pub async fn feed(&mut self, patience: Option<Duration>) -> Result<(), InputError> {
        let mut deadline = patience.map(|patience| event::now() + patience);
        while let Some(pipe) = &self.pipe {
            if self.at == self.pending.len() {
                self.pending.clear();
                self.at = 0;
                if !self.refill().await.map_err(InputError::Body)? {
                    self.pipe = None;
                    return Ok(());
                }
                deadline = patience.map(|patience| event::now() + patience);
                continue;
            }
            match pipe.try_write(&self.pending[self.at..]) {
                Ok(written) => {
                    self.at += written;
                    deadline = patience.map(|patience| event::now() + patience);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match pipe.writable(deadline).await {
                        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                            return Err(InputError::TimedOut);
                        }
                        // A broken pipe shows at the next write.
                        Ok(()) | Err(_) => {}
                    }
                }
                // The script has closed its standard input, or has ended.
                Err(_) => self.pipe = None,
            }
        }
        Ok(())
    }

    /// Takes more of the body; `false` at its end.
    async fn refill(&mut self) -> Result<bool, BodyError> {
        let Some(body) = &mut self.body else {
            return Ok(false);
        };
        let more = body.read(&mut self.pending).await? > 0;
        self.pending.shrink_to(HIGH_WATER);
        Ok(more)
    }
}
