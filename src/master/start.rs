//! From the command line to a master with workers.

use std::env;
use std::process::ExitCode;
use std::rc::Rc;

use super::daemon;
use super::generation::{self, Generation};
use super::ready::Promise;
use super::stop::Phase;
use super::workers::Workers;
use super::{Failed, Invocation, Master, pidfile, signals};
use crate::event::Signals;
use crate::exchange::Runtime;
use crate::log::errno::Errno;
use crate::log::level::Level;
use crate::log::{error_log, facade};
use crate::net::listen::{self, Socket};
use crate::sys::process::{self, Resource};
use crate::sys::shm::SharedMap;

/// The environment variable by which a new binary learns which sockets are open already.
pub(super) const INHERITED: &str = "ROWHOUSE";

/// Bytes for counters that workers share.
const COUNTERS: usize = 4096;

/// Starts the server with the configuration `runtime` and runs until it ends; in forked processes,
/// too.
pub fn start(invocation: Invocation, runtime: Runtime) -> ExitCode {
    match Master::prepare(invocation, runtime) {
        Ok(master) => master.serve(),
        Err(Failed) => ExitCode::FAILURE,
    }
}

impl Master {
    /// Opens everything, becomes a daemon if it is to, and writes the pid file.
    fn prepare(invocation: Invocation, runtime: Runtime) -> Result<Self, Failed> {
        let log = &invocation.log;
        let parent = process::parent_pid();
        let inherited = inherited(&invocation);
        generation::open_files(&runtime, &invocation.logs, log)?;
        generation::open_zones(&runtime, None, log)?;
        let log = runtime.error_log.clone();
        facade::set_main(log.clone());
        let emerg = |call: &'static str| {
            let log = log.clone();
            move |error| {
                log.log(
                    Level::Emerg,
                    None,
                    format_args!("{call} failed {}", Errno(&error)),
                );
                Failed
            }
        };
        let is_new_binary = inherited.is_some();
        let previous = inherited.unwrap_or_default();
        let generation = Generation::open(Rc::new(runtime), &previous, &log)?;
        listen::close_all_but(&generation.sockets(), previous, &log);
        let counters = Rc::new(SharedMap::new(COUNTERS).map_err(emerg("mmap()"))?);
        announce(&generation);
        let detaches = generation.runtime.process.daemon && !is_new_binary;
        let caller = detaches
            .then(daemon::detach)
            .transpose()
            .map_err(emerg("fork()"))?;
        let signals = Signals::new(&signals::numbers()).map_err(emerg("sigaction()"))?;
        let master = Self {
            invocation,
            generation,
            previous: None,
            signals,
            workers: Workers::default(),
            counters,
            phase: Phase::Running,
            new_binary: None,
            retired: false,
            background: detaches || is_new_binary,
            parent: (!detaches).then_some(parent),
        };
        master.settle(caller)?;
        Ok(master)
    }

    /// The last steps, in the process that stays.
    fn settle(&self, caller: Option<Promise>) -> Result<(), Failed> {
        let written = pidfile::write(
            self.generation.pid_file(),
            process::pid(),
            &self.invocation.logs,
        );
        if let Err(message) = written {
            self.log(Level::Emerg, format_args!("{message}"));
            return Err(Failed);
        }
        self.generation.redirect_stderr();
        error_log::echo_to_terminal(false);
        if let Some(caller) = caller {
            caller.keep();
        }
        Ok(())
    }

    fn serve(self) -> ExitCode {
        if !self.generation.runtime.process.master_process {
            return self.work_alone();
        }
        let arguments = self.invocation.arguments.iter();
        let line: Vec<_> = arguments
            .map(|argument| argument.to_string_lossy())
            .collect();
        process::set_title(&format!(
            "{}: master process {}",
            crate::NAME,
            line.join(" ")
        ));
        self.run()
    }
}

/// The sockets of an old binary, if this is its new one.
fn inherited(invocation: &Invocation) -> Option<Vec<Rc<Socket>>> {
    let list = env::var_os(INHERITED)?;
    let list = list.to_string_lossy();
    let log = &invocation.log;
    log.log(
        Level::Notice,
        None,
        format_args!("using inherited sockets from \"{list}\""),
    );
    Some(listen::inherited(&list, log))
}

/// What the log says first.
fn announce(generation: &Generation) {
    let runtime = &generation.runtime;
    let method = runtime.events.method;
    let log =
        |message: std::fmt::Arguments<'_>| runtime.error_log.log(Level::Notice, None, message);
    log(format_args!("using the \"{method}\" event method"));
    log(format_args!("{}", crate::NAME_AND_VERSION));
    if let Ok((soft, hard)) = process::limit(Resource::OpenFiles) {
        log(format_args!("getrlimit(RLIMIT_NOFILE): {soft}:{hard}"));
    }
}
