//! The folder that files are stored in, and the hidden one beside them for what is not whole.
//!
//! Whoever writes a hidden file holds a lock on it, which the kernel releases when a process dies,
//! however it dies. So a hidden file that can be locked is either an upload to be resumed or a
//! leftover, and leftovers are removed in passing.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Metadata};
use std::io;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::digest::Sha;
use super::failure::Failure;
use super::names::{generated, hex, numbered};
use super::receive::{Content, Naming, Part};
use super::rows::{Exists, Settings};
use crate::event::{Instant, now};
use crate::exchange::Exchange;
use crate::http::Status;
use crate::log::level::Level;
use crate::sys::{fs as system, random};

/// The name of the hidden folder below a store.
const HIDDEN: &str = ".uploads";

/// The characters of the number of an unfinished upload.
pub const ID_LENGTH: usize = 32;

/// What a file is called that dies with its request.
const TEMPORARY: &str = "part";

/// What the description of an unfinished upload is called.
pub const STATE: &str = "toml";

/// What asks whoever writes an unfinished upload to stop.
pub const STOP: &str = "stop";

/// How often leftovers are looked for.
const SWEEP: Duration = Duration::from_secs(60);

/// How many numbers are tried for a name that is taken (`upload_exists number`).
const NUMBERS: u32 = 10_000;

/// After how many bytes the room that is left is looked at anew.
const RECKON: u64 = 16 << 20;

/// Whether a path leads into a hidden folder, where nobody may look.
pub fn is_hidden(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/')
        .any(|component| component == HIDDEN.as_bytes())
}

/// The store of one location, as it is for one request.
pub struct Store {
    /// How files are stored.
    pub settings: Rc<Settings>,
    folder: PathBuf,
    hidden: PathBuf,
}

/// A file that has its final name.
pub struct Stored {
    /// The field it came in, if it came in a form.
    pub field: Option<Vec<u8>>,
    /// What came of that field.
    pub kind: Kind,
}

/// What came of a part.
pub enum Kind {
    /// A file.
    File {
        /// Its name in the store.
        name: String,
        /// Its length in bytes.
        size: u64,
        /// The SHA-256 of its content.
        digest: [u8; 32],
        /// Whether the name was not there before.
        new: bool,
    },
    /// A field that is no file.
    Value(Vec<u8>),
    /// A file that was left out, being larger than `upload_max_file_size`.
    TooLarge(String),
}

impl Store {
    /// The store for this request; its folders are made if they are missing.
    pub fn open(exchange: &Exchange, settings: &Rc<Settings>) -> Result<Store, Failure> {
        let template = settings.store.as_ref();
        let path = template.map(|template| template.expand(exchange).into_owned());
        let path = path.unwrap_or_default();
        let folder = PathBuf::from(OsStr::from_bytes(&path));
        let climbs = path.split(|byte| *byte == b'/').any(|name| name == b"..");
        if climbs || !folder.is_absolute() || path.contains(&0) {
            let message = format!("\"{}\" is no folder to store in", folder.display());
            return Err(Failure::of_client(Status::FORBIDDEN, message));
        }
        let hidden = settings.state_store.clone();
        let store = Store {
            settings: Rc::clone(settings),
            hidden: hidden.unwrap_or_else(|| folder.join(HIDDEN)),
            folder,
        };
        make_folder(&store.folder, 0o755)?;
        make_folder(&store.hidden, 0o700)?;
        store.sweep(exchange);
        Ok(store)
    }

    /// Where the description, the content … of an unfinished upload is.
    pub fn hidden(&self, id: &str, extension: &str) -> PathBuf {
        let mut path = self.hidden.join(id);
        path.set_extension(extension);
        path
    }

    /// Whether a file of that name is there.
    pub fn has(&self, name: &str) -> bool {
        fs::symlink_metadata(self.folder.join(name)).is_ok()
    }

    /// A new hidden file that vanishes unless it is committed.
    pub fn create(&self) -> Result<Temporary, Failure> {
        let path = self.hidden(&new_id(), TEMPORARY);
        let file = create_locked(&path).map_err(|e| Failure::of_file("creating", &path, &e))?;
        Ok(Temporary {
            file,
            path,
            length: 0,
            digest: Sha::default(),
            kept: false,
        })
    }

    /// Gives whole files their names. Either all of them are stored or none is.
    pub fn commit(&self, parts: Vec<Part>, naming: &Naming) -> Result<Vec<Stored>, Failure> {
        let mut stored = Vec::with_capacity(parts.len());
        self.check_quota()?;
        for part in parts {
            let kind = match part.content {
                Content::File { name, file } => {
                    let name = name.or_else(|| naming.name.clone());
                    match self.name(file, name.unwrap_or_else(generated)) {
                        Ok(kind) => kind,
                        Err(failure) => {
                            self.take_back(&stored);
                            return Err(failure);
                        }
                    }
                }
                Content::Value(value) => Kind::Value(value),
                Content::TooLarge(name) => Kind::TooLarge(name),
            };
            stored.push(Stored {
                field: part.field,
                kind,
            });
        }
        Ok(stored)
    }

    /// Gives one file its name, or another one if the name is taken and that is allowed.
    fn name(&self, mut file: Temporary, wanted: String) -> Result<Kind, Failure> {
        let mode = fs::Permissions::from_mode(self.settings.access);
        let permitted = file.file.set_permissions(mode);
        permitted.map_err(|e| Failure::of_file("changing the mode of", &file.path, &e))?;
        let (name, new) = self.rename(&file.path, wanted)?;
        file.kept = true;
        Ok(Kind::File {
            name,
            size: file.length,
            digest: std::mem::take(&mut file.digest).finish(),
            new,
        })
    }

    /// Moves a hidden file to its name; gives that name and whether it is new.
    fn rename(&self, from: &Path, wanted: String) -> Result<(String, bool), Failure> {
        let mut name = wanted.clone();
        for number in 1..NUMBERS {
            let to = self.folder.join(&name);
            match system::rename_new(from, &to) {
                Ok(()) => return Ok((name, true)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Failure::of_file("renaming to", &to, &error)),
            }
            match self.settings.exists {
                Exists::Number => name = numbered(&wanted, number),
                Exists::Replace if !to.is_dir() => {
                    let replaced = fs::rename(from, &to);
                    replaced.map_err(|e| Failure::of_file("renaming to", &to, &e))?;
                    return Ok((name, false));
                }
                Exists::Replace | Exists::Refuse => break,
            }
        }
        Err(taken(&name))
    }

    /// Refuses a name that is taken, before its file is received in vain.
    pub fn check_name(&self, name: &str) -> Result<(), Failure> {
        if self.settings.exists == Exists::Refuse && self.has(name) {
            return Err(taken(name));
        }
        Ok(())
    }

    fn take_back(&self, stored: &[Stored]) {
        for entry in stored {
            if let Kind::File {
                name, new: true, ..
            } = &entry.kind
            {
                let _ = fs::remove_file(self.folder.join(name));
            }
        }
    }

    /// Fails if the store holds more than its quota, what is hidden included.
    fn check_quota(&self) -> Result<(), Failure> {
        match self.settings.quota {
            quota if quota > 0 && self.used() > quota => Err(self.over_quota()),
            _ => Ok(()),
        }
    }

    fn over_quota(&self) -> Failure {
        let message = format!(
            "the files in \"{}\" would exceed {} bytes, the limit of \"upload_quota\"",
            self.folder.display(),
            self.settings.quota
        );
        Failure::of_client(Status::INSUFFICIENT_STORAGE, message)
    }

    /// The bytes that all files of the store hold.
    fn used(&self) -> u64 {
        let folders = [&self.folder, &self.hidden];
        let entries = folders.into_iter().flat_map(entries);
        entries.map(|(_, metadata)| metadata.len()).sum()
    }

    /// The bytes that may still come: an account for one upload.
    pub fn room(&self) -> Result<Room<'_>, Failure> {
        let mut room = Room {
            store: self,
            left: 0,
            reckon: 0,
        };
        room.reckon(0)?;
        Ok(room)
    }

    /// Removes what nobody will come back for, if that was not done a moment ago.
    fn sweep(&self, exchange: &Exchange) {
        thread_local!(static SWEPT: RefCell<HashMap<PathBuf, Instant>> = RefCell::default());
        let due = SWEPT.with_borrow_mut(|swept| {
            let last = swept.insert(self.hidden.clone(), now());
            let due = last.is_none_or(|last| last.elapsed() >= SWEEP);
            if let Some(last) = last.filter(|_| !due) {
                swept.insert(self.hidden.clone(), last);
            }
            // Stores named by variables may be many.
            swept.retain(|_, last| last.elapsed() < SWEEP);
            due
        });
        if !due {
            return;
        }
        for (path, metadata) in entries(&self.hidden) {
            if self.is_leftover(&path, &metadata) {
                let removed = fs::remove_file(&path).is_ok();
                if removed {
                    let path = path.display();
                    exchange.log(Level::Notice, format_args!("removed leftover \"{path}\""));
                }
            }
        }
    }

    fn is_leftover(&self, path: &Path, metadata: &Metadata) -> bool {
        let age = metadata
            .modified()
            .ok()
            .and_then(|time| SystemTime::now().duration_since(time).ok())
            .unwrap_or_default();
        let extension = path.extension().and_then(|extension| extension.to_str());
        match extension {
            Some(TEMPORARY) => is_unlocked(path),
            // The descriptions of finished uploads stay, so that clients may ask once more.
            Some(STATE) => {
                let content = path.with_extension("");
                age > self.settings.expires && !content.exists()
            }
            Some(_) => age > SWEEP,
            None => age > self.settings.expires && is_unlocked(path),
        }
    }
}

fn taken(name: &str) -> Failure {
    Failure::of_client(
        Status::CONFLICT,
        format!("\"{name}\" exists already, see \"upload_exists\""),
    )
}

/// The number of a new unfinished upload, which nobody can guess.
pub fn new_id() -> String {
    hex(&random::bytes::<{ ID_LENGTH / 2 }>())
}

fn make_folder(path: &Path, mode: u32) -> Result<(), Failure> {
    if path.is_dir() {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(mode).create(path);
    made.map_err(|error| Failure::of_file("making the folder", path, &error))
}

/// The regular files in a folder; none if it can't be read.
fn entries(folder: &PathBuf) -> impl Iterator<Item = (PathBuf, Metadata)> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let metadata = entry.metadata().ok()?;
        metadata.is_file().then(|| (entry.path(), metadata))
    })
}

/// A new file with a lock on it. Between the two somebody may take it for a leftover.
pub fn create_locked(path: &Path) -> io::Result<File> {
    loop {
        let mut options = File::options();
        options.read(true).write(true).create_new(true);
        let file = std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600).open(path)?;
        if file.try_lock().is_ok() && file.metadata()?.nlink() > 0 {
            return Ok(file);
        }
    }
}

/// Whether nobody is writing the file.
fn is_unlocked(path: &Path) -> bool {
    let file = File::options().read(true).open(path);
    file.is_ok_and(|file| file.try_lock().is_ok())
}

/// A hidden file being written; it vanishes when dropped.
pub struct Temporary {
    file: File,
    path: PathBuf,
    /// How much was written.
    pub length: u64,
    digest: Sha,
    kept: bool,
}

impl Temporary {
    /// The content of an unfinished upload that is whole now.
    pub fn adopt(file: File, path: PathBuf, length: u64, digest: Sha) -> Temporary {
        Temporary {
            file,
            path,
            length,
            digest,
            kept: false,
        }
    }

    /// Writes to its end.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| Failure::of_file("writing to", &self.path, &error))?;
        self.digest.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// How much one upload may still write, by quota and by what is free.
pub struct Room<'a> {
    store: &'a Store,
    left: u64,
    /// After so many bytes the next look.
    reckon: u64,
}

impl Room<'_> {
    /// Takes room for bytes about to be written.
    ///
    /// # Errors
    /// 507 if there is none.
    pub fn take(&mut self, bytes: u64) -> Result<(), Failure> {
        if bytes >= self.reckon {
            self.reckon(bytes)?;
        }
        self.reckon = self.reckon.saturating_sub(bytes);
        self.left -= bytes;
        Ok(())
    }

    /// Fails if so much can't be had, without taking it.
    pub fn check(&mut self, bytes: u64) -> Result<(), Failure> {
        self.reckon(bytes)
    }

    /// Looks how much is left, others' writing included.
    fn reckon(&mut self, needed: u64) -> Result<(), Failure> {
        let settings = &self.store.settings;
        self.left = u64::MAX;
        if settings.min_free > 0 {
            let free = free_space(&self.store.hidden)?;
            self.left = free.saturating_sub(settings.min_free);
            if self.left < needed || free < settings.min_free {
                let message = format!(
                    "an upload of {needed} bytes or more to \"{}\" would leave less free than \
                     {} bytes, the limit of \"upload_min_free\": there are {free}",
                    self.store.folder.display(),
                    settings.min_free
                );
                return Err(Failure::of_client(Status::INSUFFICIENT_STORAGE, message));
            }
        }
        if settings.quota > 0 {
            let used = self.store.used();
            self.left = self.left.min(settings.quota.saturating_sub(used));
            if self.left < needed || used > settings.quota {
                return Err(self.store.over_quota());
            }
        }
        self.reckon = self.left.min(RECKON);
        Ok(())
    }
}

fn free_space(folder: &Path) -> Result<u64, Failure> {
    let space = File::open(folder).and_then(|folder| system::free_space(folder.as_fd()));
    space.map_err(|error| Failure::of_file("asking for the free space of", folder, &error))
}
