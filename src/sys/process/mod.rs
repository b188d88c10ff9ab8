//! Processes: forking, waiting, signalling, detaching, replacing the program.

mod identity;
mod limits;
mod spawn;
mod starter;
mod title;

pub use identity::{User, drop_privileges, effective_uid, group, groups, user};
pub use limits::{Resource, cpus, limit, set_affinity, set_limit, set_priority};
pub use spawn::{Account, Program, Spawned, spawn};
pub use starter::{SPARE, Starter, end_of, start_of};
pub use title::{claim_title, set_name, set_title};

use super::{check, fd, fs, retry};
use std::ffi::{CStr, CString, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;

/// A process number.
pub type Pid = i32;

/// Which side of a fork this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fork {
    /// The process that forked; the number is its child's.
    Parent(Pid),
    /// The new process.
    Child,
}

/// Forks.
///
/// # Errors
/// The kernel's, and `Unsupported` when the process has other threads: their locks would stay
/// held in the child for ever.
pub fn fork() -> io::Result<Fork> {
    if threads()? > 1 {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "cannot fork: there are threads",
        ));
    }
    // SAFETY: with a single thread, the child is a complete copy in a consistent state.
    match check(unsafe { libc::fork() })? {
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid)),
    }
}

/// How many threads this process has: as many as the folder of them has folders. Besides those, its
/// own name and the one within itself lead to it. Where links are not counted, folders are.
fn threads() -> io::Result<u64> {
    const FOLDER: &str = "/proc/self/task";
    match std::fs::metadata(FOLDER)?.nlink() {
        ..3 => Ok(std::fs::read_dir(FOLDER)?.count() as u64),
        links => Ok(links - 2),
    }
}

/// Goes on in a child that is detached from the terminal, while the parent exits with 0.
/// Standard input and output become `/dev/null`; standard error stays.
pub fn daemonize() -> io::Result<()> {
    if let Fork::Parent(_) = fork()? {
        std::process::exit(0);
    }
    // SAFETY: no pointers are involved.
    check(unsafe { libc::setsid() })?;
    umask(0);
    let null = fs::open("/dev/null", fs::Flags::READ_WRITE)?;
    replace(null.as_fd(), 0)?;
    replace(null.as_fd(), 1)
}

/// Has standard error go where `fd` goes, which is how stray messages reach the error log.
pub fn replace_stderr(fd: BorrowedFd<'_>) -> io::Result<()> {
    replace(fd, 2)
}

fn replace(fd: BorrowedFd<'_>, standard: libc::c_int) -> io::Result<()> {
    // SAFETY: the standard descriptors have no owner in Rust's sense.
    retry(|| check(unsafe { libc::dup2(fd.as_raw_fd(), standard) })).map(drop)
}

/// Sets the file mode creation mask and returns the previous one.
pub fn umask(mask: u32) -> u32 {
    // SAFETY: the call cannot fail.
    unsafe { libc::umask(mask) }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// A signal killed it.
    Signal {
        /// The signal's number.
        signal: i32,
        /// Whether it left a core file.
        core_dumped: bool,
    },
}

/// The next child that has ended, without waiting for one.
///
/// # Errors
/// `ECHILD` is not an error here: it is `None`, too.
pub fn reap() -> io::Result<Option<(Pid, Exit)>> {
    wait_for(-1, libc::WNOHANG)
}

/// How one child has ended; `None` while it runs.
pub fn reap_child(pid: Pid) -> io::Result<Option<Exit>> {
    Ok(wait_for(pid, libc::WNOHANG)?.map(|(_, exit)| exit))
}

/// Waits for one child's end; `None` when there is no such child.
pub fn wait(pid: Pid) -> io::Result<Option<Exit>> {
    Ok(wait_for(pid, 0)?.map(|(_, exit)| exit))
}

fn wait_for(pid: Pid, options: libc::c_int) -> io::Result<Option<(Pid, Exit)>> {
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    match retry(|| check(unsafe { libc::waitpid(pid, &raw mut status, options) })) {
        Ok(0) => Ok(None),
        Ok(pid) => Ok(Some((pid, exit_of(status)))),
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(None),
        Err(error) => Err(error),
    }
}

fn exit_of(status: libc::c_int) -> Exit {
    if libc::WIFSIGNALED(status) {
        let core_dumped = libc::WCOREDUMP(status);
        Exit::Signal {
            signal: libc::WTERMSIG(status),
            core_dumped,
        }
    } else {
        Exit::Code(libc::WEXITSTATUS(status))
    }
}

/// Sends a signal; 0 only checks that the process is there. A negative number names a process
/// group.
pub fn kill(pid: Pid, signal: i32) -> io::Result<()> {
    // SAFETY: no pointers are involved.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// This process's number.
pub fn pid() -> Pid {
    // SAFETY: the call cannot fail.
    unsafe { libc::getpid() }
}

/// The parent's number; 1 once it is gone, as a rule.
pub fn parent_pid() -> Pid {
    // SAFETY: the call cannot fail.
    unsafe { libc::getppid() }
}

/// The machine's name.
pub fn hostname() -> io::Result<String> {
    let mut name = vec![0u8; 256];
    // SAFETY: pointer and length come from one slice, less the NUL at its end.
    check(unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) })?;
    name.truncate(
        name.iter()
            .position(|byte| *byte == 0)
            .unwrap_or(name.len()),
    );
    Ok(String::from_utf8_lossy(&name).into_owned())
}

unsafe extern "C" {
    /// The environment, as the C library and Rust's know it.
    static mut environ: *mut *mut libc::c_char;
}

/// Replaces the environment of this process. The memory of the old one is not freed: who knows who
/// has kept a pointer to it.
///
/// # Errors
/// `Unsupported` when there are other threads, which may be reading it, and `InvalidInput` when
/// there is a NUL in it; then all is as before.
pub fn set_environment(variables: Vec<(OsString, OsString)>) -> io::Result<()> {
    alone()?;
    let line = |(mut name, value): (OsString, OsString)| {
        name.push("=");
        name.push(value);
        Ok(CString::new(name.into_vec())?)
    };
    let lines: Vec<CString> = variables.into_iter().map(line).collect::<io::Result<_>>()?;
    // SAFETY: there are no other threads.
    unsafe { replace_environment(lines) };
    Ok(())
}

/// Moves the environment out of the memory that the kernel gave it.
///
/// # Errors
/// `Unsupported` when there are other threads.
fn move_environment() -> io::Result<()> {
    alone()?;
    let mut lines = Vec::new();
    // SAFETY: there are no other threads, which may be changing it. The list is null or ends in a
    // null pointer, each line in a NUL.
    unsafe {
        let mut line = environ.cast_const();
        while !line.is_null() && !(*line).is_null() {
            lines.push(CStr::from_ptr(*line).to_owned());
            line = line.add(1);
        }
        replace_environment(lines);
    }
    Ok(())
}

/// Refuses where there are other threads, which may be reading the environment.
fn alone() -> io::Result<()> {
    match threads()? {
        ..2 => Ok(()),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// The memory of the old one is not freed: who knows who has kept a pointer to it.
///
/// # Safety
/// There are no other threads.
unsafe fn replace_environment(lines: Vec<CString>) {
    let ends = std::iter::once(std::ptr::null_mut());
    let list: Vec<_> = lines
        .into_iter()
        .map(CString::into_raw)
        .chain(ends)
        .collect();
    // SAFETY: nobody else is reading the environment, and what it consists of now is never freed.
    unsafe { environ = list.leak().as_mut_ptr() };
}

/// Replaces the program, as a forked child does for an upgrade. `environment` is all that the
/// new one sees; the descriptors in `keep` stay open in it. Returns only on failure.
pub fn exec(
    program: &OsString,
    arguments: &[OsString],
    environment: &[(OsString, OsString)],
    keep: &[BorrowedFd<'_>],
) -> io::Error {
    for fd in keep {
        if let Err(error) = fd::set_inheritable(*fd, true) {
            return error;
        }
    }
    let environment = environment.iter().map(|(name, value)| (name, value));
    let mut command = std::process::Command::new(program);
    if let Some((name, arguments)) = arguments.split_first() {
        command.arg0(name).args(arguments);
    }
    command.env_clear().envs(environment).exec()
}

#[cfg(test)]
mod tests;
