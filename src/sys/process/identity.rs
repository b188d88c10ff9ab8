//! Users and groups, and becoming one of them.

use crate::sys::check;
use crate::sys::fs::with_c_name;
use std::io;
use std::mem::MaybeUninit;

/// An account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// Its number.
    pub uid: u32,
    /// Its primary group.
    pub gid: u32,
}

/// Most bytes an entry of the user or group database may take.
const MOST: usize = 1 << 20;

/// Calls one of the `get…nam_r` functions with growing room for the strings.
fn look_up<T, R>(
    call: impl Fn(*mut T, &mut [libc::c_char], *mut *mut T) -> libc::c_int,
    found: impl Fn(&T) -> R,
) -> io::Result<Option<R>> {
    let mut room = vec![0; 1024];
    loop {
        let (mut entry, mut result) = (MaybeUninit::uninit(), std::ptr::null_mut());
        match call(entry.as_mut_ptr(), &mut room, &raw mut result) {
            // SAFETY: a result that is not null points to `entry`, which is filled in then.
            0 => return Ok(unsafe { result.as_ref() }.map(found)),
            libc::ERANGE if room.len() < MOST => room.resize(room.len() * 4, 0),
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// The account of that name.
pub fn user(name: &str) -> io::Result<Option<User>> {
    with_c_name(name, |name| {
        look_up(
            // SAFETY: the name ends in a NUL, and the room is as long as stated.
            |entry: *mut libc::passwd, room, result| unsafe {
                libc::getpwnam_r(name.as_ptr(), entry, room.as_mut_ptr(), room.len(), result)
            },
            |entry| User {
                uid: entry.pw_uid,
                gid: entry.pw_gid,
            },
        )
    })
}

/// The number of the group of that name.
pub fn group(name: &str) -> io::Result<Option<u32>> {
    with_c_name(name, |name| {
        look_up(
            // SAFETY: the name ends in a NUL, and the room is as long as stated.
            |entry: *mut libc::group, room, result| unsafe {
                libc::getgrnam_r(name.as_ptr(), entry, room.as_mut_ptr(), room.len(), result)
            },
            |entry| entry.gr_gid,
        )
    })
}

/// The groups the user of that name is in, `gid` among them.
pub fn groups(name: &str, gid: u32) -> io::Result<Vec<u32>> {
    with_c_name(name, |name| {
        let mut groups = vec![0; 64];
        loop {
            let mut count = libc::c_int::try_from(groups.len()).unwrap_or(libc::c_int::MAX);
            // SAFETY: the name ends in a NUL, and there is room for as many groups as stated.
            let found = unsafe {
                libc::getgrouplist(name.as_ptr(), gid, groups.as_mut_ptr(), &raw mut count)
            };
            let count = usize::try_from(count).unwrap_or(0);
            match found {
                -1 if groups.len() < MOST => groups.resize(groups.len() * 4, 0),
                -1 => return Err(io::ErrorKind::OutOfMemory.into()),
                _ => {
                    groups.truncate(count);
                    return Ok(std::mem::take(&mut groups));
                }
            }
        }
    })
}

/// Whom this process acts as; 0 is root.
pub fn effective_uid() -> u32 {
    // SAFETY: the call cannot fail.
    unsafe { libc::geteuid() }
}

/// Becomes another user for good: group, supplementary groups, user, in this order. Core files
/// stay possible afterwards (`worker_rlimit_core`).
pub fn drop_privileges(uid: u32, gid: u32, groups: &[u32]) -> io::Result<()> {
    // SAFETY: no pointers are involved.
    check(unsafe { libc::setgid(gid) })?;
    // SAFETY: there are as many groups as stated.
    check(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) })?;
    // SAFETY: no pointers are involved.
    check(unsafe { libc::setuid(uid) })?;
    // SAFETY: this option takes one integer.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) }).map(drop)
}
