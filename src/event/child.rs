//! Child processes that tasks wait for.

use super::{Io, spawn};
use crate::sys::process::{self, Exit, Pid, Program, Spawned};
use signal_hook::consts::SIGKILL;
use std::cell::Cell;
use std::io;

/// A running program. Dropping it kills its process group and leaves no zombie.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    /// Readable when the child has ended; taken by the drop.
    end: Option<Io>,
    reaped: Cell<bool>,
    spared: Cell<bool>,
}

impl Child {
    /// Starts a program.
    ///
    /// # Errors
    /// Those of [`process::spawn`].
    pub fn start(program: &Program<'_>) -> io::Result<Child> {
        Ok(Child::adopt(process::spawn(program)?))
    }

    /// Takes a program just started.
    pub fn adopt(program: Spawned) -> Child {
        Child {
            pid: program.pid,
            end: Some(Io::new(program.end)),
            reaped: Cell::new(false),
            spared: Cell::new(false),
        }
    }

    /// Its number, which is also that of its process group.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends a signal to the program and what it has started.
    ///
    /// # Errors
    /// The kernel's.
    pub fn kill(&self, signal: i32) -> io::Result<()> {
        if self.reaped.get() {
            Ok(())
        } else {
            process::kill(-self.pid, signal)
        }
    }

    /// Has it outlive this value, as a program that detached itself means to. Nobody learns of
    /// its end then, except that [`Child::wait`] may go on until the loop ends.
    pub fn spare(&self) {
        self.spared.set(true);
    }

    /// Resolves when the program has ended. Until [`Child::wait`], its number stays its own, so
    /// what is left of its group can still be reached.
    ///
    /// # Errors
    /// The poller's.
    pub async fn ended(&self) -> io::Result<()> {
        match &self.end {
            Some(end) => end.readable(None).await,
            None => Ok(()),
        }
    }

    /// Resolves when the program has ended; once.
    ///
    /// # Errors
    /// The poller's, and `NotFound` after the first time.
    pub async fn wait(&self) -> io::Result<Exit> {
        self.ended().await?;
        self.reaped.set(true);
        process::reap_child(self.pid)?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.reaped.get() || self.spared.get() {
            return;
        }
        // It may have ended already; then there is only the zombie to collect.
        let _ = process::kill(-self.pid, SIGKILL);
        let (pid, end) = (self.pid, self.end.take());
        spawn(async move {
            if let Some(end) = end {
                let _ = end.readable(None).await;
            }
            let _ = process::wait(pid);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{block_on, sleep};
    use std::ffi::CString;
    use std::time::Duration;

    fn shell(script: &str) -> Child {
        Child::start(&Program {
            path: c"/bin/sh",
            arguments: &["sh", "-c", script].map(|word| CString::new(word).unwrap()),
            environment: &[],
            folder: None,
            standard: [None; 3],
            limits: &[],
            account: None,
        })
        .unwrap()
    }

    #[test]
    fn a_child_is_awaited_killed_and_collected() {
        let exits = block_on(async {
            let ends = shell("exit 7");
            let dies = shell("sleep 60");
            dies.kill(SIGKILL).unwrap();
            (ends.wait().await.unwrap(), dies.wait().await.unwrap())
        });
        let killed = Exit::Signal {
            signal: SIGKILL,
            core_dumped: false,
        };
        assert_eq!(exits.unwrap(), (Exit::Code(7), killed));
    }

    #[test]
    fn a_dropped_child_leaves_no_zombie() {
        let gone = block_on(async {
            let pid = shell("sleep 60").pid();
            while process::kill(pid, 0).is_ok() {
                sleep(Duration::from_millis(1)).await;
            }
            process::reap_child(pid).unwrap()
        });
        assert_eq!(gone.unwrap(), None);
    }
}
