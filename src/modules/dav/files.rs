//! Single files: where they are, what went wrong with them, copying and moving.

use std::ffi::OsString;
use std::fs::{self, File, FileTimes, Permissions};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::dead;
use crate::event;
use crate::exchange::Exchange;
use crate::http::Status;
use crate::log::errno::Errno;
use crate::log::level::Level;
use crate::sys::fs::{Flags, mkdir, open};
use crate::sys::{errno, random};

/// How much of a file is copied before others get their turn.
const PORTION: u64 = 1 << 20;

/// The permission bits of a mode.
pub(super) const PERMISSIONS: u32 = 0o777;

/// The file the exchange's path stands for.
pub(super) fn mapped(exchange: &Exchange) -> Result<PathBuf, Status> {
    match exchange.map_path() {
        Ok(path) => Ok(path_of(path.into())),
        Err(_) => Err(Status::INTERNAL_SERVER_ERROR),
    }
}

/// Bytes as a path.
pub(super) fn path_of(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes))
}

/// The path of a folder without the slash at its end.
pub(super) fn without_slash(path: &Path) -> &Path {
    let bytes = path.as_os_str().as_bytes();
    match bytes.strip_suffix(b"/") {
        Some(rest) if !rest.is_empty() => Path::new(std::ffi::OsStr::from_bytes(rest)),
        _ => path,
    }
}

/// The name a file is locked by: without repeated slashes and without one at its end.
pub(super) fn canonical(path: &Path) -> Vec<u8> {
    let mut bytes = path.as_os_str().as_bytes().to_vec();
    bytes.dedup_by(|byte, before| *byte == b'/' && *before == b'/');
    if bytes.len() > 1 && bytes.last() == Some(&b'/') {
        bytes.pop();
    }
    bytes
}

/// Logs that `call` failed.
pub(super) fn log_failure(
    exchange: &Exchange,
    level: Level,
    call: &str,
    path: &Path,
    error: &io::Error,
) {
    let path = path.display();
    exchange.log(
        level,
        format_args!("{call} \"{path}\" failed {}", Errno(error)),
    );
}

/// Logs that `call` failed, and gives the status for it; `not_found` if something is missing.
pub(super) fn fail(
    exchange: &Exchange,
    call: &str,
    path: &Path,
    error: &io::Error,
    not_found: Status,
) -> Status {
    let (level, status) = status_of(error, not_found);
    log_failure(exchange, level, call, path, error);
    status
}

/// How bad an error is, and the status for it; `not_found` if something is missing.
fn status_of(error: &io::Error, not_found: Status) -> (Level, Status) {
    match error.raw_os_error() {
        Some(errno::ENOENT | errno::ENOTDIR | errno::ENAMETOOLONG) => (Level::Error, not_found),
        Some(errno::EACCES | errno::EPERM) => (Level::Error, Status::FORBIDDEN),
        Some(errno::EEXIST) => (Level::Error, Status::NOT_ALLOWED),
        Some(errno::ENOSPC | errno::EDQUOT) => (Level::Crit, Status::INSUFFICIENT_STORAGE),
        _ => (Level::Crit, Status::INTERNAL_SERVER_ERROR),
    }
}

/// 409 unless the folder that `path` is to be in exists (RFC 4918).
pub(super) fn require_folder(exchange: &Exchange, path: &Path) -> Result<(), Status> {
    let folder = path.parent().unwrap_or(path);
    match fs::metadata(folder) {
        Ok(known) if known.is_dir() => Ok(()),
        Ok(_) => Err(Status::CONFLICT),
        Err(error) => Err(fail(exchange, "stat()", folder, &error, Status::CONFLICT)),
    }
}

/// How a file is put where it belongs.
#[derive(Default)]
pub(super) struct Placement {
    /// Permissions it gets; `None` leaves those it has.
    pub access: Option<u32>,
    /// Permissions of folders made on the way; `None` makes none.
    pub folders: Option<u32>,
    /// When it was modified, in seconds since 1970; `None` leaves the time it has.
    pub modified: Option<i64>,
}

/// Moves a file, also from one file system to another; `to` is replaced in one go.
///
/// # Errors
/// 500, with the reason in the log.
pub(super) async fn place(
    exchange: &Exchange,
    from: &Path,
    to: &Path,
    how: &Placement,
) -> Result<(), Status> {
    let failed = |call: &str, path: &Path, error: &io::Error| {
        log_failure(exchange, Level::Crit, call, path, error);
        Status::INTERNAL_SERVER_ERROR
    };
    if let Some(access) = how.access {
        let changed = fs::set_permissions(from, Permissions::from_mode(access));
        changed.map_err(|error| failed("chmod()", from, &error))?;
    }
    if let Some(modified) = how.modified {
        let changed = File::open(from).and_then(|file| set_time(&file, time_of(modified)));
        changed.map_err(|error| failed("utimes()", from, &error))?;
    }
    let mut renamed = fs::rename(from, to);
    if let (true, Some(access)) = (is(&renamed, errno::ENOENT), how.folders) {
        make_folders(to, access).map_err(|error| failed("mkdir()", to, &error))?;
        renamed = fs::rename(from, to);
    }
    if is(&renamed, errno::EXDEV) {
        return cross(exchange, from, to).await;
    }
    renamed.map_err(|error| rename_failed(exchange, from, to, &error))
}

fn rename_failed(exchange: &Exchange, from: &Path, to: &Path, error: &io::Error) -> Status {
    let (from, to) = (from.display(), to.display());
    exchange.log(
        Level::Crit,
        format_args!("rename() \"{from}\" to \"{to}\" failed {}", Errno(error)),
    );
    Status::INTERNAL_SERVER_ERROR
}

fn is(result: &io::Result<()>, number: i32) -> bool {
    matches!(result, Err(error) if error.raw_os_error() == Some(number))
}

/// Makes the folders on the way to `path`.
fn make_folders(path: &Path, access: u32) -> io::Result<()> {
    let path = path.as_os_str().as_bytes();
    let mut outcome = Ok(());
    let slashes = (1..path.len()).filter(|at| path[*at] == b'/');
    for end in slashes {
        match mkdir(&path[..end], access) {
            Err(error) if error.raw_os_error() == Some(errno::EEXIST) => outcome = Ok(()),
            // Nothing may be made at the top, but perhaps further down.
            Err(error) if error.raw_os_error() == Some(errno::EACCES) => outcome = Err(error),
            made => made?,
        }
    }
    outcome
}

/// Moves a file to another file system: a copy beside its destination is renamed into place.
async fn cross(exchange: &Exchange, from: &Path, to: &Path) -> Result<(), Status> {
    let failed = Status::INTERNAL_SERVER_ERROR;
    let mut name = to.as_os_str().to_owned();
    let number = u32::from_ne_bytes(random::bytes());
    name.push(format!(".{number:010}"));
    let copy = Scrap(PathBuf::from(name));
    copy_file(exchange, from, &copy.0)
        .await
        .map_err(|_| failed)?;
    fs::rename(&copy.0, to).map_err(|error| rename_failed(exchange, &copy.0, to, &error))?;
    copy.keep();
    fs::remove_file(from).map_err(|error| {
        log_failure(exchange, Level::Crit, "unlink()", from, &error);
        failed
    })
}

/// A file that goes unless it is kept, so that a client who leaves leaves nothing behind.
struct Scrap(PathBuf);

impl Scrap {
    fn keep(mut self) {
        self.0 = PathBuf::new();
    }
}

impl Drop for Scrap {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            let _ = fs::remove_file(&self.0);
        }
    }
}

/// Copies a regular file with its permissions and time; what went wrong is logged.
pub(super) async fn copy_file(exchange: &Exchange, from: &Path, to: &Path) -> Result<(), Status> {
    let failed = |level, call: &str, path: &Path, error: &io::Error| {
        log_failure(exchange, level, call, path, error);
        status_of(error, Status::NOT_FOUND).1
    };
    let source = open(from, Flags::READ).map(file);
    let source = source.map_err(|error| failed(Level::Crit, "open()", from, &error))?;
    let known = source
        .metadata()
        .map_err(|error| failed(Level::Alert, "fstat()", from, &error))?;
    if !known.is_file() {
        let error = io::Error::other("not a regular file");
        return Err(failed(Level::Crit, "open()", from, &error));
    }
    let target = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(known.mode() & PERMISSIONS)
        .open(to)
        .map_err(|error| failed(Level::Crit, "open()", to, &error))?;
    while io::copy(&mut (&source).take(PORTION), &mut &target)
        .map_err(|error| failed(Level::Alert, "write()", to, &error))?
        > 0
    {
        event::yield_now().await;
    }
    carry_properties(exchange, from, to);
    set_time(&target, time_of(known.mtime()))
        .map_err(|error| failed(Level::Alert, "utimes()", to, &error))
}

/// Gives a copy or a successor of a file its dead properties; failing is logged but no harm.
pub(super) fn carry_properties(exchange: &Exchange, from: &Path, to: &Path) {
    if let Err(error) = dead::carry(from, to) {
        log_failure(exchange, Level::Error, "setxattr()", to, &error);
    }
}

fn file(descriptor: OwnedFd) -> File {
    File::from(descriptor)
}

/// Sets when a file or an open folder was read and modified.
pub(super) fn set_time(file: &File, time: SystemTime) -> io::Result<()> {
    file.set_times(FileTimes::new().set_accessed(time).set_modified(time))
}

/// Seconds since 1970 as the standard library's time.
pub(super) fn time_of(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    match seconds >= 0 {
        true => SystemTime::UNIX_EPOCH + distance,
        false => SystemTime::UNIX_EPOCH - distance,
    }
}
