//! Stopping: at once, or when the requests under way are answered.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGKILL, SIGTERM, SIGUSR1};

use super::Master;
use crate::log::level::Level;
use crate::net::listen;

/// How long a worker may take to stop at once, before it is killed.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Whether the server is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It is not.
    Running,
    /// Workers answer what is under way.
    Quitting,
    /// Workers stop; whoever still runs at that time is killed.
    Stopping(Instant),
}

impl Phase {
    /// Whether the master waits for its workers' end.
    pub fn is_stopping(self) -> bool {
        self != Self::Running
    }
}

impl Master {
    /// TERM, INT.
    pub(super) fn stop_at_once(&mut self) {
        if matches!(self.phase, Phase::Stopping(_)) {
            return;
        }
        self.phase = Phase::Stopping(Instant::now() + PATIENCE);
        self.workers
            .end(SIGTERM, &self.generation.runtime.error_log);
    }

    /// QUIT.
    pub(super) fn quit(&mut self) {
        if self.phase.is_stopping() {
            return;
        }
        self.phase = Phase::Quitting;
        self.workers.retire(&self.generation.runtime.error_log);
        self.close_sockets();
    }

    /// WINCH: workers end, and none are started in their place.
    pub(super) fn retire_workers(&mut self) {
        if self.background {
            self.retired = true;
            self.workers.retire(&self.generation.runtime.error_log);
        }
    }

    /// USR1: the master goes first, as it can give the files to the workers' user.
    pub(super) fn reopen_logs(&mut self) {
        self.log(Level::Notice, format_args!("reopening logs"));
        let runtime = &self.generation.runtime;
        runtime
            .logs
            .reopen(runtime.process.user.as_ref().map(|user| user.uid));
        self.generation.redirect_stderr();
        self.workers
            .tell(SIGUSR1, &self.generation.runtime.error_log);
    }

    /// How long to wait for signals at most.
    pub(super) fn patience(&self) -> Option<Duration> {
        let kill = match self.phase {
            Phase::Stopping(at) => Some(at),
            _ => None,
        };
        let next = kill.into_iter().chain(self.workers.next_due()).min();
        next.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Kills the workers that were to stop at once and have not.
    pub(super) fn insist(&mut self) {
        let now = Instant::now();
        if matches!(self.phase, Phase::Stopping(at) if at <= now) {
            self.phase = Phase::Stopping(now + PATIENCE);
            self.workers
                .end(SIGKILL, &self.generation.runtime.error_log);
        }
    }

    /// Closes the listening sockets. The files of Unix sockets stay for another master that uses
    /// them.
    fn close_sockets(&mut self) {
        let shared = self.has_company();
        let sockets = self.generation.stop_listening();
        if !shared {
            listen::remove_files(&sockets, &self.generation.runtime.error_log);
        }
    }

    /// The end of the master.
    pub(super) fn exit(mut self) -> ExitCode {
        self.remove_pid_file();
        self.log(Level::Notice, format_args!("exit"));
        self.close_sockets();
        self.generation.runtime.logs.flush();
        ExitCode::SUCCESS
    }
}
