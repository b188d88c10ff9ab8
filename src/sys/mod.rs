//! The only door to the operating system: every `unsafe` block and every `libc` call.
//!
//! What leaves this folder is safe: descriptors are owned (`OwnedFd`) or borrowed
//! (`BorrowedFd`), failures are `std::io::Error`, and nothing here knows HTTP.
#![allow(unsafe_code)]

pub mod clock;
pub mod errno;
pub mod fd;
pub mod fs;
pub mod mapping;
pub mod pinned;
pub mod poll;
pub mod process;
pub mod random;
pub mod resolve;
pub mod shm;
pub mod signal;
pub mod socket;
pub mod waker;
pub mod xattr;

use std::io;

// The unwinder, which is what a panic needs of GCC. Linked from the static library, it spares each
// start the loading of `libgcc_s`. On other processors it may need more of GCC, which nobody has tried.
#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
#[link(name = "gcc_eh", kind = "static", modifiers = "-bundle")]
unsafe extern "C" {}

/// A system call's result where -1 means "see errno".
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// The same for calls that count bytes.
fn check_count(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Repeats a call that a signal interrupted.
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
