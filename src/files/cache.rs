//! The cache of open files (`open_file_cache` and its kin).

use std::cell::{OnceCell, RefCell};
use std::ffi::CString;
use std::rc::Rc;
use std::time::Duration;

use super::lru::Lru;
use super::missing::Missing;
use super::{FileError, OpenFile, SymlinkMode, Symlinks, Want};
use crate::event::{self, Instant};
use crate::sys::process::{self, Resource};
use crate::sys::{errno, fs};

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
    /// For so long an entry is believed; zero: `stat` is asked on every occasion.
    pub valid: Duration,
    /// An entry keeps its descriptor only if it was used that often within `inactive`.
    pub min_uses: u32,
    /// Whether errors are remembered, too.
    pub errors: bool,
    /// Whether the configuration wants it; if not, most descriptors are left to others.
    pub asked_for: bool,
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
            asked_for: false,
        }
    }
}

/// What a look-up comes to.
type Found = Result<Rc<OpenFile>, FileError>;

struct Entry {
    found: Found,
    /// Its path as the system is asked for it.
    path: CString,
    mode: SymlinkMode,
    /// When it was last found true.
    checked: Instant,
    /// On which occasion that was.
    occasion: u64,
    /// When it was last used.
    used: Instant,
    uses: u32,
}

/// Open files by path.
pub struct FileCache {
    settings: CacheSettings,
    entries: RefCell<Lru<Entry>>,
    missing: RefCell<Missing>,
    /// The limit of entries that comes from that of descriptors, once it is known.
    most: OnceCell<usize>,
}

impl FileCache {
    /// An empty cache.
    pub fn new(settings: CacheSettings) -> FileCache {
        FileCache {
            settings,
            entries: RefCell::new(Lru::new()),
            missing: RefCell::default(),
            most: OnceCell::new(),
        }
    }

    /// What is at `path`.
    ///
    /// # Errors
    /// What the system said, perhaps a while ago (`open_file_cache_errors`).
    pub fn look_up(&self, path: &[u8], want: Want, symlinks: Symlinks) -> Found {
        let now = event::now();
        let mut entries = self.entries.borrow_mut();
        self.expire(&mut entries, now);
        let known = entries.get_mut(path);
        if let Some(found) = known.and_then(|entry| self.recall(entry, now, want, symlinks)) {
            return found;
        }
        let mut missing = self.missing.borrow_mut();
        if let Some(error) = missing.recall(path, want, symlinks) {
            return Err(error.clone());
        }
        let found = open_anew(&mut entries, path, want, symlinks);
        match &found {
            Err(error) if error.is_not_found() => missing.note(path, want, symlinks, error),
            _ => {}
        }
        self.keep(&mut entries, path, &found, symlinks.mode, now);
        found
    }

    /// What the entry says, if that is still true and answers the question.
    fn recall(
        &self,
        entry: &mut Entry,
        now: Instant,
        want: Want,
        symlinks: Symlinks,
    ) -> Option<Found> {
        entry.uses = entry.uses.saturating_add(1);
        entry.used = now;
        if !self.is_fresh(entry, now) || !serves(entry, want, symlinks) {
            if !is_unchanged(entry, want, symlinks) {
                return None;
            }
            entry.checked = now;
            entry.occasion = event::occasion();
        }
        let found = entry.found.clone();
        self.close_if_rare(entry);
        Some(found)
    }

    /// Remembers what was just found.
    fn keep(
        &self,
        entries: &mut Lru<Entry>,
        path: &[u8],
        found: &Found,
        mode: SymlinkMode,
        now: Instant,
    ) {
        let entry = |uses| {
            let mut entry = Entry {
                found: found.clone(),
                // Nothing can be found at a path with a NUL in it.
                path: CString::new(path).unwrap_or_default(),
                mode,
                checked: now,
                occasion: event::occasion(),
                used: now,
                uses,
            };
            self.close_if_rare(&mut entry);
            entry
        };
        if let Some(known) = entries.get_mut(path) {
            *known = entry(known.uses);
        } else if found.is_ok() || self.settings.errors {
            self.make_room(entries);
            entries.insert(path, entry(1));
        }
    }

    fn is_fresh(&self, entry: &Entry, now: Instant) -> bool {
        let remembered = self.settings.errors || entry.found.is_ok();
        let is_young = now.since(entry.checked) < self.settings.valid;
        remembered && (is_young || entry.occasion == event::occasion())
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
        let max = self
            .settings
            .max
            .min(*self.most.get_or_init(|| most(&self.settings)));
        while entries.len() >= max.max(1) {
            entries.pop_oldest();
        }
    }
}

/// How many files may be held open: a cache nobody asked for is modest.
fn most(settings: &CacheSettings) -> usize {
    match process::limit(Resource::OpenFiles) {
        Ok((limit, _)) if !settings.asked_for => usize::try_from(limit / 8).unwrap_or(usize::MAX),
        _ => usize::MAX,
    }
}

/// Looks the file up; should descriptors have run out, without those of all others.
fn open_anew(entries: &mut Lru<Entry>, path: &[u8], want: Want, symlinks: Symlinks) -> Found {
    let found = OpenFile::look_up(path, want, symlinks).map(Rc::new);
    let ran_out = |error: &FileError| matches!(error.errno, errno::EMFILE | errno::ENFILE);
    if !found.as_ref().is_err_and(ran_out) || entries.len() == 0 {
        return found;
    }
    while entries.pop_oldest().is_some() {}
    OpenFile::look_up(path, want, symlinks).map(Rc::new)
}

/// Whether an entry can answer a look-up of that kind.
fn serves(entry: &Entry, want: Want, symlinks: Symlinks) -> bool {
    entry.mode == symlinks.mode && entry.found.as_ref().map_or(true, |file| file.serves(want))
}

/// Whether `stat` says the entry is still true.
fn is_unchanged(entry: &Entry, want: Want, symlinks: Symlinks) -> bool {
    let checkable = symlinks.mode == SymlinkMode::Follow && serves(entry, want, symlinks);
    let Ok(file) = &entry.found else { return false };
    checkable && fs::stat(&*entry.path).is_ok_and(|stat| stat == file.stat)
}

/// Whether the content of `file`, read now, may be kept: it is small, and any later change
/// will show in its times.
pub fn is_settled(file: &OpenFile) -> bool {
    let (now, _) = event::unix_time();
    file.stat.size <= MAX_REMEMBERED && now - file.stat.ctime > SETTLED_AFTER
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn a_file_is_looked_at_once_an_occasion() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let write = {
            let path = path.clone();
            move |text: &str| std::fs::write(&path, text).unwrap()
        };
        let sizes = event::block_on(async move {
            let cache = FileCache::new(CacheSettings::default());
            let size = || {
                let path = path.as_os_str().as_bytes();
                let found = cache.look_up(path, Want::Info, Symlinks::default());
                found.unwrap().stat.size
            };
            write("one");
            let first = size();
            write("three");
            let same = size();
            event::new_occasion();
            let next = size();
            write("eleven");
            event::yield_now().await;
            [first, same, next, size()]
        });
        assert_eq!(sizes.unwrap(), [3, 3, 5, 6]);
    }

    #[test]
    fn what_is_missing_is_missing_for_the_occasion() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let found = event::block_on(async move {
            let cache = FileCache::new(CacheSettings::default());
            let is_there = |want| {
                let path = path.as_os_str().as_bytes();
                cache.look_up(path, want, Symlinks::default()).is_ok()
            };
            let first = is_there(Want::Open);
            std::fs::write(&path, "one").unwrap();
            let same = is_there(Want::Open);
            let other = is_there(Want::Info);
            event::new_occasion();
            [first, same, other, is_there(Want::Open)]
        });
        assert_eq!(found.unwrap(), [false, false, true, true]);
    }
}
