//! A running script: its output is read while its input is fed and its errors are drained, so
//! that whatever it does first, it never waits for us in vain.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::errors::Errors;
use super::input::{Input, InputError};
use super::process::{Process, State};
use super::script_log::ScriptLog;
use super::settings::Settings;
use crate::event::{self, Instant, Io, Raced, race};
use crate::exchange::Connection;
use crate::proto::h1::chunked::{Chunked, Event};
use crate::sys::process::Exit;

/// How many bytes are read at once at first; twice as many whenever it was not enough.
const FIRST_READ: usize = 8 << 10;

/// Most bytes read at once: what a pipe holds.
const LONGEST_READ: usize = 64 << 10;

/// How long after closing its output a script may take to end before it counts as one that has
/// detached itself.
const FAREWELL: Duration = Duration::from_millis(200);

/// A running script.
pub struct Running {
    process: Option<Process>,
    output: Option<Io>,
    /// The body on its way to the script.
    pub input: Input,
    errors: Errors,
    /// Undoes the chunked coding of a script that uses it.
    coding: Option<Chunked>,
    /// How many bytes are read at once.
    at_once: usize,
    settings: Rc<Settings>,
    /// Whose end is that of the script; none if it goes on without its client.
    client: Option<Rc<Connection>>,
    /// Where to say what is wrong with it.
    pub log: Rc<ScriptLog>,
    /// The response is on its way: what the script takes of the body is its own business now.
    answered: bool,
    /// The client was served something of it, so that an early end of it cuts the response.
    watched: bool,
}

/// Why there is no more output to be had.
#[derive(Debug)]
pub enum Failure {
    /// `cgi_read_timeout`, `cgi_send_timeout` or `cgi_timeout`.
    TimedOut(&'static str),
    /// The client has left.
    ClientGone,
    /// The request's body could not be had.
    Body(crate::exchange::BodyError),
    /// Its chunked coding is broken, or cut off.
    Coding,
    /// Reading failed.
    Read(io::Error),
}

impl Running {
    /// A script just started.
    pub fn new(
        process: Process,
        output: Io,
        input: Input,
        errors: Errors,
        settings: &Rc<Settings>,
        client: Option<Rc<Connection>>,
        log: Rc<ScriptLog>,
    ) -> Running {
        Running {
            process: Some(process),
            output: Some(output),
            input,
            errors,
            coding: None,
            at_once: FIRST_READ,
            settings: Rc::clone(settings),
            client,
            log,
            answered: false,
            watched: false,
        }
    }

    /// The settings of its location.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// From now on the response is on its way.
    pub fn set_answered(&mut self) {
        self.answered = true;
    }

    /// From now on the client waits for the rest, so the script is ended if it leaves.
    pub fn set_watched(&mut self) {
        self.watched = true;
    }

    /// Appends more output to `buffer`; 0 is its end.
    ///
    /// # Errors
    /// See [`Failure`]. May be dropped and called again.
    pub async fn read(&mut self, buffer: &mut Vec<u8>) -> Result<usize, Failure> {
        let deadline = event::now() + self.settings.read_timeout;
        self.read_until(buffer, deadline)
            .await?
            .ok_or(Failure::TimedOut("cgi_read_timeout"))
    }

    /// As [`Running::read`]; `None` at the deadline.
    ///
    /// # Errors
    /// As [`Running::read`].
    pub async fn read_until(
        &mut self,
        buffer: &mut Vec<u8>,
        deadline: Instant,
    ) -> Result<Option<usize>, Failure> {
        loop {
            if self.coding.as_ref().is_some_and(Chunked::is_done) {
                return Ok(Some(0));
            }
            let start = buffer.len();
            let count = self.read_coded(buffer, deadline).await?;
            if self.coding.is_none() || count.is_none() {
                return Ok(count);
            }
            if count == Some(0) {
                return Err(Failure::Coding);
            }
            self.decode(buffer, start)?;
            if buffer.len() > start {
                return Ok(Some(buffer.len() - start));
            }
        }
    }

    /// From now on, and for what is in `buffer` already, the chunked coding is undone.
    ///
    /// # Errors
    /// [`Failure::Coding`].
    pub fn set_chunked(&mut self, buffer: &mut Vec<u8>) -> Result<(), Failure> {
        self.coding = Some(Chunked::new());
        self.decode(buffer, 0)
    }

    /// Replaces what is in the chunked coding, from `start` on, by what it stands for.
    fn decode(&mut self, buffer: &mut Vec<u8>, start: usize) -> Result<(), Failure> {
        let Some(coding) = &mut self.coding else {
            return Ok(());
        };
        let (mut from, mut to) = (start, start);
        loop {
            let (used, event) = coding
                .decode(&buffer[from..])
                .map_err(|_| Failure::Coding)?;
            let Event::Data(range) = event else {
                buffer.truncate(to);
                return Ok(());
            };
            buffer.copy_within(from + range.start..from + range.end, to);
            to += range.len();
            from += used;
        }
    }

    /// Reads what the script has written, as it is.
    async fn read_coded(
        &mut self,
        buffer: &mut Vec<u8>,
        deadline: Instant,
    ) -> Result<Option<usize>, Failure> {
        let Running {
            output,
            input,
            errors,
            process,
            settings,
            client,
            at_once,
            ..
        } = self;
        let (Some(pipe), Some(process)) = (&*output, &*process) else {
            return Ok(Some(0));
        };
        let patience = (!self.answered).then_some(settings.send_timeout);
        let pumps = pump(input, errors, patience);
        let pumps_and_output = race(pumps, read(pipe, buffer, *at_once, deadline));
        let troubles = troubles(process, client.as_deref());
        let outcome = race(pumps_and_output, troubles).await;
        let result = match outcome {
            Raced::First(Raced::First(InputError::TimedOut)) => {
                Err(Failure::TimedOut("cgi_send_timeout"))
            }
            Raced::First(Raced::First(InputError::Body(error))) => Err(Failure::Body(error)),
            Raced::First(Raced::Second(Ok(count))) => {
                if count == *at_once {
                    *at_once = (count * 2).min(LONGEST_READ);
                }
                Ok(Some(count))
            }
            Raced::First(Raced::Second(Err(error))) if error.kind() == io::ErrorKind::TimedOut => {
                Ok(None)
            }
            Raced::First(Raced::Second(Err(error))) => Err(Failure::Read(error)),
            Raced::Second(failure) => Err(failure),
        };
        // After a failure there is no reason to spare the script.
        self.watched |= result.is_err();
        result
    }

    /// How the script has ended, which has closed its output; `None` if it goes on without it.
    ///
    /// # Errors
    /// It has ended because its time was over.
    pub async fn finish(&mut self) -> Result<Option<Exit>, Failure> {
        self.output = None;
        let Some(process) = self.process.take() else {
            return Ok(None);
        };
        let exit = process.exit(event::now() + FAREWELL).await;
        self.errors.finish();
        if process.has_expired() {
            return Err(Failure::TimedOut("cgi_timeout"));
        }
        process.let_go(None);
        Ok(exit)
    }

    /// Has no more interest in what the script says; it gets the time to end by itself.
    pub fn let_go(mut self) {
        self.dismiss();
    }

    fn dismiss(&mut self) {
        if let Some(process) = self.process.take() {
            process.let_go(Some(event::now() + self.settings.read_timeout));
        }
    }
}

impl Drop for Running {
    /// A response nobody asked to see (HEAD, 304) is no reason to break the script off; a client
    /// that has left in the middle of one is.
    fn drop(&mut self) {
        if self.answered && !self.watched {
            self.dismiss();
        }
    }
}

/// What output there is, once there is some.
async fn read(
    pipe: &Io,
    buffer: &mut Vec<u8>,
    at_most: usize,
    deadline: Instant,
) -> io::Result<usize> {
    loop {
        match pipe.try_read(buffer, at_most) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                pipe.readable(Some(deadline)).await?;
            }
            result => return result,
        }
    }
}

/// Feeds and drains side by side; resolves only if feeding fails.
async fn pump(input: &mut Input, errors: &mut Errors, patience: Option<Duration>) -> InputError {
    let (mut feed, mut drain) = (pin!(input.feed(patience)), pin!(errors.drain()));
    let (mut fed, mut drained) = (false, false);
    poll_fn(|context| {
        if !drained {
            drained = drain.as_mut().poll(context).is_ready();
        }
        if !fed {
            match feed.as_mut().poll(context) {
                Poll::Ready(Ok(())) => fed = true,
                Poll::Ready(Err(error)) => return Poll::Ready(error),
                Poll::Pending => {}
            }
        }
        Poll::Pending
    })
    .await
}

/// Resolves when waiting for output is in vain: the script's time is over, the client has left.
async fn troubles(process: &Process, client: Option<&Connection>) -> Failure {
    let expired = async {
        if process.changed().await != State::Expired {
            // One that has ended leaves its output to be read.
            std::future::pending::<()>().await;
        }
    };
    let gone = async {
        match client {
            Some(connection) => drop(connection.io.hangup().await),
            None => std::future::pending().await,
        }
    };
    match race(expired, gone).await {
        Raced::First(()) => Failure::TimedOut("cgi_timeout"),
        Raced::Second(()) => Failure::ClientGone,
    }
}
