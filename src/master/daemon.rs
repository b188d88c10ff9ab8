//! Going into the background without letting go of the caller before the server is up.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use crate::sys::fd;
use crate::sys::process::{self, Fork};

/// The process that was started, which waits at the terminal. Dropped, it is told of a failure.
#[derive(Debug)]
pub struct Caller {
    pipe: OwnedFd,
}

impl Caller {
    /// Lets it go: the server is up.
    ///
    /// # Errors
    /// It is gone already.
    pub fn release(self) -> io::Result<()> {
        fd::write(self.pipe.as_fd(), b"!").map(drop)
    }
}

/// Goes on in a process without a terminal. The one that was started exits with 0 when that one
/// releases it, and with 1 if it never does.
///
/// # Errors
/// The system's.
pub fn detach() -> io::Result<Caller> {
    let (reader, writer) = fd::pipe()?;
    if let Fork::Parent(_) = process::fork()? {
        drop(writer);
        fd::set_nonblocking(reader.as_fd(), false)?;
        let told = fd::read(reader.as_fd(), &mut Vec::new(), 1);
        std::process::exit(if told.is_ok_and(|count| count == 1) {
            0
        } else {
            1
        });
    }
    drop(reader);
    process::daemonize()?;
    Ok(Caller { pipe: writer })
}
