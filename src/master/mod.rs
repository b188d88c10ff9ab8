//! Processes: the master, which opens what workers need, keeps them running and obeys signals.
//!
//! The master has no event loop: it waits for signals, does what they ask and waits again. Its
//! workers are forked from it and share the listening sockets, which therefore never close while
//! workers come and go.

mod daemon;
mod folder;
mod generation;
pub mod outcome;
pub mod pidfile;
mod ready;
mod reload;
mod signals;
mod start;
mod stop;
mod upgrade;
mod work;
mod workers;

use std::ffi::OsString;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

use self::generation::Generation;
pub use self::generation::{check, path};
use self::ready::Promise;
pub use self::reload::report;
use self::signals::Signal;
pub use self::start::start;
use self::stop::Phase;
use self::workers::Workers;
use crate::config::Diagnostics;
use crate::event::Signals;
use crate::exchange::Runtime;
use crate::log::errno::Errno;
use crate::log::error_log::ErrorLog;
use crate::log::level::Level;
use crate::sys::process::Pid;
use crate::sys::shm::SharedMap;
use crate::sys::signal::Blocked;

/// Something failed; the error log says what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

/// Reads the configuration: what it comes to and warnings, or everything that is wrong.
pub type Load = Box<dyn Fn() -> Result<(Runtime, Diagnostics), Diagnostics>>;

/// How the program was started.
pub struct Invocation {
    /// The command line, the program's name first.
    pub arguments: Vec<OsString>,
    /// Reads the configuration, at the start and for each reload.
    pub load: Load,
    /// Where messages go until a configuration is in force.
    pub log: ErrorLog,
    /// The default folder of logs, made if it is missing.
    pub logs: PathBuf,
}

/// The master process.
struct Master {
    invocation: Invocation,
    generation: Generation,
    /// The configuration before, until the workers of the new one are up.
    previous: Option<Generation>,
    signals: Signals,
    workers: Workers,
    /// Counters that workers of all generations share.
    counters: Rc<SharedMap>,
    phase: Phase,
    /// The new binary, while it runs.
    new_binary: Option<Pid>,
    /// Whether workers were retired for good, for a new binary.
    retired: bool,
    /// Whether it runs in the background.
    background: bool,
    /// Who started this process, if that was not itself: for a new binary, the old one.
    parent: Option<Pid>,
}

/// Why a process leaves the master's loop.
enum End {
    /// All is done.
    Exit,
    /// This is a worker, just forked.
    Worker(Newborn),
    /// This is a forked process that could not become a new binary.
    NotExecuted,
}

/// What a worker knows when it has just been forked.
struct Newborn {
    number: usize,
    /// Signals wait until it can receive them.
    blocked: Blocked,
    /// The master may be waiting for it to come up.
    promise: Promise,
}

/// Whether to go on.
type Flow = ControlFlow<End>;

impl Master {
    /// Runs until it is told to stop, or finds itself to be something else.
    fn run(mut self) -> ExitCode {
        let end = self.begin();
        match end {
            End::Exit => self.exit(),
            End::Worker(newborn) => self.work(newborn),
            End::NotExecuted => ExitCode::FAILURE,
        }
    }

    fn begin(&mut self) -> End {
        let mut flow = self.start_workers();
        loop {
            match flow {
                Flow::Break(end) => return end,
                Flow::Continue(()) => flow = self.turn(),
            }
        }
    }

    /// Waits for signals, or until something is due, and does what is to be done.
    fn turn(&mut self) -> Flow {
        let received = match self.signals.wait(self.patience()) {
            Ok(received) => received,
            Err(error) => {
                self.log(
                    Level::Alert,
                    format_args!("waiting for signals failed {}", Errno(&error)),
                );
                return Flow::Break(End::Exit);
            }
        };
        for received in received {
            self.receive(received)?;
        }
        self.insist();
        self.start_due_workers()?;
        match self.phase.is_stopping() && self.workers.is_empty() {
            true => Flow::Break(End::Exit),
            false => Flow::Continue(()),
        }
    }

    fn obey(&mut self, signal: Signal) -> Flow {
        match signal {
            Signal::Stop => self.stop_at_once(),
            Signal::Quit => self.quit(),
            Signal::Child => return self.reap(),
            _ if self.phase.is_stopping() => {}
            Signal::Reload => return self.reconfigure(),
            Signal::Reopen => self.reopen_logs(),
            Signal::Upgrade => return self.change_binary(),
            Signal::Retire => self.retire_workers(),
        }
        Flow::Continue(())
    }

    fn log(&self, level: Level, message: std::fmt::Arguments<'_>) {
        self.generation.runtime.error_log.log(level, None, message);
    }
}
