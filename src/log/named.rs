//! Access logs whose path holds variables: opened by whoever logs, and with `open_log_file_cache`
//! kept open for the next one.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::complaint::Complaints;
use super::facade;
use super::file::LogFile;
use super::level::Level;
use crate::sys::clock;

/// `open_log_file_cache`. Times are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheOptions {
    /// `max=`: how many files are remembered; the one unused for longest makes room.
    pub max: usize,
    /// `inactive=`: a file unused for so long is closed.
    pub inactive: i64,
    /// `min_uses=`: a file used less often within `inactive` does not stay open.
    pub min_uses: u32,
    /// `valid=`: after so long a file is opened anew, in case it was moved away.
    pub valid: i64,
}

impl CacheOptions {
    /// nginx's defaults, for `open_log_file_cache max=…`.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            inactive: 10,
            min_uses: 1,
            valid: 60,
        }
    }
}

/// Files opened by name while requests are logged.
#[derive(Debug)]
pub struct NamedLogs {
    cache: Option<CacheOptions>,
    files: RefCell<HashMap<PathBuf, Cached>>,
    complaints: Complaints,
}

/// A remembered file. Moments are in seconds since 1970.
#[derive(Debug)]
struct Cached {
    file: LogFile,
    uses: u32,
    last_used: i64,
    /// When the file was opened; `None` while it is not open.
    opened: Option<i64>,
}

impl NamedLogs {
    /// Files are kept open if `cache` says how.
    pub fn new(cache: Option<CacheOptions>) -> Self {
        Self {
            cache,
            files: RefCell::default(),
            complaints: Complaints::default(),
        }
    }

    /// Appends a line to the file at `path`, an absolute path, made if it is missing. What cannot
    /// be written is dropped.
    pub fn append(&self, path: &Path, line: &[u8]) {
        self.append_at(path, line, clock::realtime().0);
    }

    fn append_at(&self, path: &Path, line: &[u8], now: i64) {
        let Some(options) = self.cache else {
            let file = LogFile::new(path.to_owned());
            if self.open(&file) {
                self.write(&file, line, now);
            }
            return;
        };
        let mut files = self.files.borrow_mut();
        if !files.contains_key(path) {
            make_room(&mut files, options, now);
        }
        let cached = files
            .entry(path.to_owned())
            .or_insert_with(|| Cached::new(path));
        if cached.last_used + options.inactive < now {
            cached.uses = 0;
        }
        cached.uses += 1;
        cached.last_used = now;
        if cached
            .opened
            .is_none_or(|opened| opened + options.valid <= now)
        {
            cached.opened = self.open(&cached.file).then_some(now);
        }
        self.write(&cached.file, line, now);
        if cached.uses < options.min_uses {
            cached.file.close();
            cached.opened = None;
        }
    }

    /// Closes all files, since they were rotated.
    pub fn reopen(&self) {
        self.files.borrow_mut().clear();
    }

    fn open(&self, file: &LogFile) -> bool {
        match file.open(None) {
            Ok(()) => true,
            Err(error) => {
                facade::main().log(Level::Crit, None, format_args!("{error}"));
                false
            }
        }
    }

    fn write(&self, file: &LogFile, line: &[u8], now: i64) {
        if let Err(error) = file.append(line, now)
            && self.complaints.allowed(now)
        {
            facade::main().log(Level::Alert, None, format_args!("{error}"));
        }
    }
}

impl Cached {
    fn new(path: &Path) -> Self {
        Self {
            file: LogFile::new(path.to_owned()),
            uses: 0,
            last_used: 0,
            opened: None,
        }
    }
}

/// Forgets what is inactive, and if that is not enough, what was unused for longest.
fn make_room(files: &mut HashMap<PathBuf, Cached>, options: CacheOptions, now: i64) {
    if files.len() < options.max {
        return;
    }
    files.retain(|_, cached| cached.last_used + options.inactive >= now);
    if files.len() >= options.max {
        let oldest = files
            .iter()
            .min_by_key(|(_, cached)| cached.last_used)
            .map(|(path, _)| path.clone());
        oldest.and_then(|path| files.remove(&path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn without_a_cache_the_name_counts_every_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let logs = NamedLogs::new(None);
        logs.append(&path, b"1\n");
        logs.append(&path, b"2\n");
        assert_eq!(fs::read(&path).unwrap(), b"1\n2\n");
        fs::remove_file(&path).unwrap();
        logs.append(&path, b"3\n");
        assert_eq!(fs::read(&path).unwrap(), b"3\n");
        logs.append(&folder.path().join("no/log"), b"lost\n");
    }

    #[test]
    fn a_cached_file_is_kept_while_it_is_valid() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("log"), folder.path().join("moved"));
        let logs = NamedLogs::new(Some(CacheOptions::new(2)));
        logs.append_at(&path, b"1\n", 1000);
        fs::rename(&path, &moved).unwrap();
        logs.append_at(&path, b"2\n", 1059);
        assert_eq!(fs::read(&moved).unwrap(), b"1\n2\n");
        logs.append_at(&path, b"3\n", 1060);
        assert_eq!(fs::read(&path).unwrap(), b"3\n");
        logs.reopen();
        fs::rename(&path, &moved).unwrap();
        logs.append_at(&path, b"4\n", 1061);
        assert_eq!(fs::read(&path).unwrap(), b"4\n");
    }

    #[test]
    fn a_file_used_too_seldom_does_not_stay_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let logs = NamedLogs::new(Some(CacheOptions {
            min_uses: 2,
            ..CacheOptions::new(2)
        }));
        logs.append_at(&path, b"1\n", 1000);
        fs::remove_file(&path).unwrap();
        logs.append_at(&path, b"2\n", 1001);
        assert_eq!(fs::read(&path).unwrap(), b"2\n");
        fs::remove_file(&path).unwrap();
        logs.append_at(&path, b"3\n", 1002);
        assert!(!path.exists());
    }

    #[test]
    fn no_more_files_are_kept_than_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let logs = NamedLogs::new(Some(CacheOptions::new(2)));
        for (second, name) in (1000..).zip(["a", "b", "a", "c"]) {
            logs.append_at(&folder.path().join(name), b"x\n", second);
        }
        let files = logs.files.borrow();
        let mut names: Vec<_> = files.keys().filter_map(|path| path.file_name()).collect();
        names.sort();
        assert_eq!(names, ["a", "c"]);
    }
}
