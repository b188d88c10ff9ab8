//! From a forked copy of the master to a worker.

use std::cell::RefCell;
use std::env;
use std::fmt;
use std::io;
use std::mem;
use std::process::ExitCode;
use std::rc::Rc;

use signal_hook::consts::{SIGCHLD, SIGHUP};

use super::generation::{self, Generation};
use super::upgrade::environment;
use super::workers::FATAL;
use super::{Failed, Master, Newborn, outcome, pidfile};
use crate::event::Signals;
use crate::exchange::Runtime;
use crate::log::errno::Errno;
use crate::log::error_log::ErrorLog;
use crate::log::level::Level;
use crate::sys::process::{self, Resource};
use crate::sys::signal;
use crate::worker::{self, Assignment, Service};

impl Master {
    /// Becomes a worker for good.
    pub(super) fn work(self, newborn: Newborn) -> ExitCode {
        let Newborn {
            number,
            blocked,
            promise,
        } = newborn;
        let Self {
            generation,
            previous,
            mut signals,
            counters,
            ..
        } = self;
        process::set_title(crate::WORKER_TITLE);
        let parted = signals.part();
        // The end of a script is awaited; a handler would only interrupt.
        signal::reset(SIGCHLD);
        drop(blocked);
        let runtime = Rc::clone(&generation.runtime);
        let log = runtime.error_log.clone();
        if let Err(error) = process::set_environment(environment(&runtime.process)) {
            fatal(&log, "setting the environment", &error);
        }
        let ready = parted
            .map_err(|error| fatal(&log, "socketpair()", &error))
            .and_then(|()| take_place(&generation, number, &log))
            .and_then(|()| {
                Ok(Assignment {
                    service: service(&generation, number)?,
                    signals,
                    reload: None,
                    counters,
                })
            });
        // The sockets of other workers close.
        drop(generation);
        let _unfreed = previous.map(leave);
        let served = ready.and_then(|assignment| {
            promise.keep();
            serve(assignment, &log)
        });
        match served {
            Ok(()) => ExitCode::SUCCESS,
            Err(Failed) => ExitCode::from(FATAL),
        }
    }

    /// `master_process off`: serves in this very process.
    pub(super) fn work_alone(self) -> ExitCode {
        self.start_starter();
        let log = self.generation.runtime.error_log.clone();
        let counters = Rc::clone(&self.counters);
        let signals = Signals::new(&[&worker::SIGNALS[..], &[SIGHUP]].concat());
        let master = Rc::new(RefCell::new(self));
        let reloading = Rc::clone(&master);
        let assignment = signals
            .map_err(|error| fatal(&log, "sigaction()", &error))
            .and_then(|signals| {
                Ok(Assignment {
                    service: service(&master.borrow().generation, 0)?,
                    signals,
                    reload: Some(Box::new(move || reloading.borrow_mut().reload_alone())),
                    counters,
                })
            });
        let served = assignment.and_then(|assignment| serve(assignment, &log));
        let master = master.borrow();
        pidfile::remove(master.generation.pid_file(), &log);
        match served {
            Ok(()) => ExitCode::SUCCESS,
            Err(Failed) => ExitCode::FAILURE,
        }
    }

    /// Reads the configuration again, for a worker without a master; `None` if the old one stays.
    fn reload_alone(&mut self) -> Option<Service> {
        self.log(Level::Notice, format_args!("reconfiguring"));
        let pid_file = self.generation.pid_file().to_owned();
        let next = self.next_generation().and_then(|next| {
            let told = |Failed| "the error log says why\n".to_owned();
            service(&next, 0)
                .map_err(told)
                .map(|service| (next, service))
        });
        let (failure, service) = match next {
            Ok((next, service)) => {
                let previous = mem::replace(&mut self.generation, next);
                self.start_starter();
                self.abandon(previous);
                (None, Some(service))
            }
            Err(why) => (Some(why), None),
        };
        // Nobody may be waiting.
        let _ = outcome::report(&pid_file, failure.as_deref());
        service
    }
}

/// Closes the sockets and log files of the configuration before, and lets go of its starter. The
/// rest is not freed: its memory is the master's, too, and would be copied for that.
fn leave(previous: Generation) -> Rc<Runtime> {
    previous.runtime.logs.close();
    previous.runtime.starter.close();
    previous.runtime
}

/// What the worker `number` gets of `generation`.
fn service(generation: &Generation, number: usize) -> Result<Service, Failed> {
    let runtime = Rc::clone(&generation.runtime);
    let sockets = generation
        .sockets_of(number)
        .map_err(|error| fatal(&runtime.error_log, "fcntl(F_DUPFD_CLOEXEC)", &error))?;
    Ok(Service { runtime, sockets })
}

fn serve(assignment: Assignment, log: &ErrorLog) -> Result<(), Failed> {
    worker::run(assignment).map_err(|error| fatal(log, "starting the event loop", &error))?;
    log.log(Level::Notice, None, format_args!("exiting"));
    log.log(Level::Notice, None, format_args!("exit"));
    Ok(())
}

/// Takes the place the main block describes for a worker: its limits, processor, user, folder.
fn take_place(generation: &Generation, number: usize, log: &ErrorLog) -> Result<(), Failed> {
    let settings = &generation.runtime.process;
    let alert = |result: io::Result<()>, call: fmt::Arguments<'_>| {
        if let Err(error) = result {
            let error = Errno(&error);
            log.log(Level::Alert, None, format_args!("{call} failed {error}"));
        }
    };
    let niceness = settings.worker_priority;
    if niceness != 0 {
        alert(
            process::set_priority(niceness),
            format_args!("setpriority({niceness})"),
        );
    }
    if let Some(files) = settings.worker_rlimit_nofile {
        let result = process::set_limit(Resource::OpenFiles, files);
        alert(result, format_args!("setrlimit(RLIMIT_NOFILE, {files})"));
    }
    if let Some(bytes) = settings.worker_rlimit_core {
        let result = process::set_limit(Resource::Core, bytes);
        alert(result, format_args!("setrlimit(RLIMIT_CORE, {bytes})"));
    }
    become_user(generation, log)?;
    if let Some(processors) = settings.worker_cpu_affinity.of_worker(number) {
        alert(
            process::set_affinity(processors),
            format_args!("sched_setaffinity()"),
        );
    }
    match &settings.working_directory {
        Some(folder) => {
            let folder = generation::path(folder);
            let call = format!("chdir(\"{}\")", folder.display());
            env::set_current_dir(folder).map_err(|error| fatal(log, &call, &error))
        }
        None => Ok(()),
    }
}

/// Gives root's rights up, if there are any.
fn become_user(generation: &Generation, log: &ErrorLog) -> Result<(), Failed> {
    let Some(user) = generation::newcomer(&generation.runtime.process) else {
        return Ok(());
    };
    process::drop_privileges(user.uid, user.gid, &generation.groups).map_err(|error| {
        let call = format!("becoming the user \"{}\"", user.name);
        fatal(log, &call, &error)
    })
}

fn fatal(log: &ErrorLog, call: &str, error: &io::Error) -> Failed {
    let error = Errno(error);
    log.log(Level::Emerg, None, format_args!("{call} failed {error}"));
    Failed
}
