//! What `ps` shows: the arguments and environment the kernel put on the stack, overwritten.

use super::threads;
use std::ffi::CString;
use std::io;
use std::sync::OnceLock;

/// Where the title goes: an address and how many bytes there are.
static AREA: OnceLock<(usize, usize)> = OnceLock::new();

/// Takes over the memory of the arguments and the environment for the title, once, early in
/// `main`. The environment moves elsewhere; `std::env::args` yields nonsense afterwards, so
/// collect it before.
///
/// # Errors
/// Where there is no /proc to ask, or other threads already run. [`set_title`] does nothing
/// then.
pub fn claim_title() -> io::Result<()> {
    let unsupported = || io::Error::from(io::ErrorKind::Unsupported);
    if threads()? > 1 {
        return Err(unsupported());
    }
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (start, end) = area(&stat).ok_or_else(unsupported)?;
    for (name, value) in std::env::vars_os() {
        // SAFETY: there is no other thread that could read the environment meanwhile. Setting
        // a variable to its own value makes the C library keep a copy of it.
        unsafe { std::env::set_var(name, value) };
    }
    AREA.set((start, end - start)).map_err(|_| unsupported())
}

/// From the first argument to the end of the environment, if one follows the other: fields 48
/// to 51 of `/proc/PID/stat`, counted from the process name, which may contain spaces.
fn area(stat: &str) -> Option<(usize, usize)> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields
        .split(' ')
        .skip(45)
        .map_while(|field| field.trim().parse().ok());
    let addresses: [usize; 4] = std::array::from_fn(|_| fields.next().unwrap_or(0));
    let [arguments, arguments_end, environment, environment_end] = addresses;
    let end = if arguments_end == environment {
        environment_end
    } else {
        arguments_end
    };
    (arguments != 0 && arguments < end).then_some((arguments, end))
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
    fn the_area_ends_with_the_environment_if_that_follows() {
        let stat = |ends: &str| {
            let fill = vec!["7"; 44].join(" ");
            format!("12 (a name) with) S {fill} {ends} 0\n")
        };
        let cases = [
            ("100 120 120 200", Some((100, 200))),
            ("100 120 130 200", Some((100, 120))),
            ("0 0 0 0", None),
        ];
        for (ends, expected) in cases {
            assert_eq!(area(&stat(ends)), expected, "{ends}");
        }
        let own = std::fs::read_to_string("/proc/self/stat").unwrap();
        assert!(area(&own).is_some());
    }
}
