//! The cache of open files (`open_file_cache` and its kin).

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::lru::Lru;
use super::{FileError, OpenFile, SymlinkMode, Symlinks, Want};
use crate::event::{self, Instant};
use crate::sys::fs;

/// The longest file whose content is kept in memory, in bytes.
const MAX_REMEMBERED: u64 = 16 * 1024;

/// A file that changed less than this many seconds ago may change again without `stat` showing it.
const SETTLED_AFTER: i64 = 2;

/// `open_file_cache`, `open_file_cache_valid`, `open_file_cache_min_uses`, `open_file_cache_errors`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    /// How many entries.
    pub max: usize,
    /// An entry unused for so long goes.
    pub inactive: Duration,
    /// For so long an entry is believed; zero: every look-up asks `stat`.
    pub valid: Duration,
    /// An entry keeps its descriptor only if it was used that often within `inactive`.
    pub min_uses: u32,
    /// Whether errors are remembered, too.
    pub errors: bool,
}

impl Default for CacheSettings {
    /// What holds without `open_file_cache`: exact, and small.
    fn default() -> CacheSettings {
        CacheSettings {
            max: 256,
            inactive: Duration::from_secs(20),
            valid: Duration::ZERO,
            min_uses: 1,
            errors: false,
        }
    }
}

struct Entry {
    found: Result<Rc<OpenFile>, FileError>,
    mode: SymlinkMode,
    /// When it was last found true.
    checked: Instant,
    /// When it was last used.
    used: Instant,
    uses: u32,
}

/// Open files by path.
pub struct FileCache {
    settings: CacheSettings,
    entries: RefCell<Lru<Entry>>,
}

impl FileCache {
    /// An empty cache.
    pub fn new(settings: CacheSettings) -> FileCache {
        FileCache {
            settings,
            entries: RefCell::new(Lru::new()),
        }
    }

    /// What is at `path`.
    ///
    /// # Errors
    /// What the system said, perhaps a while ago (`open_file_cache_errors`).
    pub fn look_up(
        &self,
        path: &[u8],
        want: Want,
        symlinks: Symlinks,
    ) -> Result<Rc<OpenFile>, FileError> {
        let now = event::now();
        let mut entries = self.entries.borrow_mut();
        self.expire(&mut entries, now);
        let Some(entry) = entries.get_mut(path) else {
            let found = OpenFile::look_up(path, want, symlinks).map(Rc::new);
            if found.is_ok() || self.settings.errors {
                let mut entry = Entry {
                    found: found.clone(),
                    mode: symlinks.mode,
                    checked: now,
                    used: now,
                    uses: 1,
                };
                self.close_if_rare(&mut entry);
                self.make_room(&mut entries);
                entries.insert(path, entry);
            }
            return found;
        };
        entry.uses = entry.uses.saturating_add(1);
        entry.used = now;
        if !self.is_fresh(entry, now) || !serves(entry, want, symlinks) {
            if !is_unchanged(entry, path, want, symlinks) {
                entry.found = OpenFile::look_up(path, want, symlinks).map(Rc::new);
                entry.mode = symlinks.mode;
            }
            entry.checked = now;
        }
        let found = entry.found.clone();
        self.close_if_rare(entry);
        found
    }

    fn is_fresh(&self, entry: &Entry, now: Instant) -> bool {
        now.since(entry.checked) < self.settings.valid
    }

    /// A file not used `min_uses` times yet is not kept open.
    fn close_if_rare(&self, entry: &mut Entry) {
        if let Ok(file) = &entry.found
            && entry.uses < self.settings.min_uses
            && file.fd().is_some()
        {
            entry.found = Ok(Rc::new(file.closed()));
        }
    }

    fn expire(&self, entries: &mut Lru<Entry>, now: Instant) {
        let is_old = |entry: &Entry| now.since(entry.used) > self.settings.inactive;
        while entries.oldest().is_some_and(is_old) {
            entries.pop_oldest();
        }
    }

    fn make_room(&self, entries: &mut Lru<Entry>) {
        while entries.len() >= self.settings.max.max(1) {
            entries.pop_oldest();
        }
    }
}

/// Whether an entry can answer a look-up of that kind.
fn serves(entry: &Entry, want: Want, symlinks: Symlinks) -> bool {
    entry.mode == symlinks.mode && entry.found.as_ref().map_or(true, |file| file.serves(want))
}

/// Whether `stat` says the entry is still true.
fn is_unchanged(entry: &Entry, path: &[u8], want: Want, symlinks: Symlinks) -> bool {
    let checkable = symlinks.mode == SymlinkMode::Follow && serves(entry, want, symlinks);
    let Ok(file) = &entry.found else { return false };
    checkable && fs::stat(path).is_ok_and(|stat| stat == file.stat)
}

/// Whether the content of `file`, read now, may be kept: it is small, and any later change
/// will show in its times.
pub fn is_settled(file: &OpenFile) -> bool {
    let (now, _) = event::unix_time();
    file.stat.size <= MAX_REMEMBERED && now - file.stat.ctime > SETTLED_AFTER
}
