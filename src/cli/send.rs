//! `-s`: telling the running master what to do.

use std::fmt;
use std::io::{self, Write, stderr};
use std::process::ExitCode;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGQUIT, SIGTERM, SIGUSR1};

use super::options::Signal;
use super::reading::Reading;
use crate::log::errno::Errno;
use crate::log::level::Level;
use crate::master::outcome::Waiting;
use crate::master::{self, Failed};
use crate::sys::process::{self, Pid};

/// How long a reload may take before whoever asked for it is told to look at the log.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends the signal to the master that the configuration's pid file names. For a reload, waits
/// until the master has done it.
pub fn send(reading: &Reading, signal: Signal) -> ExitCode {
    match try_send(reading, signal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed) => ExitCode::FAILURE,
    }
}

fn try_send(reading: &Reading, signal: Signal) -> Result<(), Failed> {
    let runtime = reading.read()?;
    let log = |level, message: fmt::Arguments<'_>| reading.log.log(level, None, message);
    log(Level::Notice, format_args!("signal process started"));
    let pid_file = master::path(&runtime.process.pid);
    let pid = master::pidfile::read(pid_file).map_err(|message| {
        log(Level::Error, format_args!("{message}"));
        Failed
    })?;
    let waiting = match signal {
        Signal::Reload => prepare(Waiting::new(pid_file), log)?,
        _ => None,
    };
    let number = number(signal);
    process::kill(pid, number).map_err(|error| {
        let error = Errno(&error);
        log(
            Level::Alert,
            format_args!("kill({pid}, {number}) failed {error}"),
        );
        Failed
    })?;
    match waiting {
        Some(waiting) => wait(&waiting, pid, log),
        None => Ok(()),
    }
}

const fn number(signal: Signal) -> i32 {
    match signal {
        Signal::Stop => SIGTERM,
        Signal::Quit => SIGQUIT,
        Signal::Reopen => SIGUSR1,
        Signal::Reload => SIGHUP,
    }
}

/// Where there cannot be an answer, the signal is sent all the same.
fn prepare(
    waiting: io::Result<Waiting>,
    log: impl Fn(Level, fmt::Arguments<'_>),
) -> Result<Option<Waiting>, Failed> {
    match waiting {
        Ok(waiting) => Ok(Some(waiting)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            log(Level::Error, format_args!("another reload is under way"));
            Err(Failed)
        }
        Err(error) => {
            let error = Errno(&error);
            log(
                Level::Warn,
                format_args!("the outcome will be in the error log only {error}"),
            );
            Ok(None)
        }
    }
}

fn wait(
    waiting: &Waiting,
    pid: Pid,
    log: impl Fn(Level, fmt::Arguments<'_>),
) -> Result<(), Failed> {
    match waiting.outcome(PATIENCE) {
        Ok(None) => return Ok(()),
        Ok(Some(failure)) => {
            // There is nobody to tell that nobody reads it.
            let _ = stderr().write_all(failure.as_bytes());
        }
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            let message = format_args!(
                "the master {pid} did not tell within {seconds} seconds whether it reloaded"
            );
            log(Level::Error, message);
        }
    }
    Err(Failed)
}
