//! USR2: another master runs the program file anew and shares the listening sockets.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::start::INHERITED;
use super::{End, Flow, Master, pidfile};
use crate::exchange::ProcessSettings;
use crate::log::errno::Errno;
use crate::log::level::Level;
use crate::net::listen;
use crate::sys::process::{self, Fork};
use crate::sys::signal::Blocked;

/// Bytes that make room for the title of the new binary's processes, which takes the place of its
/// environment.
const SPARE: usize = 300;

impl Master {
    /// Starts the new binary; the pid file makes room for its own.
    pub(super) fn change_binary(&mut self) -> Flow {
        self.log(Level::Notice, format_args!("changing binary"));
        let name = self.generation.pid_file().to_owned();
        let old = pidfile::old_name(&name);
        if !self.rename(&name, &old, "before executing new binary process") {
            return Flow::Continue(());
        }
        match Blocked::all().and_then(|blocked| Ok((process::fork()?, blocked))) {
            Ok((Fork::Child, blocked)) => {
                drop(blocked);
                self.execute();
                return Flow::Break(End::NotExecuted);
            }
            Ok((Fork::Parent(pid), _)) => {
                self.new_binary = Some(pid);
                self.log(
                    Level::Notice,
                    format_args!("start new binary process {pid}"),
                );
            }
            Err(error) => {
                let error = Errno(&error);
                let message =
                    format_args!("fork() failed while spawning \"new binary process\" {error}");
                self.log(Level::Alert, message);
                self.rename(
                    &old,
                    &name,
                    "after an attempt to execute new binary process",
                );
            }
        }
        Flow::Continue(())
    }

    /// Takes the pid file back, and brings the workers back if they were retired.
    pub(super) fn new_binary_ended(&mut self) -> Flow {
        self.new_binary = None;
        let name = self.generation.pid_file().to_owned();
        self.rename(
            &pidfile::old_name(&name),
            &name,
            "after the new binary process exited",
        );
        match std::mem::take(&mut self.retired) && !self.phase.is_stopping() {
            true => self.start_workers(),
            false => Flow::Continue(()),
        }
    }

    fn rename(&self, from: &Path, to: &Path, when: &str) -> bool {
        let Err(error) = fs::rename(from, to) else {
            return true;
        };
        let (from, to, error) = (from.display(), to.display(), Errno(&error));
        let message = format_args!("rename() {from} to {to} failed {when} {error}");
        self.log(Level::Alert, message);
        false
    }

    /// In the forked process: becomes the new binary. It returns only on failure.
    fn execute(&self) {
        let Some(program) = self.invocation.arguments.first() else {
            return;
        };
        let sockets = self.generation.sockets();
        let error = match listen::bequeath(&sockets) {
            Ok(list) => {
                let mut environment = environment(&self.generation.runtime.process);
                environment.push((INHERITED.into(), list.into()));
                environment.push(("SPARE".into(), "X".repeat(SPARE).into()));
                process::exec(program, &self.invocation.arguments, &environment, &[])
            }
            Err(error) => error,
        };
        let (program, error) = (program.display(), Errno(&error));
        let message = format_args!(
            "execve() failed while executing new binary process \"{program}\" {error}"
        );
        self.log(Level::Alert, message);
    }
}

/// The environment that `env` leaves to workers and new binaries.
pub fn environment(settings: &ProcessSettings) -> Vec<(OsString, OsString)> {
    let time_zone = (b"TZ".to_vec(), None);
    let is_listed = settings.env.iter().any(|(name, _)| *name == time_zone.0);
    let listed = settings
        .env
        .iter()
        .chain((!is_listed).then_some(&time_zone));
    let kept = listed.filter_map(|(name, value)| {
        let name = OsStr::from_bytes(name);
        let value = match value {
            Some(value) => OsStr::from_bytes(value).to_owned(),
            None => env::var_os(name)?,
        };
        Some((name.to_owned(), value))
    });
    kept.collect()
}
