//! One open file, or the folder or error found in its place.

use std::cell::OnceCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use super::Want;
use crate::sys::errno;
use crate::sys::fs::{self, Flags, Stat};

/// Whether symbolic links on the way to a file are followed (`disable_symlinks`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SymlinkMode {
    /// All are.
    #[default]
    Follow,
    /// Only some are, or none.
    Check(fs::Symlinks),
}

/// `disable_symlinks`, ready for one path.
#[derive(Clone, Copy, Debug, Default)]
pub struct Symlinks {
    /// Which links are followed.
    pub mode: SymlinkMode,
    /// How many bytes at the start of the path are not checked.
    pub from: usize,
}

/// Why a file could not be had, and the system call that said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// Such as `open()`.
    pub call: &'static str,
    /// The `errno` value.
    pub errno: i32,
}

impl FileError {
    pub(super) fn new(call: &'static str, error: &io::Error) -> FileError {
        FileError {
            call,
            errno: error.raw_os_error().unwrap_or(0),
        }
    }

    /// Whether nothing is there.
    pub fn is_not_found(&self) -> bool {
        matches!(
            self.errno,
            errno::ENOENT | errno::ENOTDIR | errno::ENAMETOOLONG
        )
    }

    /// Whether something is there that may not be read.
    pub fn is_denied(&self) -> bool {
        matches!(self.errno, errno::EACCES | errno::ELOOP | errno::EMLINK)
    }

    /// As the standard library's error.
    pub fn io(&self) -> io::Error {
        io::Error::from_raw_os_error(self.errno)
    }
}

/// A file as it was when it was looked up.
#[derive(Debug)]
pub struct OpenFile {
    /// What `stat` said.
    pub stat: Stat,
    fd: Option<OwnedFd>,
    content: OnceCell<Rc<[u8]>>,
}

impl OpenFile {
    /// Looks `path` up; folders and other irregular files are described but not kept open.
    pub(super) fn look_up(
        path: &[u8],
        want: Want,
        symlinks: Symlinks,
    ) -> Result<OpenFile, FileError> {
        if want == Want::Info && symlinks.mode == SymlinkMode::Follow {
            let stat = fs::stat(path).map_err(|error| FileError::new("stat()", &error))?;
            return Ok(OpenFile {
                stat,
                fd: None,
                content: OnceCell::new(),
            });
        }
        let fd = match symlinks.mode {
            SymlinkMode::Follow => {
                fs::open(path, Flags::READ).map_err(|error| FileError::new("open()", &error))
            }
            SymlinkMode::Check(links) => {
                fs::open_no_symlinks(path, symlinks.from, links, Flags::READ)
                    .map_err(|error| FileError::new("openat()", &error))
            }
        }?;
        let stat = fs::fstat(fd.as_fd()).map_err(|error| FileError::new("fstat()", &error))?;
        let fd = Some(fd).filter(|_| stat.is_file());
        Ok(OpenFile {
            stat,
            fd,
            content: OnceCell::new(),
        })
    }

    /// The descriptor, if it is a regular file that was opened.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }

    /// The same without its descriptor.
    pub(super) fn closed(&self) -> OpenFile {
        OpenFile {
            stat: self.stat,
            fd: None,
            content: OnceCell::new(),
        }
    }

    /// Whether it serves what is wanted.
    pub(super) fn serves(&self, want: Want) -> bool {
        want == Want::Info || self.fd.is_some() || !self.stat.is_file()
    }

    /// The whole content, if it was remembered.
    pub fn content(&self) -> Option<&Rc<[u8]>> {
        self.content.get()
    }

    /// Remembers the whole content.
    pub fn remember(&self, content: Rc<[u8]>) {
        let _ = self.content.set(content);
    }
}
