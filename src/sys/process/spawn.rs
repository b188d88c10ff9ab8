//! Starting another program, such as a CGI script.
//!
//! The child borrows this process's memory until it runs the program (`CLONE_VM` and
//! `CLONE_VFORK`, as in posix_spawn), and its descriptors until it has picked its own
//! (`CLONE_FILES`), so starting is quick whatever the size of the worker and however many clients
//! it has.

use super::limits::Resource;
use super::{Pid, wait};
use crate::sys::fd::own;
use crate::sys::fs::{self, Flags};
use crate::sys::signal::{self, Blocked};
use crate::sys::{check, errno};
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
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
    /// Standard input, output and error; without one it has `/dev/null`.
    pub standard: [Option<BorrowedFd<'a>>; 3],
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

/// A program that was started.
#[derive(Debug)]
pub struct Spawned {
    /// Its number, and that of its process group.
    pub pid: Pid,
    /// Becomes readable when it ends.
    pub end: OwnedFd,
}

/// Room for the child until it runs the program; it calls little more than the kernel.
const STACK: usize = 64 << 10;

/// What the child needs, all of it prepared: it must not allocate.
struct Start<'a> {
    program: &'a Program<'a>,
    thread: &'a Thread,
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

/// What a thread that starts programs keeps for that.
struct Thread {
    /// Low descriptors through which the standard ones reach the child: what is above them it
    /// need not even copy. Open on `/dev/null` when not in use.
    places: [OwnedFd; 3],
    null: OwnedFd,
    /// Signals whose handling a program must not inherit.
    handled: Vec<libc::c_int>,
}

thread_local! {
    static THREAD: RefCell<Option<Thread>> = const { RefCell::new(None) };
}

/// Starts the program.
///
/// # Errors
/// Also what goes wrong in the child before it runs: no such file, not executable, no folder.
pub fn spawn(program: &Program<'_>) -> io::Result<Spawned> {
    THREAD.with_borrow_mut(|thread| {
        let thread = match thread {
            Some(thread) => thread,
            None => thread.insert(Thread::new()?),
        };
        let filled = thread.fill(program.standard);
        let started = filled.and_then(|()| start(program, thread));
        // The child has its own by now, and nobody else must keep them open.
        thread.fill(
            program
                .standard
                .map(|used| used.map(|_| thread.null.as_fd())),
        )?;
        started
    })
}

impl Thread {
    fn new() -> io::Result<Thread> {
        let null = fs::open("/dev/null", Flags::READ_WRITE)?;
        let place = || null.try_clone();
        Ok(Thread {
            places: [place()?, place()?, place()?],
            null,
            handled: signal::not_default(),
        })
    }

    /// Puts these descriptors in their places.
    fn fill(&self, standard: [Option<BorrowedFd<'_>>; 3]) -> io::Result<()> {
        for (place, source) in self.places.iter().zip(standard) {
            let Some(source) = source else { continue };
            // SAFETY: the place is ours to fill; its owner goes on owning the number.
            check(unsafe { libc::dup3(source.as_raw_fd(), place.as_raw_fd(), libc::O_CLOEXEC) })?;
        }
        Ok(())
    }
}

fn start(program: &Program<'_>, thread: &Thread) -> io::Result<Spawned> {
    let mut start = Start {
        program,
        thread,
        arguments: pointers(program.arguments),
        environment: pointers(program.environment),
        error: Cell::new(0),
    };
    let mut stack = Vec::<u128>::with_capacity(STACK / size_of::<u128>());
    let top = stack.spare_capacity_mut().as_mut_ptr_range().end;
    let mut end: RawFd = -1;
    // No handler of ours may run in the child: it would work on this process's memory.
    let blocked = Blocked::all()?;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES | libc::CLONE_PIDFD;
    // SAFETY: the stack is ours alone, aligned, and outlives the child's use of it, as does
    // `start`: this thread goes on only when the child has run the program or ended. The kernel
    // writes one number to `end`.
    let pid = check(unsafe {
        libc::clone(
            child,
            top.cast(),
            flags | libc::SIGCHLD,
            (&raw mut start).cast(),
            &raw mut end,
        )
    });
    drop(blocked);
    let pid = pid?;
    let end = own(end);
    match start.error.get() {
        0 => Ok(Spawned { pid, end }),
        error => {
            wait(pid)?;
            Err(io::Error::from_raw_os_error(error))
        }
    }
}

extern "C" fn child(start: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `spawn` passes a pointer to its `Start`, which outlives the child's use of it.
    let start = unsafe { &*start.cast::<Start<'_>>() };
    if let Err(Failed) = prepare(start.program, start.thread) {
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
fn prepare(program: &Program<'_>, thread: &Thread) -> Result<(), Failed> {
    // SAFETY: no pointers are involved.
    done(unsafe { libc::setpgid(0, 0) }.into())?;
    descriptors(&thread.places)?;
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
    default_signals(&thread.handled)
}

/// The three standard descriptors, and no others.
fn descriptors(places: &[OwnedFd; 3]) -> Result<(), Failed> {
    let highest = places.iter().map(AsRawFd::as_raw_fd).fold(3, RawFd::max);
    // From here on the table is the child's own.
    close_from(highest + 1, libc::CLOSE_RANGE_UNSHARE)?;
    for (number, place) in (0..).zip(places) {
        // SAFETY: the place is open, and all numbers are the child's to fill.
        done(unsafe { libc::dup2(place.as_raw_fd(), number) }.into())?;
    }
    close_from(3, 0)
}

fn close_from(first: RawFd, flags: libc::c_uint) -> Result<(), Failed> {
    // SAFETY: the call takes integers.
    done(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) })
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

/// What comes now must not run a handler of ours, and the program must not ignore anything.
fn default_signals(handled: &[libc::c_int]) -> Result<(), Failed> {
    for signal in handled {
        // SAFETY: the default is no function of ours.
        unsafe { libc::signal(*signal, libc::SIG_DFL) };
    }
    let mut none = MaybeUninit::uninit();
    // SAFETY: the set is initialised before it is used.
    done(
        unsafe {
            libc::sigemptyset(none.as_mut_ptr());
            libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut())
        }
        .into(),
    )
}
