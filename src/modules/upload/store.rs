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
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::digest::Sha;
use super::failure::Failure;
use super::names::{generated, hex, numbered};
use super::receive::{Content, Naming, Part};
use super::rows::{Exists, Settings};
use crate::event::{Instant, Work, now, offload};
use crate::exchange::{Exchange, subfolders};
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

/// The client left: what a request ends with that never came to its answer.
pub const CLIENT_LEFT: u16 = 499;

/// What asks whoever writes an unfinished upload to stop.
pub const STOP: &str = "stop";

/// How often leftovers are looked for.
const SWEEP: Duration = Duration::from_secs(60);

/// How many numbers are tried for a name that is taken (`upload_exists number`).
const NUMBERS: u32 = 10_000;

/// Whether a path leads into a hidden folder, where nobody may look.
pub fn is_hidden(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/')
        .any(|component| component == HIDDEN.as_bytes())
}

/// The store of one location, as it is for one request.
pub struct Store {
    /// How files are stored.
    pub settings: Rc<Settings>,
    /// Where they go.
    pub folder: PathBuf,
    /// Where they are until they are whole.
    pub hidden: PathBuf,
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
        let mut path = self.hidden.clone();
        path.push(subfolders(self.settings.state_levels, id.as_bytes()));
        path.push(id);
        path.set_extension(extension);
        path
    }

    /// The subfolders that a file of that name belongs in; they are digits only.
    pub fn subfolders(&self, name: &str) -> PathBuf {
        let levels = self.settings.store_levels;
        if levels[0] == 0 {
            return PathBuf::new();
        }
        if self.settings.handover.to.is_some() {
            return subfolders(levels, name.as_bytes());
        }
        let mut digest = Sha::default();
        digest.update(name.as_bytes());
        subfolders(levels, hex(&digest.finish()).as_bytes())
    }

    /// Where the file of that name is.
    pub fn place(&self, name: &str) -> PathBuf {
        let mut path = self.folder.join(self.subfolders(name));
        path.push(name);
        path
    }

    /// Whether a file of that name is there.
    pub fn has(&self, name: &str) -> bool {
        fs::symlink_metadata(self.place(name)).is_ok()
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
    pub async fn commit(&self, parts: Vec<Part>, naming: &Naming) -> Result<Vec<Stored>, Failure> {
        let mut stored = Vec::with_capacity(parts.len());
        self.check_quota().await?;
        self.sync_files(&parts).await?;
        for part in parts {
            let kind = match part.content {
                Content::File { name, file, .. } => {
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
        self.sync_names(&stored).await?;
        Ok(stored)
    }

    /// Has whole files on disk before they get their names (`upload_fsync`).
    pub async fn sync_files(&self, parts: &[Part]) -> Result<(), Failure> {
        for part in parts.iter().filter(|_| self.settings.fsync) {
            if let Content::File { file, .. } = &part.content {
                sync(&file.file, &file.path).await?;
            }
        }
        Ok(())
    }

    /// Has the names on disk before the client hears of them.
    async fn sync_names(&self, stored: &[Stored]) -> Result<(), Failure> {
        for entry in stored.iter().filter(|_| self.settings.fsync) {
            if let Kind::File { name, .. } = &entry.kind {
                let folder = self.folder.join(self.subfolders(name));
                let opened = File::open(&folder);
                let opened = opened.map_err(|e| Failure::of_file("opening", &folder, &e))?;
                sync(&opened, &folder).await?;
            }
        }
        Ok(())
    }

    /// Gives one file its name, or another one if the name is taken and that is allowed.
    pub fn name(&self, mut file: Temporary, wanted: String) -> Result<Kind, Failure> {
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
            let to = self.place(&name);
            let mut renamed = system::rename_new(from, &to);
            if is_missing(&renamed) {
                make_folder(to.parent().unwrap_or(&to), 0o755)?;
                renamed = system::rename_new(from, &to);
            }
            match renamed {
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
        let keeps_names = self.settings.handover.to.is_none();
        if keeps_names && self.settings.exists == Exists::Refuse && self.has(name) {
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
                let _ = fs::remove_file(self.place(name));
            }
        }
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
        for (path, metadata) in files_in(&self.hidden, depth(self.settings.state_levels)) {
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

/// Has a file or folder on disk; others get their turn meanwhile.
pub async fn sync(file: &File, path: &Path) -> Result<(), Failure> {
    let synced = match file.try_clone() {
        Ok(file) => offload(Work::Files, move || file.sync_all())
            .await
            .flatten(),
        Err(error) => Err(error),
    };
    synced.map_err(|error| Failure::of_file("writing to disk", path, &error))
}

/// How many levels there are.
pub fn depth(levels: [u8; 3]) -> usize {
    levels.iter().filter(|level| **level > 0).count()
}

/// The regular files in a folder and in so many levels of subfolders; none where it can't be read.
pub fn files_in(folder: &Path, depth: usize) -> Vec<(PathBuf, Metadata)> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if metadata.is_file() {
            files.push((entry.path(), metadata));
        } else if depth > 0 && metadata.is_dir() && entry.file_name() != HIDDEN {
            files.extend(files_in(&entry.path(), depth - 1));
        }
    }
    files
}

fn is_missing<T>(outcome: &io::Result<T>) -> bool {
    matches!(outcome, Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// A new file with a lock on it. Between the two somebody may take it for a leftover.
pub fn create_locked(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create_new(true).mode(0o600);
    loop {
        let mut opened = options.open(path);
        if let (true, Some(folder)) = (is_missing(&opened), path.parent()) {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
            opened = options.open(path);
        }
        let file = opened?;
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
