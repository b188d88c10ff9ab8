//! Folders with all that is in them: walking, removing and copying.

use std::fs::{self, DirEntry, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::files::{
    PERMISSIONS, carry_properties, copy_file, fail, log_failure, set_time, time_of,
};
use super::folder_access;
use super::undone::Failures;
use crate::event;
use crate::exchange::Exchange;
use crate::http::Status;
use crate::log::level::Level;
use crate::sys::fs::mkdir;

/// How many entries are handled before others get their turn.
const BATCH: usize = 64;

/// What a walk comes across.
pub(super) enum Found {
    /// A regular file.
    File(PathBuf),
    /// A folder, before what is in it.
    Folder(PathBuf),
    /// A folder, after what is in it.
    FolderEnd(PathBuf),
    /// A link, a socket and the like.
    Special(PathBuf),
}

/// A walk through all that is in a folder, the folder itself left out.
///
/// A folder is read whole when it is entered, so deep trees need no more descriptors than flat ones.
pub(super) struct Walk<'a> {
    exchange: &'a Exchange,
    ahead: Vec<Found>,
    count: usize,
    /// What went wrong so far.
    failures: Failures,
}

impl<'a> Walk<'a> {
    /// A walk through `folder`.
    ///
    /// # Errors
    /// 500 if the folder can't be read, with the reason in the log.
    pub(super) fn new(exchange: &'a Exchange, folder: &Path) -> Result<Walk<'a>, Status> {
        let mut walk = Walk {
            exchange,
            ahead: Vec::new(),
            count: 0,
            failures: Failures::default(),
        };
        walk.enter(folder)?;
        Ok(walk)
    }

    /// What comes next; folders below that can't be read are logged and count as empty.
    pub(super) async fn next(&mut self) -> Option<Found> {
        self.count += 1;
        if self.count.is_multiple_of(BATCH) {
            event::yield_now().await;
        }
        let found = self.ahead.pop()?;
        if let Found::Folder(path) = &found {
            self.ahead.push(Found::FolderEnd(path.clone()));
            if let Err(status) = self.enter(path) {
                self.failures.add(path, status);
            }
        }
        Some(found)
    }

    fn enter(&mut self, folder: &Path) -> Result<(), Status> {
        let failed = |call: &str, error: &std::io::Error| {
            log_failure(self.exchange, Level::Crit, call, folder, error);
            match error.kind() {
                std::io::ErrorKind::PermissionDenied => Status::FORBIDDEN,
                _ => Status::INTERNAL_SERVER_ERROR,
            }
        };
        let entries = fs::read_dir(folder).map_err(|error| failed("opendir()", &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| failed("readdir()", &error))?;
            self.ahead.push(Found::of(&entry));
        }
        Ok(())
    }
}

impl Found {
    fn of(entry: &DirEntry) -> Found {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => Found::Folder(path),
            Ok(kind) if kind.is_file() => Found::File(path),
            _ => Found::Special(path),
        }
    }
}

/// Removes all that is in a folder; what can't be removed is logged and stays.
pub(super) async fn remove_tree(exchange: &Exchange, folder: &Path) -> Result<Failures, Status> {
    let mut walk = Walk::new(exchange, folder)?;
    while let Some(found) = walk.next().await {
        let (call, path, removed) = match &found {
            Found::Folder(_) => continue,
            Found::FolderEnd(path) => ("rmdir()", path, fs::remove_dir(path)),
            Found::File(path) | Found::Special(path) => ("unlink()", path, fs::remove_file(path)),
        };
        match removed {
            // One that could not be read was empty.
            Ok(()) => walk.failures.forget(path),
            Err(error) => {
                let status = fail(exchange, call, path, &error, Status::NOT_FOUND);
                walk.failures.add(path, status);
            }
        }
    }
    Ok(walk.failures)
}

/// Copies all that is in one folder to another, links and the like left out; what can't be copied
/// is logged.
pub(super) async fn copy_tree(
    exchange: &Exchange,
    from: &Path,
    to: &Path,
) -> Result<Failures, Status> {
    let mut walk = Walk::new(exchange, from)?;
    while let Some(found) = walk.next().await {
        let (path, copied) = match &found {
            Found::File(path) => match moved(path, from, to) {
                Some(copy) => (path, copy_file(exchange, path, &copy).await),
                None => (path, Err(Status::INTERNAL_SERVER_ERROR)),
            },
            Found::Folder(path) => (path, copy_folder(exchange, path, from, to)),
            Found::FolderEnd(path) => (path, copy_time(exchange, path, from, to)),
            Found::Special(_) => continue,
        };
        if let Err(status) = copied {
            walk.failures.add(path, status);
        }
    }
    Ok(walk.failures)
}

/// Where the copy of something in `from` is.
fn moved(path: &Path, from: &Path, to: &Path) -> Option<PathBuf> {
    Some(to.join(path.strip_prefix(from).ok()?))
}

fn copy_folder(exchange: &Exchange, path: &Path, from: &Path, to: &Path) -> Result<(), Status> {
    let (Some(copy), Ok(known)) = (moved(path, from, to), fs::metadata(path)) else {
        return Err(Status::INTERNAL_SERVER_ERROR);
    };
    mkdir(&copy, folder_access(known.mode() & PERMISSIONS))
        .map_err(|error| fail(exchange, "mkdir()", &copy, &error, Status::NOT_FOUND))?;
    carry_properties(exchange, path, &copy);
    Ok(())
}

/// A folder's time is copied last, since it changes as files come into it.
fn copy_time(exchange: &Exchange, path: &Path, from: &Path, to: &Path) -> Result<(), Status> {
    let (Some(copy), Ok(known)) = (moved(path, from, to), fs::metadata(path)) else {
        return Err(Status::INTERNAL_SERVER_ERROR);
    };
    let set = File::open(&copy).and_then(|folder| set_time(&folder, time_of(known.mtime())));
    if let Err(error) = &set {
        log_failure(exchange, Level::Alert, "utimes()", &copy, error);
    }
    // The content is there, which is what matters.
    Ok(())
}
