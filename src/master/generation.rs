//! A configuration in force: its folders made, its logs open, its sockets listening.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use super::{Failed, folder, pidfile};
use crate::exchange::{Identity, ProcessSettings, Runtime};
use crate::log::errno::Errno;
use crate::log::error_log::ErrorLog;
use crate::log::level::Level;
use crate::net::listen::{self, ListenOptions, Socket};
use crate::sys::process;

/// A configuration in force.
pub struct Generation {
    /// The configuration.
    pub runtime: Rc<Runtime>,
    /// The groups of whom workers run as. To look them up is dear, and the workers' memory is the
    /// dearer for it.
    pub groups: Vec<u32>,
    doors: Vec<Door>,
}

/// An open listening socket.
struct Door {
    /// Its place in [`Runtime::sockets`].
    index: usize,
    /// The worker that has it for itself (`reuseport`).
    worker: Option<usize>,
    socket: Rc<Socket>,
}

impl Generation {
    /// Opens the listening sockets of `runtime`, taking over those of `previous` it needs as well.
    ///
    /// # Errors
    /// One could not be opened, or the groups of whom workers run as are not known; `log` says
    /// which.
    pub fn open(
        runtime: Rc<Runtime>,
        previous: &[Rc<Socket>],
        log: &ErrorLog,
    ) -> Result<Self, Failed> {
        let places = places(&runtime);
        let wanted: Vec<ListenOptions> = places
            .iter()
            .map(|(index, _)| runtime.sockets[*index].options.clone())
            .collect();
        let sockets = listen::open_all(&wanted, previous, log).map_err(|_| Failed)?;
        // Clients can wait in the queue meanwhile.
        let groups = groups(&runtime.process).map_err(|message| report(log, &message))?;
        let doors = places.into_iter().zip(sockets);
        let doors = doors.map(|((index, worker), socket)| Door {
            index,
            worker,
            socket,
        });
        Ok(Self {
            doors: doors.collect(),
            groups,
            runtime,
        })
    }

    /// Its listening sockets.
    pub fn sockets(&self) -> Vec<Rc<Socket>> {
        self.doors
            .iter()
            .map(|door| Rc::clone(&door.socket))
            .collect()
    }

    /// The sockets that worker `number` accepts from, each with its place in
    /// [`Runtime::sockets`].
    ///
    /// # Errors
    /// The system's, when there are too many descriptors.
    pub fn sockets_of(&self, number: usize) -> io::Result<Vec<(usize, OwnedFd)>> {
        let own = |door: &&Door| door.worker.is_none_or(|worker| worker == number);
        let doors = self.doors.iter().filter(own);
        doors
            .map(|door| Ok((door.index, door.socket.as_fd().try_clone_to_owned()?)))
            .collect()
    }

    /// Accepts no connection any more, except what others do who have the sockets, too.
    pub fn stop_listening(&mut self) -> Vec<Rc<Socket>> {
        self.doors.drain(..).map(|door| door.socket).collect()
    }

    /// Where its pid file is.
    pub fn pid_file(&self) -> &Path {
        path(&self.runtime.process.pid)
    }

    /// Has standard error go to the error log, where whatever stray message there may be is found;
    /// unless the log itself goes to standard error.
    pub fn redirect_stderr(&self) {
        let log = &self.runtime.error_log;
        if log.uses_stderr() {
            return;
        }
        let redirected = log
            .file()
            .and_then(|file| file.with_fd(process::replace_stderr));
        if let Some(Err(error)) = redirected {
            log.log(
                Level::Alert,
                None,
                format_args!("dup2(STDERR) failed {}", Errno(&error)),
            );
        }
    }
}

/// The groups workers are to be in, if they become somebody else.
fn groups(settings: &ProcessSettings) -> Result<Vec<u32>, String> {
    let Some(user) = newcomer(settings).filter(|_| settings.master_process) else {
        return Ok(Vec::new());
    };
    let (name, gid) = (&user.name, user.gid);
    process::groups(name, gid)
        .map_err(|error| format!("getgrouplist({name}, {gid}) failed {}", Errno(&error)))
}

/// Whom workers become: nobody else, unless this process has root's rights.
pub(super) fn newcomer(settings: &ProcessSettings) -> Option<&Identity> {
    let user = settings.user.as_ref();
    user.filter(|_| process::effective_uid() == 0)
}

/// For every socket that is needed, its place in [`Runtime::sockets`] and, where each worker has
/// one of its own, whose it is.
fn places(runtime: &Runtime) -> Vec<(usize, Option<usize>)> {
    let workers = match runtime.process.master_process {
        true => runtime.process.worker_processes,
        false => 1,
    };
    let mut places = Vec::new();
    for (index, socket) in runtime.sockets.iter().enumerate() {
        match socket.options.reuseport {
            true => places.extend((0..workers).map(|worker| (index, Some(worker)))),
            false => places.push((index, None)),
        }
    }
    places
}

/// A path as the configuration has it.
pub fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// Makes the folders and opens the log files of a configuration; `logs` is the folder of logs
/// that is made if it is missing.
///
/// # Errors
/// What could not be opened; `log` says why.
pub fn open_files(runtime: &Runtime, logs: &Path, log: &ErrorLog) -> Result<(), Failed> {
    let owner = runtime.process.user.as_ref();
    for name in &runtime.folders {
        folder::make(path(name), owner).map_err(|message| report(log, &message))?;
    }
    let opened = match runtime.logs.open() {
        Err(error) if folder::make_logs(logs, error.path(), &error.error) => runtime.logs.open(),
        result => result,
    };
    opened.map_err(|error| report(log, &error.to_string()))
}

/// Maps the zones of a configuration, or takes those of `previous` over.
///
/// # Errors
/// There is no memory, or a zone would change its meaning; `log` says which.
pub fn open_zones(
    runtime: &Runtime,
    previous: Option<&Runtime>,
    log: &ErrorLog,
) -> Result<(), Failed> {
    let previous = previous.map(|previous| &*previous.zones);
    let opened = runtime.zones.open(previous);
    opened.map_err(|message| report(log, &message))
}

/// Tries what starting a server with this configuration would do, for `-t`.
///
/// # Errors
/// Something would fail; `log` says what.
pub fn check(runtime: &Runtime, logs: &Path, log: &ErrorLog) -> Result<(), Failed> {
    let pid_file = path(&runtime.process.pid);
    pidfile::test(pid_file, logs).map_err(|message| report(log, &message))?;
    open_files(runtime, logs, log)?;
    open_zones(runtime, None, log)?;
    let wanted: Vec<ListenOptions> = runtime
        .sockets
        .iter()
        .map(|socket| socket.options.clone())
        .collect();
    listen::try_all(&wanted, &runtime.error_log).map_err(|_| Failed)
}

fn report(log: &ErrorLog, message: &str) -> Failed {
    log.log(Level::Emerg, None, format_args!("{message}"));
    Failed
}
