//! HUP: a new configuration takes the place of the old one, or nothing changes.

use std::mem;
use std::ops::ControlFlow;
use std::rc::Rc;

use super::generation::{self, Generation};
use super::{End, Failed, Flow, Master, outcome, pidfile};
use crate::config::{Diagnostics, Severity};
use crate::log::error_log::{ErrorLog, Sink, Target};
use crate::log::facade;
use crate::log::level::Level;
use crate::log::memory::Memory;
use crate::net::listen;
use crate::sys::process;

/// Bytes of messages that are kept for whoever asked for a reload.
const KEPT: usize = 32 * 1024;

/// Writes what was found in a configuration to a log, a line each.
pub fn report(diagnostics: &Diagnostics, log: &ErrorLog) {
    for (severity, line) in diagnostics.lines() {
        let level = match severity {
            Severity::Emerg => Level::Emerg,
            Severity::Warn => Level::Warn,
        };
        log.log(level, None, format_args!("{line}"));
    }
}

impl Master {
    /// Reads the configuration again and has new workers serve by it, while the old ones finish.
    /// While a new binary runs, it brings the workers of this one back instead.
    pub(super) fn reconfigure(&mut self) -> Flow {
        self.retired = false;
        if self.new_binary.is_some() {
            return self.start_workers();
        }
        self.log(Level::Notice, format_args!("reconfiguring"));
        let pid_file = self.generation.pid_file().to_owned();
        let failure = match self.next_generation() {
            Ok(next) => self.replace(next)?,
            Err(why) => Some(why),
        };
        // Nobody may be waiting.
        let _ = outcome::report(&pid_file, failure.as_deref());
        Flow::Continue(())
    }

    /// Reads and opens all there is in the new configuration; the old one is not touched. The
    /// error is what to tell whoever asked.
    pub(super) fn next_generation(&self) -> Result<Generation, String> {
        let log = &self.generation.runtime.error_log;
        let (runtime, warnings) = (self.invocation.load)().map_err(|diagnostics| {
            report(&diagnostics, log);
            diagnostics.to_string()
        })?;
        report(&warnings, log);
        let memory = Memory::new(KEPT);
        let kept = Sink {
            level: Level::Error,
            target: Target::Memory(Rc::clone(&memory)),
        };
        self.open(runtime, &log.and(kept))
            .map_err(|Failed| plain(&memory.contents()))
    }

    fn open(
        &self,
        runtime: crate::exchange::Runtime,
        log: &ErrorLog,
    ) -> Result<Generation, Failed> {
        generation::open_files(&runtime, &self.invocation.logs, log)?;
        generation::open_zones(&runtime, Some(&self.generation.runtime), log)?;
        let next = Generation::open(Rc::new(runtime), &self.generation.sockets(), log)?;
        if next.pid_file() != self.generation.pid_file() {
            let logs = &self.invocation.logs;
            pidfile::write(next.pid_file(), process::pid(), logs).map_err(|message| {
                log.log(Level::Emerg, None, format_args!("{message}"));
                Failed
            })?;
        }
        Ok(next)
    }

    /// Puts `next` into force, unless its workers fail to come up; the answer is what to tell
    /// whoever asked. The sockets that both have stay open all the while, so no connection is
    /// refused.
    fn replace(&mut self, next: Generation) -> ControlFlow<End, Option<String>> {
        self.previous = Some(mem::replace(&mut self.generation, next));
        self.adopt_log();
        let mut retiring = mem::take(&mut self.workers);
        self.start_workers()?;
        let came_up = self.workers.come_up();
        let mut abandoned = self.previous.take();
        if let (Some(previous), false) = (&mut abandoned, came_up) {
            mem::swap(&mut self.workers, &mut retiring);
            mem::swap(&mut self.generation, previous);
        }
        retiring.retire(&self.generation.runtime.error_log);
        self.workers.join(retiring);
        // At last, because to free a large configuration takes a while.
        abandoned.into_iter().for_each(|other| self.abandon(other));
        if came_up {
            return ControlFlow::Continue(None);
        }
        let message = "the new worker processes failed, the previous configuration stays in force";
        self.log(Level::Emerg, format_args!("{message}"));
        let told = format!(
            "{}: [emerg] {message}; the error log says why\n",
            crate::NAME
        );
        ControlFlow::Continue(Some(told))
    }

    /// Has what libraries say, and stray messages, go to the log of the generation in force.
    fn adopt_log(&self) {
        facade::set_main(self.generation.runtime.error_log.clone());
        self.generation.redirect_stderr();
    }

    /// Closes what only the generation that is not in force needs.
    pub(super) fn abandon(&self, mut other: Generation) {
        self.adopt_log();
        let log = &self.generation.runtime.error_log;
        listen::close_all_but(&self.generation.sockets(), other.stop_listening(), log);
        if other.pid_file() != self.generation.pid_file() {
            pidfile::remove(other.pid_file(), log);
        }
    }
}

/// Log lines as a terminal shows them: without their times and process numbers, and once what was
/// tried several times.
fn plain(lines: &[u8]) -> String {
    let text = String::from_utf8_lossy(lines);
    let lines = text.lines().map(|line| {
        let shown = line.split_once(" [").and_then(|(_, rest)| {
            let (level, rest) = rest.split_once("] ")?;
            let (_, message) = rest.split_once(": ")?;
            Some(format!("{}: [{level}] {message}\n", crate::NAME))
        });
        shown.unwrap_or_else(|| format!("{line}\n"))
    });
    let mut lines: Vec<String> = lines.collect();
    lines.dedup();
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lose_what_only_a_log_needs() {
        let line = "2026/11/21 10:00:00 [emerg] 7#7: bind() to 0.0.0.0:80 failed (98: x [y])\n";
        let shown = "rowhouse: [emerg] bind() to 0.0.0.0:80 failed (98: x [y])\n";
        assert_eq!(plain(line.as_bytes()), shown);
        assert_eq!(
            plain(format!("cut off\n{line}").as_bytes()),
            format!("cut off\n{shown}")
        );
        assert_eq!(plain([line, line].concat().as_bytes()), shown);
        assert_eq!(plain(b""), "");
    }
}
