//! Starting another program, such as a CGI script.
//!
//! The child borrows this process's memory until it runs the program (`CLONE_VM` and
//! `CLONE_VFORK`, as in posix_spawn), so starting is quick whatever the size of the worker.

use super::limits::Resource;
use super::{Pid, wait};
use crate::sys::fd::own;
use crate::sys::signal::Blocked;
use crate::sys::{check, errno};
use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr;

/// A program to start. It gets a process group of its own, no blocked signals, default signal
/// handling, and no descriptors but the three.
#[derive(Debug)]
pub struct Program<'a> {
    /// The path of the file to run.
    pub path: &'a CStr,
    /// The arguments; the first is the program's name.
    pub arguments: &'a [CString],
    /// The whole environment, `NAME=value`.
    pub environment: &'a [CString],
    /// Where it runs, unless here.
    pub folder: Option<&'a CStr>,
    /// Standard input, output and error.
    pub standard: [BorrowedFd<'a>; 3],
    /// What it may use.
    pub limits: &'a [(Resource, u64)],
    /// Whom it runs as, if not as whoever starts it; that takes root.
    pub account: Option<&'a Account>,
}

/// Whom a program runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// Room for the child until it runs the program; it calls little more than the kernel.
const STACK: usize = 64 << 10;

/// What the child needs, all of it prepared: it must not allocate.
struct Start<'a> {
    program: &'a Program<'a>,
    arguments: Vec<*const libc::c_char>,
    environment: Vec<*const libc::c_char>,
    /// What went wrong in the child, written by it to the memory it shares.
    error: Cell<libc::c_int>,
}

/// A null-terminated array of pointers to the strings.
fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    let pointers = strings.iter().map(|string| string.as_ptr());
    pointers.chain([ptr::null()]).collect()
}

/// Starts the program.
///
/// # Errors
/// Also what goes wrong in the child before it runs: no such file, not executable, no folder.
pub fn spawn(program: &Program<'_>) -> io::Result<Pid> {
    let mut start = Start {
        program,
        arguments: pointers(program.arguments),
        environment: pointers(program.environment),
        error: Cell::new(0),
    };
    let mut stack = Vec::<u128>::with_capacity(STACK / size_of::<u128>());
    let top = stack.spare_capacity_mut().as_mut_ptr_range().end;
    // No handler of ours may run in the child: it would work on this process's memory.
    let blocked = Blocked::all()?;
    // SAFETY: the stack is ours alone, aligned, and outlives the child's use of it, as does
    // `start`: this thread goes on only when the child has run the program or ended.
    let pid = check(unsafe {
        libc::clone(
            child,
            top.cast(),
            libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
            (&raw mut start).cast(),
        )
    });
    drop(blocked);
    let pid = pid?;
    match start.error.get() {
        0 => Ok(pid),
        error => {
            wait(pid)?;
            Err(io::Error::from_raw_os_error(error))
        }
    }
}

extern "C" fn child(start: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `spawn` passes a pointer to its `Start`, which outlives the child's use of it.
    let start = unsafe { &*start.cast::<Start<'_>>() };
    if let Err(Failed) = prepare(start.program) {
        start.error.set(last_error());
        return 127;
    }
    // SAFETY: path and strings end in a NUL, both arrays in a null pointer.
    unsafe {
        libc::execve(
            start.program.path.as_ptr(),
            start.arguments.as_ptr(),
            start.environment.as_ptr(),
        )
    };
    start.error.set(last_error());
    127
}

/// A call failed in the child; errno says why.
struct Failed;

fn done(result: libc::c_long) -> Result<(), Failed> {
    if result == -1 { Err(Failed) } else { Ok(()) }
}

fn last_error() -> libc::c_int {
    // SAFETY: the location is valid for as long as the thread is, whose errno the child shares.
    let error = unsafe { *libc::__errno_location() };
    if error == 0 { errno::ENOENT } else { error }
}

/// Makes the child what the program expects to be.
fn prepare(program: &Program<'_>) -> Result<(), Failed> {
    // SAFETY: no pointers are involved.
    done(unsafe { libc::setpgid(0, 0) }.into())?;
    descriptors(program.standard)?;
    if let Some(folder) = program.folder {
        // SAFETY: the name ends in a NUL.
        done(unsafe { libc::chdir(folder.as_ptr()) }.into())?;
    }
    for (resource, most) in program.limits {
        let limits = libc::rlimit {
            rlim_cur: *most,
            rlim_max: *most,
        };
        // SAFETY: the limits outlive the call.
        done(unsafe { libc::setrlimit(resource.number(), &raw const limits) }.into())?;
    }
    if let Some(account) = program.account {
        switch_to(account)?;
    }
    default_signals()
}

/// The three descriptors in their places, and no others.
fn descriptors(standard: [BorrowedFd<'_>; 3]) -> Result<(), Failed> {
    let mut sources: [RawFd; 3] = [-1; 3];
    for (source, fd) in sources.iter_mut().zip(standard) {
        *source = fd.as_raw_fd();
        if *source < 3 {
            // SAFETY: the descriptor is open; out of the way of the places to be filled.
            *source = unsafe { libc::fcntl(*source, libc::F_DUPFD, 3) };
            done((*source).into())?;
        }
    }
    for (place, source) in (0..).zip(sources) {
        // SAFETY: the source is open; what the child puts in its places is its own table's.
        done(unsafe { libc::dup2(source, place) }.into())?;
    }
    // SAFETY: the call takes integers.
    done(unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 0u32) })
}

/// By plain system calls: the library's functions would also change this process's threads.
fn switch_to(account: &Account) -> Result<(), Failed> {
    let (uid, gid) = (account.uid, account.gid);
    let groups = &account.groups;
    // SAFETY: length and pointer are those of one slice.
    done(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })?;
    // SAFETY: the call takes integers.
    done(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })?;
    // SAFETY: the call takes integers.
    done(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) })
}

/// Handlers go with the program anyway, but signals that are ignored would stay so.
fn default_signals() -> Result<(), Failed> {
    for signal in 1..32 {
        // SAFETY: the default is no function of ours. The few signals that have no other
        // handling fail, which changes nothing.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let mut none = std::mem::MaybeUninit::uninit();
    // SAFETY: the set is initialised before it is used.
    done(
        unsafe {
            libc::sigemptyset(none.as_mut_ptr());
            libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut())
        }
        .into(),
    )
}

/// A descriptor that becomes readable when the child ends. It must not have been reaped.
pub fn pidfd(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two integers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    Ok(own(check(fd as libc::c_int)?))
}
