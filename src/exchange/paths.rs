//! From an exchange's path to a file: `root`, `alias` and the look-up.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use super::{Alias, Exchange};
use crate::files::{FileError, OpenFile, Symlinks, Terms, Want};
use crate::http::Status;
use crate::log::errno::Errno;
use crate::log::level::Level;

thread_local!(static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) });

/// The memory of a path longer than this is not kept.
const LARGEST_KEPT: usize = 4 * 1024;

/// A file's path, in memory that is used again and again.
#[derive(Debug)]
pub struct FilePath(Vec<u8>);

impl FilePath {
    fn new() -> FilePath {
        let mut path = SPARE.take();
        path.clear();
        FilePath(path)
    }
}

impl Drop for FilePath {
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.0);
        if path.capacity() <= LARGEST_KEPT {
            // While the thread ends, memory is needed no more.
            let _ = SPARE.try_with(|spare| spare.set(path));
        }
    }
}

impl Deref for FilePath {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for FilePath {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl From<FilePath> for Vec<u8> {
    fn from(mut path: FilePath) -> Vec<u8> {
        std::mem::take(&mut path.0)
    }
}

/// The exchange's path does not begin with the name of a location that has an `alias`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unmapped;

impl Exchange {
    /// The file the path stands for.
    ///
    /// # Errors
    /// The location has an `alias`, but the path was rewritten to something outside it.
    pub fn map_path(&self) -> Result<FilePath, Unmapped> {
        self.map(&self.path)
    }

    /// The file that `path` (a decoded URI path) stands for in this exchange's location.
    ///
    /// # Errors
    /// As [`Exchange::map_path`].
    pub fn map(&self, path: &[u8]) -> Result<FilePath, Unmapped> {
        let mut file = self.document_root();
        match &self.location.core.alias {
            Alias::No => file.extend_from_slice(path),
            Alias::Whole if self.path_in_alias => file.extend_from_slice(path),
            Alias::Whole => {}
            Alias::Prefix(name) => match path.strip_prefix(&**name) {
                Some(rest) => file.extend_from_slice(rest),
                None => {
                    let name = String::from_utf8_lossy(&self.location.name);
                    let message = format_args!(
                        "\"alias\" cannot be used in location \"{name}\" where URI was rewritten"
                    );
                    self.log(Level::Alert, message);
                    return Err(Unmapped);
                }
            },
        }
        Ok(file)
    }

    /// `root` or `alias` as a full path, without a slash at the end of a root.
    pub fn document_root(&self) -> FilePath {
        let core = &self.location.core;
        let mut root = FilePath::new();
        // One without variables was resolved when the configuration was read.
        if let Some(resolved) = core.root.literal() {
            root.extend_from_slice(resolved);
            return root;
        }
        core.root.append(self, &mut root);
        if root.first() != Some(&b'/') {
            root.splice(0..0, core.prefix.iter().copied());
        }
        root
    }

    /// Looks a file up as the location's settings say.
    ///
    /// # Errors
    /// What the system said.
    pub fn look_up(&self, path: &[u8], want: Want) -> Result<Rc<OpenFile>, FileError> {
        let core = &self.location.core;
        let (mode, from) = &core.symlinks;
        let from = from.as_ref().map(|from| from.expand(self));
        // A prefix the path does not begin with exempts nothing.
        let exempt = from
            .filter(|from| path.starts_with(from))
            .map_or(0, |from| from.len());
        core.file_cache.look_up(
            path,
            want,
            Symlinks {
                mode: *mode,
                from: exempt,
            },
        )
    }

    /// Writes to the error log that `call` failed for the file at `path`.
    pub fn log_file_error(&self, level: Level, path: &[u8], error: &FileError) {
        let path = String::from_utf8_lossy(path);
        let errno = error.io();
        self.log(
            level,
            format_args!("{} \"{path}\" failed {}", error.call, Errno(&errno)),
        );
    }

    /// What a client is told if a file can't be had.
    pub fn status_of(error: &FileError) -> Status {
        if error.is_not_found() {
            Status::NOT_FOUND
        } else if error.is_denied() {
            Status::FORBIDDEN
        } else {
            Status::INTERNAL_SERVER_ERROR
        }
    }

    /// What a file that is answered with is described by.
    pub fn terms(&self) -> Terms<'_> {
        let core = &self.location.core;
        Terms {
            types: &core.types,
            default_type: &core.default_type,
            path: &self.path,
            tagged: core.etag,
        }
    }
}
