//! How whoever asked for a reload learns what came of it.
//!
//! The one who asks binds a datagram socket beside the pid file and then signals the master, which
//! sends one message there: nothing if all went well, else what is wrong. A `kill -HUP` binds
//! nothing, and nobody is told.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is appended to the name of the pid file.
const SUFFIX: &str = ".reload";

/// The most bytes a message may have.
const MOST: usize = 64 * 1024;

/// Where the message for a reload goes to.
fn place(pid_file: &Path) -> PathBuf {
    let mut name = pid_file.as_os_str().to_owned();
    name.push(SUFFIX);
    name.into()
}

/// Tells whoever waits that a reload succeeded, or why it did not.
///
/// # Errors
/// Nobody waits, as a rule.
pub fn report(pid_file: &Path, failure: Option<&str>) -> io::Result<()> {
    let message = failure.unwrap_or_default();
    let message = &message.as_bytes()[..message.len().min(MOST)];
    let socket = UnixDatagram::unbound()?;
    // The master must not wait for somebody who does not read.
    socket.set_nonblocking(true)?;
    socket.send_to(message, place(pid_file)).map(drop)
}

/// Somebody who waits for the outcome of a reload.
#[derive(Debug)]
pub struct Waiting {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Waiting {
    /// Gets ready to be told. The signal is to be sent after this.
    ///
    /// # Errors
    /// The system's; `AddrInUse` when somebody else waits.
    pub fn new(pid_file: &Path) -> io::Result<Self> {
        let path = place(pid_file);
        if is_abandoned(&path) {
            fs::remove_file(&path)?;
        }
        let waiting = Self {
            socket: UnixDatagram::bind(&path)?,
            path,
        };
        // The master may be another user; only root can have another's pid file here.
        if let Ok(owner) = fs::metadata(pid_file) {
            let _ = chown(&waiting.path, Some(owner.uid()), Some(owner.gid()));
        }
        Ok(waiting)
    }

    /// Waits for the message: `None` if all went well.
    ///
    /// # Errors
    /// The system's; `WouldBlock` when none came in time.
    pub fn outcome(&self, timeout: Duration) -> io::Result<Option<String>> {
        self.socket.set_read_timeout(Some(timeout))?;
        let mut message = vec![0; MOST];
        let length = self.socket.recv(&mut message)?;
        let text = String::from_utf8_lossy(&message[..length]).into_owned();
        Ok((!text.is_empty()).then_some(text))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Whoever comes next finds it abandoned, if it stays.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether a socket is there that nobody listens to any more.
fn is_abandoned(path: &Path) -> bool {
    let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    let connected = UnixDatagram::unbound().and_then(|socket| socket.connect(path));
    connected.is_err_and(|error| refused(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        assert!(report(&pid_file, None).is_err());
        for outcome in [None, Some("rowhouse: [emerg] no\n")] {
            let waiting = Waiting::new(&pid_file).unwrap();
            report(&pid_file, outcome).unwrap();
            assert_eq!(
                waiting.outcome(Duration::from_secs(5)).unwrap().as_deref(),
                outcome
            );
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn one_waits_at_a_time_and_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        drop(UnixDatagram::bind(place(&pid_file)).unwrap());
        let waiting = Waiting::new(&pid_file).unwrap();
        assert_eq!(
            Waiting::new(&pid_file).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
        let error = waiting.outcome(Duration::from_millis(1)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
