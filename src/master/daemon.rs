//! Going into the background without letting go of the caller before the server is up.

use std::io;

use super::ready::{self, News, Promise};
use crate::sys::process::{self, Fork};

/// Goes on in a process without a terminal. The one that was started waits for the promise: it
/// exits with 0 when that is kept, and with 1 if it never is.
///
/// # Errors
/// The system's.
pub fn detach() -> io::Result<Promise> {
    let (expectation, promise) = ready::pair()?;
    if let Fork::Parent(_) = process::fork()? {
        drop(promise);
        let is_up = expectation.wait(None) == News::Up;
        std::process::exit(if is_up { 0 } else { 1 });
    }
    drop(expectation);
    process::daemonize()?;
    Ok(promise)
}
