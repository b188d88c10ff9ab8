//! What `ps` shows: the arguments and environment the kernel put on the stack, overwritten.

use super::move_environment;
use std::ffi::CString;
use std::io;
use std::sync::OnceLock;

/// Where the title goes: an address and how many bytes there are.
static AREA: OnceLock<(usize, usize)> = OnceLock::new();

unsafe extern "C" {
    /// The first argument, where the kernel put it.
    static program_invocation_name: *const libc::c_char;
}

/// Takes over the memory of the arguments and the environment for the title, once, early in
/// `main`. The environment moves elsewhere; `std::env::args` yields nonsense afterwards, so
/// collect it before.
///
/// # Errors
/// `Unsupported` where there are other threads, and where that memory is not known. [`set_title`]
/// does nothing then.
pub fn claim_title() -> io::Result<()> {
    let unsupported = || io::Error::from(io::ErrorKind::Unsupported);
    let (start, end) = area().ok_or_else(unsupported)?;
    move_environment()?;
    AREA.set((start, end - start)).map_err(|_| unsupported())
}

/// From the first argument to the end of the environment, which follows the arguments and is
/// followed by the name of the file that was executed. Without arguments the C library's name of
/// the program lies elsewhere.
fn area() -> Option<(usize, usize)> {
    std::env::args_os().next()?;
    // SAFETY: the C library sets it before `main` and never again.
    let start = unsafe { program_invocation_name } as usize;
    // SAFETY: the call takes an integer.
    let end = unsafe { libc::getauxval(libc::AT_EXECFN) } as usize;
    (start != 0 && start < end).then_some((start, end))
}

/// Shows `title` in place of the command line; what does not fit is cut off.
pub fn set_title(title: &str) {
    let Some(&(start, room)) = AREA.get() else {
        return;
    };
    let shown = title.len().min(room - 1);
    let area = start as *mut u8;
    // SAFETY: `claim_title` learnt from the kernel that these bytes are the process's initial
    // arguments and environment, and moved the environment away. The last byte stays a NUL.
    unsafe {
        std::ptr::copy_nonoverlapping(title.as_ptr(), area, shown);
        std::ptr::write_bytes(area.add(shown), 0, room - shown);
    }
}

/// Sets the thread's name, at most 15 bytes, which `top` and `pgrep` know the process by.
pub fn set_name(name: &str) -> io::Result<()> {
    let name = CString::new(name)?;
    // SAFETY: the name ends in a NUL; the kernel copies what it keeps.
    crate::sys::check(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_what_the_kernel_says_it_is() {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let addresses: Vec<usize> = fields
            .split(' ')
            .skip(45)
            .map_while(|field| field.trim().parse().ok())
            .collect();
        let [arguments, arguments_end, environment, environment_end] = addresses[..4] else {
            panic!("{stat}");
        };
        assert_eq!(arguments_end, environment);
        assert_eq!(area(), Some((arguments, environment_end)));
    }
}
