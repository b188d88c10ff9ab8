//! The log files of one configuration: a file named twice is opened once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use super::access::{AccessFile, AccessWriter, Buffering, Conflict};
use super::facade;
use super::file::{LogFile, OpenError};
use super::level::Level;

/// Log files by their names.
#[derive(Debug, Default)]
pub struct LogFiles {
    files: RefCell<BTreeMap<PathBuf, Rc<AccessFile>>>,
}

impl LogFiles {
    /// The file at `path`, an absolute path, for lines that are written at once. [`Self::open`]
    /// opens it.
    pub fn file(&self, path: &Path) -> Rc<LogFile> {
        self.entry(path).file().clone()
    }

    /// Where an `access_log` with this `path` and these options writes. [`Self::open`] opens it.
    ///
    /// # Errors
    /// Another `access_log` gave the file a buffer of another kind.
    pub fn access(
        &self,
        path: &Path,
        buffering: Option<Buffering>,
    ) -> Result<AccessWriter, Conflict> {
        let file = self.entry(path);
        if let Some(options) = buffering {
            file.set_buffering(options)?;
        }
        Ok(AccessWriter::File(file))
    }

    /// Opens all files, before workers are started.
    ///
    /// # Errors
    /// The first that cannot be opened.
    pub fn open(&self) -> Result<(), OpenError> {
        self.all()
            .iter()
            .try_for_each(|file| file.file().open(None))
    }

    /// Writes what waits, then opens all files anew by their names, since they were rotated.
    ///
    /// The master says which user the workers run as, so that they can do the same. A file that
    /// cannot be opened is reported, and the one open before stays in use.
    pub fn reopen(&self, owner: Option<u32>) {
        for file in self.all() {
            file.flush();
            if let Err(error) = file.file().open(owner) {
                facade::main().log(Level::Emerg, None, format_args!("{error}"));
            }
        }
    }

    /// Closes all files; what is written to them from now on is lost.
    pub fn close(&self) {
        self.all().iter().for_each(|file| file.file().close());
    }

    /// Writes all lines that wait, before a process ends.
    pub fn flush(&self) {
        self.all().iter().for_each(|file| file.flush());
    }

    /// Writes the lines that have waited long enough, and says when to call again; `None` if no
    /// log has a `flush=`.
    pub fn flush_due(&self, now: Instant) -> Option<Instant> {
        self.files
            .borrow()
            .values()
            .filter_map(|file| file.flush_due(now))
            .min()
    }

    fn entry(&self, path: &Path) -> Rc<AccessFile> {
        let mut files = self.files.borrow_mut();
        let make = || Rc::new(AccessFile::new(LogFile::new(path.to_owned())));
        files.entry(path.to_owned()).or_insert_with(make).clone()
    }

    /// The files, without keeping the registry borrowed while they are worked on.
    fn all(&self) -> Vec<Rc<AccessFile>> {
        self.files.borrow().values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn a_path_is_one_file() {
        let files = LogFiles::default();
        assert!(Rc::ptr_eq(
            &files.file("/a".as_ref()),
            &files.file("/a".as_ref())
        ));
        assert!(!Rc::ptr_eq(
            &files.file("/a".as_ref()),
            &files.file("/b".as_ref())
        ));
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let files = LogFiles::default();
        files.file("/nonexistent/x.log".as_ref());
        let error = files.open().unwrap_err().to_string();
        assert_eq!(
            error,
            "open() \"/nonexistent/x.log\" failed (2: No such file or directory)"
        );
    }

    #[test]
    fn a_failed_reopening_keeps_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        let files = LogFiles::default();
        let file = files.file(&inner.join("log"));
        files.open().unwrap();
        let moved = folder.path().join("moved");
        std::fs::rename(&inner, &moved).unwrap();
        files.reopen(None);
        file.append(b"still here\n", 1)
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(std::fs::read(moved.join("log")).unwrap(), b"still here\n");
    }

    #[test]
    fn the_owner_can_read_and_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o244)).unwrap();
        let owner = std::fs::metadata(&path).unwrap().uid();
        let files = LogFiles::default();
        files.file(&path);
        files.reopen(Some(owner));
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o644);
    }
}
