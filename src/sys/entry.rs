//! The program's entry, in place of that of Rust's runtime.
//!
//! The runtime has `/proc` tell it where the stack ends, to be able to say so should it overflow.
//! That is a twentieth of a start; without it, an overflow ends the process just the same, by
//! SIGSEGV. The rest of what the runtime does is done here.

use std::ffi::{CStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStringExt;
use std::panic::catch_unwind;
use std::process::{ExitCode, exit};

/// What the runtime exits with after a panic.
const PANICKED: u8 = 101;

/// Makes a function of the arguments the program. To be used once, with `#![no_main]`.
#[macro_export]
macro_rules! program {
    ($run:path) => {
        // SAFETY: nothing else has this name in a program without Rust's `main`.
        #[unsafe(no_mangle)]
        extern "C" fn main(
            _: std::ffi::c_int,
            arguments: *const *const std::ffi::c_char,
        ) -> std::ffi::c_int {
            // SAFETY: they come from the C library.
            unsafe { $crate::sys::entry::enter($run, arguments) }
        }
    };
}

/// Runs the program and exits.
///
/// # Safety
/// The arguments are those of a C program: strings that end in a NUL, and a null pointer last.
pub unsafe fn enter(run: fn(Vec<OsString>) -> ExitCode, mut arguments: *const *const c_char) -> ! {
    open_standard();
    // SAFETY: to ignore a signal takes no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    let mut words = Vec::new();
    // SAFETY: the caller says so.
    unsafe {
        while !(*arguments).is_null() {
            let word = CStr::from_ptr(*arguments).to_bytes();
            words.push(OsString::from_vec(word.to_vec()));
            arguments = arguments.add(1);
        }
    }
    let code = catch_unwind(|| run(words)).unwrap_or(PANICKED.into());
    // It does not tell its number, but which one it equals.
    let number = (0..=u8::MAX).find(|number| ExitCode::from(*number) == code);
    exit(number.map_or(1, c_int::from))
}

/// Opens the standard descriptors that are closed, so that no other file becomes one of them.
fn open_standard() {
    for standard in 0..3 {
        // SAFETY: the calls look a number up, and open what gets the lowest number that is free;
        // the name ends in a NUL.
        unsafe {
            if libc::fcntl(standard, libc::F_GETFD) == -1 {
                libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
            }
        }
    }
}
