//! One log file: opened to append, opened anew when logs are rotated, never in a request's way.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use super::errno::Errno;

/// Read and write by the owner.
const OWNER_READ_WRITE: u32 = 0o600;

/// A log file. It has a name from the start and is opened later, so that a configuration can be
/// read without touching any file.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: RefCell<Option<File>>,
    /// The second (since 1970) in which the disk was found full; nothing is tried within it.
    full_at: Cell<i64>,
}

/// Why a file could not be opened or prepared: nginx's words for it.
#[derive(Debug)]
pub struct OpenError {
    call: &'static str,
    path: PathBuf,
    /// What the system said.
    pub error: io::Error,
}

/// Why bytes did not reach a file: nginx's words for it.
#[derive(Debug)]
pub struct WriteError<'a> {
    path: &'a Path,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Failed(io::Error),
    Incomplete { written: usize, length: usize },
}

impl LogFile {
    /// A file that is not open yet.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: RefCell::new(None),
            full_at: Cell::new(i64::MIN),
        }
    }

    /// The path it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file by its name, made if it is missing, in place of the one open now.
    ///
    /// `owner` is the user who must be able to open it later: the file is given to that user.
    ///
    /// # Errors
    /// The system's; the file open before stays in use.
    pub fn open(&self, owner: Option<u32>) -> Result<(), OpenError> {
        let failed = |call| {
            move |error| OpenError {
                call,
                path: self.path.clone(),
                error,
            }
        };
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o644)
            .open(&self.path)
            .map_err(failed("open()"))?;
        if let Some(owner) = owner {
            let metadata = file.metadata().map_err(failed("stat()"))?;
            if metadata.uid() != owner {
                chown(&self.path, Some(owner), None).map_err(failed("chown()"))?;
            }
            let mode = metadata.mode();
            if mode & OWNER_READ_WRITE != OWNER_READ_WRITE {
                let permissions = Permissions::from_mode(mode & 0o7777 | OWNER_READ_WRITE);
                file.set_permissions(permissions)
                    .map_err(failed("chmod()"))?;
            }
        }
        self.file.replace(Some(file));
        Ok(())
    }

    /// Closes the file; what is appended from now on is lost until it is opened again.
    pub fn close(&self) {
        self.file.replace(None);
    }

    /// Appends `bytes` with one write; `now` is the current second since 1970.
    ///
    /// A file that is not open takes everything, and so does a full disk until the second is over.
    ///
    /// # Errors
    /// Not all bytes were written.
    pub fn append(&self, bytes: &[u8], now: i64) -> Result<(), WriteError<'_>> {
        let file = self.file.borrow();
        let Some(mut file) = file.as_ref().filter(|_| self.full_at.get() != now) else {
            return Ok(());
        };
        let cause = match file.write(bytes) {
            Ok(written) if written == bytes.len() => return Ok(()),
            Ok(written) => Cause::Incomplete {
                written,
                length: bytes.len(),
            },
            Err(error) => Cause::Failed(error),
        };
        if matches!(&cause, Cause::Failed(error) if error.kind() == io::ErrorKind::StorageFull) {
            self.full_at.set(now);
        }
        Err(WriteError {
            path: &self.path,
            cause,
        })
    }

    /// Calls `use_fd` with the descriptor, if the file is open.
    pub fn with_fd<R>(&self, use_fd: impl FnOnce(BorrowedFd<'_>) -> R) -> Option<R> {
        self.file.borrow().as_ref().map(|file| use_fd(file.as_fd()))
    }
}

impl OpenError {
    /// The file it is about.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} \"{}\" failed {}",
            self.call,
            self.path.display(),
            Errno(&self.error)
        )
    }
}

impl std::error::Error for OpenError {}

impl fmt::Display for WriteError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "write() to \"{}\" ", self.path.display())?;
        match &self.cause {
            Cause::Failed(error) => write!(f, "failed {}", Errno(error)),
            Cause::Incomplete { written, length } => {
                write!(f, "was incomplete: {written} of {length}")
            }
        }
    }
}
