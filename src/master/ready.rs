//! One process tells another that it is up; or, by ending before, that it is not.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::sys::fd;
use crate::sys::poll::{PollFd, Readiness, poll};

/// The side of the process that is to come up. Dropped, it says that it won't.
#[derive(Debug)]
pub struct Promise(OwnedFd);

/// The side of the process that wants to know.
#[derive(Debug)]
pub struct Expectation(OwnedFd);

/// What became of a process that was to come up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It is up.
    Up,
    /// It ended, or gave up.
    Failed,
    /// It has not said anything in time.
    None,
}

/// Both sides, to be parted by a fork.
///
/// # Errors
/// The system's, when there are too many descriptors.
pub fn pair() -> io::Result<(Expectation, Promise)> {
    let (reader, writer) = fd::pipe()?;
    Ok((Expectation(reader), Promise(writer)))
}

impl Promise {
    /// Says that this process is up.
    pub fn keep(self) {
        // Whoever wanted to know may be gone, which is no reason to be less up.
        let _ = fd::write(self.0.as_fd(), b"!");
    }
}

impl Expectation {
    /// Waits for news, at most for `timeout` if there is one.
    pub fn wait(&self, timeout: Option<Duration>) -> News {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let ms = left.map_or(-1, |left| {
                i32::try_from(left.as_millis()).unwrap_or(i32::MAX)
            });
            let mut fds = [PollFd::new(self.0.as_raw_fd(), Readiness::READ)];
            match poll(&mut fds, ms) {
                Ok(0) => return News::None,
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return News::None,
            }
        }
        match fd::read(self.0.as_fd(), &mut Vec::new(), 1) {
            Ok(1) => News::Up,
            _ => News::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_arrive() {
        let (expectation, promise) = pair().unwrap();
        assert_eq!(expectation.wait(Some(Duration::ZERO)), News::None);
        promise.keep();
        assert_eq!(expectation.wait(None), News::Up);
        assert_eq!(expectation.wait(None), News::Failed);
        let (expectation, promise) = pair().unwrap();
        drop(promise);
        assert_eq!(expectation.wait(None), News::Failed);
        let (expectation, promise) = pair().unwrap();
        drop(expectation);
        promise.keep();
    }
}
