//! Starting another program, such as a CGI script.
//!
//! posix_spawn starts it without copying this process's page tables, so it is quick whatever
//! the size of the worker.

use super::Pid;
use crate::sys::check;
use crate::sys::fd::own;
use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
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
}

/// What posix_spawn is to do in the child, released when dropped.
struct Plan {
    actions: libc::posix_spawn_file_actions_t,
    attributes: libc::posix_spawnattr_t,
}

/// The posix_spawn family returns the error number.
fn check_number(error: libc::c_int) -> io::Result<()> {
    if error == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(error))
    }
}

impl Plan {
    fn new() -> io::Result<Plan> {
        let (mut actions, mut attributes) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: both calls initialise what they are given, or fail.
        unsafe {
            check_number(libc::posix_spawn_file_actions_init(actions.as_mut_ptr()))?;
            check_number(libc::posix_spawnattr_init(attributes.as_mut_ptr()))?;
            Ok(Plan {
                actions: actions.assume_init(),
                attributes: attributes.assume_init(),
            })
        }
    }

    fn descriptors(&mut self, standard: [BorrowedFd<'_>; 3]) -> io::Result<()> {
        for (target, fd) in (0..).zip(standard) {
            // SAFETY: the list is initialised; the descriptors are open.
            check_number(unsafe {
                libc::posix_spawn_file_actions_adddup2(
                    &raw mut self.actions,
                    fd.as_raw_fd(),
                    target,
                )
            })?;
        }
        // SAFETY: as above.
        check_number(unsafe {
            libc::posix_spawn_file_actions_addclosefrom_np(&raw mut self.actions, 3)
        })
    }

    fn folder(&mut self, folder: &CStr) -> io::Result<()> {
        // SAFETY: the list is initialised and copies the name, which ends in a NUL.
        check_number(unsafe {
            libc::posix_spawn_file_actions_addchdir_np(&raw mut self.actions, folder.as_ptr())
        })
    }

    fn own_group_and_signals(&mut self) -> io::Result<()> {
        let flags = libc::POSIX_SPAWN_SETPGROUP
            | libc::POSIX_SPAWN_SETSIGMASK
            | libc::POSIX_SPAWN_SETSIGDEF;
        let mut set = MaybeUninit::uninit();
        let attributes = &raw mut self.attributes;
        // SAFETY: the attributes are initialised, and so is the set before each use.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            check_number(libc::posix_spawnattr_setsigmask(attributes, set.as_ptr()))?;
            libc::sigfillset(set.as_mut_ptr());
            check_number(libc::posix_spawnattr_setsigdefault(
                attributes,
                set.as_ptr(),
            ))?;
            check_number(libc::posix_spawnattr_setpgroup(attributes, 0))?;
            check_number(libc::posix_spawnattr_setflags(
                attributes,
                flags as libc::c_short,
            ))
        }
    }
}

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: both were initialised and are not used again.
        unsafe {
            libc::posix_spawn_file_actions_destroy(&raw mut self.actions);
            libc::posix_spawnattr_destroy(&raw mut self.attributes);
        }
    }
}

/// A null-terminated array of pointers to the strings.
fn pointers(strings: &[CString]) -> Vec<*mut libc::c_char> {
    let pointers = strings.iter().map(|string| string.as_ptr().cast_mut());
    pointers.chain([ptr::null_mut()]).collect()
}

/// Starts the program.
///
/// # Errors
/// Also what goes wrong in the child before it runs: no such file, not executable, no folder.
pub fn spawn(program: &Program<'_>) -> io::Result<Pid> {
    let mut plan = Plan::new()?;
    if let Some(folder) = program.folder {
        plan.folder(folder)?;
    }
    plan.descriptors(program.standard)?;
    plan.own_group_and_signals()?;
    let (arguments, environment) = (pointers(program.arguments), pointers(program.environment));
    let mut pid = 0;
    // SAFETY: the path and all strings end in a NUL, both arrays in a null pointer, and all
    // outlive the call, which does not change the strings.
    check_number(unsafe {
        libc::posix_spawn(
            &raw mut pid,
            program.path.as_ptr(),
            &raw const plan.actions,
            &raw const plan.attributes,
            arguments.as_ptr(),
            environment.as_ptr(),
        )
    })?;
    Ok(pid)
}

/// A descriptor that becomes readable when the child ends. It must not have been reaped.
pub fn pidfd(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two integers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    Ok(own(check(fd as libc::c_int)?))
}
