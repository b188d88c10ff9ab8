//! The worker processes: forked, replaced when they die, told what to do.

use std::io;
use std::time::{Duration, Instant};

use signal_hook::consts::SIGQUIT;

use super::ready::{self, Expectation, News, Promise};
use super::{End, Flow, Master, Newborn, pidfile};
use crate::exchange::counters::Count;
use crate::log::errno::Errno;
use crate::log::error_log::ErrorLog;
use crate::log::level::Level;
use crate::sys::process::{self, Exit, Fork, Pid};
use crate::sys::signal::Blocked;

/// A worker that lived shorter than this, with no request coming meanwhile, failed at once.
const SHORT_LIFE: Duration = Duration::from_secs(1);

/// How long to wait before the second replacement of a worker that fails at once; doubled for
/// each further one.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// How often the delay is doubled.
const DOUBLINGS: u32 = 6;

/// How long to wait for new workers to come up before the old ones retire.
const PATIENCE: Duration = Duration::from_secs(3);

/// The exit code of a worker that another one in its place could only repeat.
pub(super) const FATAL: u8 = 2;

/// All workers.
#[derive(Debug, Default)]
pub struct Workers {
    running: Vec<Worker>,
    due: Vec<Due>,
}

/// A worker process.
#[derive(Debug)]
struct Worker {
    pid: Pid,
    number: usize,
    started: Instant,
    /// How many requests there had been.
    requests: u64,
    /// Whether it was told to end.
    exiting: bool,
    /// How many before it, one after another, failed at once.
    failures: u32,
    /// Tells whether it came up.
    expectation: Expectation,
}

/// A worker to be started later.
#[derive(Debug)]
struct Due {
    number: usize,
    at: Instant,
    failures: u32,
}

impl Workers {
    /// Whether none runs.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// When the next one is to be started.
    pub fn next_due(&self) -> Option<Instant> {
        self.due.iter().map(|due| due.at).min()
    }

    /// Waits until all have come up; `false` if one has failed to. Those that take too long are
    /// trusted to do so later.
    pub fn come_up(&self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        let left = || deadline.saturating_duration_since(Instant::now());
        let failed = |worker: &Worker| worker.expectation.wait(Some(left())) == News::Failed;
        self.due.is_empty() && !self.running.iter().any(failed)
    }

    /// Sends all of them a signal to go on after.
    pub fn tell(&self, signal: i32, log: &ErrorLog) {
        self.running
            .iter()
            .for_each(|worker| worker.tell(signal, log));
    }

    /// Sends all of them a signal to end after. No other one is started in their place.
    pub fn end(&mut self, signal: i32, log: &ErrorLog) {
        self.due.clear();
        for worker in &mut self.running {
            worker.tell(signal, log);
            worker.exiting = true;
        }
    }

    /// Has those end that have not been told so yet, when they have answered what is under way.
    pub fn retire(&mut self, log: &ErrorLog) {
        let all = std::mem::take(&mut self.running);
        let (told, untold) = all.into_iter().partition(|worker| worker.exiting);
        self.running = untold;
        self.end(SIGQUIT, log);
        self.running.extend::<Vec<_>>(told);
    }

    /// Takes care of those as well.
    pub fn join(&mut self, others: Self) {
        self.running.extend(others.running);
    }

    fn is_staffed(&self, number: usize) -> bool {
        self.running
            .iter()
            .any(|worker| worker.number == number && !worker.exiting)
            || self.due.iter().any(|due| due.number == number)
    }

    fn take_due(&mut self, now: Instant) -> Option<Due> {
        let at = self.due.iter().position(|due| due.at <= now)?;
        Some(self.due.swap_remove(at))
    }
}

impl Worker {
    fn tell(&self, signal: i32, log: &ErrorLog) {
        if let Err(error) = process::kill(self.pid, signal) {
            let (pid, error) = (self.pid, Errno(&error));
            log.log(
                Level::Alert,
                None,
                format_args!("kill({pid}, {signal}) failed {error}"),
            );
        }
    }
}

/// A fork that no signal disturbs, with both sides of the news whether the child comes up.
fn fork() -> io::Result<(Fork, Blocked, Expectation, Promise)> {
    let (expectation, promise) = ready::pair()?;
    let blocked = Blocked::all()?;
    Ok((process::fork()?, blocked, expectation, promise))
}

/// After how many failures in a row how long to wait: the first replacement comes at once.
fn delay(failures: u32) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        _ => FIRST_DELAY * 2u32.pow((failures - 2).min(DOUBLINGS)),
    }
}

impl Master {
    /// Starts the workers that are missing.
    pub(super) fn start_workers(&mut self) -> Flow {
        self.log(Level::Notice, format_args!("start worker processes"));
        self.start_starter();
        for number in 0..self.generation.runtime.process.worker_processes {
            if !self.workers.is_staffed(number) {
                self.start_worker(number, 0)?;
            }
        }
        Flow::Continue(())
    }

    /// Starts the helper that starts programs as other users, if there is to be one.
    pub(super) fn start_starter(&self) {
        match self.generation.runtime.starter.launch() {
            Ok(None) => {}
            Ok(Some(pid)) => {
                let message = format_args!("start script starter process {pid}");
                self.log(Level::Notice, message);
            }
            Err(error) => {
                let error = Errno(&error);
                let message =
                    format_args!("fork() failed while spawning \"script starter process\" {error}");
                self.log(Level::Alert, message);
            }
        }
    }

    /// Starts the workers whose time has come.
    pub(super) fn start_due_workers(&mut self) -> Flow {
        let now = Instant::now();
        while let Some(due) = self.workers.take_due(now) {
            self.start_worker(due.number, due.failures)?;
        }
        Flow::Continue(())
    }

    fn start_worker(&mut self, number: usize, failures: u32) -> Flow {
        let started = Instant::now();
        let requests = Count::Requests.get_from(&self.counters);
        match fork() {
            Ok((Fork::Child, blocked, _, promise)) => {
                return Flow::Break(End::Worker(Newborn {
                    number,
                    blocked,
                    promise,
                }));
            }
            Ok((Fork::Parent(pid), _, expectation, _)) => {
                let worker = Worker {
                    pid,
                    number,
                    started,
                    requests,
                    exiting: false,
                    failures,
                    expectation,
                };
                self.workers.running.push(worker);
                self.log(Level::Notice, format_args!("start worker process {pid}"));
            }
            Err(error) => {
                let error = Errno(&error);
                let message =
                    format_args!("fork() failed while spawning \"worker process\" {error}");
                self.log(Level::Alert, message);
                self.start_later(number, failures + 1);
            }
        }
        Flow::Continue(())
    }

    fn start_later(&mut self, number: usize, failures: u32) {
        let at = Instant::now() + delay(failures);
        self.workers.due.push(Due {
            number,
            at,
            failures,
        });
    }

    /// Learns which processes have ended, and replaces them.
    pub(super) fn reap(&mut self) -> Flow {
        loop {
            match process::reap() {
                Ok(Some((pid, exit))) => self.ended(pid, exit)?,
                Ok(None) => return Flow::Continue(()),
                Err(error) => {
                    let error = Errno(&error);
                    self.log(Level::Alert, format_args!("waitpid() failed {error}"));
                    return Flow::Continue(());
                }
            }
        }
    }

    fn ended(&mut self, pid: Pid, exit: Exit) -> Flow {
        let at = self
            .workers
            .running
            .iter()
            .position(|worker| worker.pid == pid);
        let worker = at.map(|at| self.workers.running.swap_remove(at));
        let is_starter = self.generation.runtime.starter.has_ended(pid);
        let name = match (&worker, self.new_binary == Some(pid)) {
            _ if is_starter => "script starter process",
            (Some(_), _) => "worker process",
            (None, true) => "new binary process",
            (None, false) => "unknown process",
        };
        self.log_end(name, pid, exit);
        if is_starter && !self.phase.is_stopping() {
            self.start_starter();
        }
        if self.new_binary == Some(pid) {
            return self.new_binary_ended();
        }
        let Some(worker) = worker.filter(|worker| !worker.exiting && !self.phase.is_stopping())
        else {
            return Flow::Continue(());
        };
        if exit == Exit::Code(FATAL.into()) {
            let message = "exited with fatal code 2 and cannot be respawned";
            self.log(Level::Alert, format_args!("{name} {pid} {message}"));
            return Flow::Continue(());
        }
        // One that did its work is missed at once, however it ended.
        let was_idle = Count::Requests.get_from(&self.counters) == worker.requests;
        let failed = was_idle && worker.started.elapsed() < SHORT_LIFE;
        self.start_later(worker.number, if failed { worker.failures + 1 } else { 0 });
        Flow::Continue(())
    }

    fn log_end(&self, name: &str, pid: Pid, exit: Exit) {
        match exit {
            Exit::Code(code) => {
                self.log(
                    Level::Notice,
                    format_args!("{name} {pid} exited with code {code}"),
                );
            }
            Exit::Signal {
                signal,
                core_dumped,
            } => {
                let core = if core_dumped { " (core dumped)" } else { "" };
                let message = format_args!("{name} {pid} exited on signal {signal}{core}");
                self.log(Level::Alert, message);
            }
        }
    }

    /// Removes the pid file that is this master's.
    pub(super) fn remove_pid_file(&self) {
        let name = self.generation.pid_file();
        let log = &self.generation.runtime.error_log;
        match self.new_binary {
            Some(_) => pidfile::remove(&pidfile::old_name(name), log),
            None => pidfile::remove(name, log),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacements_wait_longer_and_longer() {
        let milliseconds = [0, 0, 100, 200, 400, 800, 1600, 3200, 6400, 6400, 6400];
        for (failures, expected) in (0..).zip(milliseconds) {
            assert_eq!(
                delay(failures),
                Duration::from_millis(expected),
                "{failures}"
            );
        }
        assert_eq!(delay(u32::MAX), delay(8));
    }

    #[test]
    fn a_place_is_staffed_once() {
        let worker = |number, exiting| Worker {
            pid: 0,
            number,
            started: Instant::now(),
            requests: 0,
            exiting,
            failures: 0,
            expectation: ready::pair().unwrap().0,
        };
        let due = Due {
            number: 2,
            at: Instant::now(),
            failures: 0,
        };
        let running = vec![worker(0, false), worker(1, true)];
        let mut workers = Workers {
            running,
            due: vec![due],
        };
        let staffed = [0, 1, 2, 3].map(|number| workers.is_staffed(number));
        assert_eq!(staffed, [true, false, true, false]);
        assert!(workers.take_due(Instant::now()).is_some());
        assert!(workers.next_due().is_none() && !workers.is_empty());
    }
}
