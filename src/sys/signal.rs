//! Signal masks. Receiving signals is `event::Signals`, over the signal-hook crate.

use std::io;
use std::mem::MaybeUninit;

/// While it lives, this thread receives no signals; they wait.
///
/// Held around a fork it closes the gap in which a signal would reach the child's inherited
/// handlers: the child makes its own `Signals` first and then drops this.
#[derive(Debug)]
pub struct Blocked {
    previous: libc::sigset_t,
}

impl Blocked {
    /// Blocks every signal that can be blocked.
    pub fn all() -> io::Result<Blocked> {
        let (mut all, mut previous) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: `sigfillset` initialises `all`; on success the call initialises `previous`.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            match libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), previous.as_mut_ptr()) {
                0 => Ok(Blocked {
                    previous: previous.assume_init(),
                }),
                error => Err(io::Error::from_raw_os_error(error)),
            }
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: `previous` is the mask the kernel gave; the old mask is not asked for.
        unsafe {
            libc::pthread_sigmask(
                libc::SIG_SETMASK,
                &raw const self.previous,
                std::ptr::null_mut(),
            )
        };
    }
}

/// The signals that this process handles itself, or ignores.
pub fn not_default() -> Vec<libc::c_int> {
    let handled = |signal: &libc::c_int| {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: the call fills in `action`, which is all zeroes (the default) otherwise.
        let action = unsafe {
            libc::sigaction(*signal, std::ptr::null(), action.as_mut_ptr());
            action.assume_init()
        };
        action.sa_sigaction != libc::SIG_DFL
    };
    (1..32).filter(handled).collect()
}

/// Has a signal do what it does by default.
pub fn reset(signal: libc::c_int) {
    // SAFETY: the default is no function of ours.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}
