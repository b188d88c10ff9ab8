//! An unfinished upload on disk: what has come of it, and what it is to become.
//!
//! The content is a hidden file whose length is the offset, so there is nothing that could be out
//! of step with it; a small description lies beside it. Both survive the worker and the server.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::digest::{Check, Sha};
use super::failure::Failure;
use super::receive::{Pace, pull, too_large};
use super::resumable::inconsistent;
use super::store::{self, CLIENT_LEFT, STATE, STOP, Store};
use crate::event;
use crate::exchange::Exchange;
use crate::http::{Headers, Status};

/// How often whoever has an upload in hand is asked to stop, and how long that may take.
const TRIES: u32 = 60;
const PAUSE: Duration = Duration::from_millis(50);

/// After how many bytes a client that understands it is told how far its upload is.
const REPORT: u64 = 8 << 20;

/// The largest number that fields of HTTP hold (RFC 9651 section 3.3.1).
const MAX_LENGTH: u64 = 999_999_999_999_999;

/// What is known of an upload besides its content.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// What the file shall be called.
    pub name: Option<String>,
    /// Its whole length, once the client has told.
    pub length: Option<u64>,
    /// Of what media type the content is, if it is a form.
    pub form: Option<String>,
    /// What the SHA-256 of the whole must be.
    pub sha256: Option<Vec<u8>>,
    /// Whether the client would hear the SHA-256 of the whole.
    #[serde(default)]
    pub wants_digest: bool,
    /// tus's `Upload-Metadata`, which is given back as it came.
    pub metadata: Option<String>,
    /// Once the upload is stored: how the client was told.
    pub answer: Option<Answer>,
}

/// How the client was told that its upload is stored.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// `Location`.
    pub location: String,
    /// The JSON list.
    pub body: String,
    /// The length of the content.
    pub size: u64,
    /// `Repr-Digest`.
    pub digest: Option<String>,
}

/// An unfinished upload that nobody else has in hand.
pub struct Partial<'a> {
    /// Its number, a part of its URL.
    pub id: String,
    /// What is known of it.
    pub state: State,
    /// How much of it has come.
    pub offset: u64,
    store: &'a Store,
    /// The content; none once it is stored.
    file: Option<File>,
    /// The digest of the content, if all of it came in this request.
    digest: Option<Sha>,
    /// The status its request ends with if it is dropped now, for `upload_cleanup`.
    fate: u16,
    /// Where content begins that may prove wrong.
    unverified: Option<u64>,
}

impl<'a> Partial<'a> {
    /// A new one.
    pub fn create(store: &'a Store, state: State) -> Result<Partial<'a>, Failure> {
        let id = store::new_id();
        let path = store.hidden(&id, "");
        let file = store::create_locked(&path);
        let file = file.map_err(|error| Failure::of_file("creating", &path, &error))?;
        let partial = Partial {
            id,
            state,
            offset: 0,
            store,
            file: Some(file),
            digest: Some(Sha::default()),
            fate: 0,
            unverified: None,
        };
        partial.save()?;
        Ok(partial)
    }

    /// The one with that number. Whoever has it in hand is asked to stop: it is the same client,
    /// who has given that request up.
    pub async fn open(store: &'a Store, id: &str) -> Result<Partial<'a>, Failure> {
        let path = store.hidden(id, "");
        let busy = || Failure::of_client(Status::LOCKED, "another request goes on with the upload");
        for _ in 0..TRIES {
            let file = match File::options().read(true).append(true).open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Partial::finished(store, id);
                }
                Err(error) => return Err(Failure::of_file("opening", &path, &error)),
            };
            if file.try_lock().is_err() {
                let _ = File::create(store.hidden(id, STOP));
                event::sleep(PAUSE).await;
                continue;
            }
            // While this waited for the lock, the file may have got its name.
            let opened = file.metadata().map(|metadata| metadata.ino()).ok();
            let named = fs::metadata(&path).ok();
            let Some(named) = named.filter(|named| Some(named.ino()) == opened) else {
                continue;
            };
            let _ = fs::remove_file(store.hidden(id, STOP));
            return Ok(Partial {
                id: id.to_owned(),
                state: load(store, id)?,
                offset: named.len(),
                store,
                file: Some(file),
                digest: (named.len() == 0).then(Sha::default),
                fate: 0,
                unverified: None,
            });
        }
        Err(busy())
    }

    /// One that is stored, for clients who ask once more.
    fn finished(store: &'a Store, id: &str) -> Result<Partial<'a>, Failure> {
        let state = load(store, id)?;
        let answer = state.answer.as_ref().ok_or_else(unknown)?;
        Ok(Partial {
            id: id.to_owned(),
            offset: answer.size,
            state,
            store,
            file: None,
            digest: None,
            fate: 0,
            unverified: None,
        })
    }

    /// Whether it is stored.
    pub fn is_finished(&self) -> bool {
        self.file.is_none()
    }

    /// When it will be removed, in seconds from now and since 1970.
    pub fn expires(&self) -> (u64, i64) {
        let age = fs::metadata(self.store.hidden(&self.id, ""))
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|time| SystemTime::now().duration_since(time).ok());
        let left = self
            .store
            .settings
            .expires
            .saturating_sub(age.unwrap_or_default());
        let (now, _) = event::unix_time();
        (left.as_secs(), now.saturating_add_unsigned(left.as_secs()))
    }

    /// Notes how long the whole is.
    ///
    /// # Errors
    /// The client said something else before, or more has come already; or it is too long.
    pub fn set_length(&mut self, length: u64) -> Result<(), Failure> {
        let limit = self.store.settings.max_file_size;
        if length > MAX_LENGTH || limit > 0 && length > limit {
            return Err(too_large(limit));
        }
        if self.state.length.is_some_and(|known| known != length) || length < self.offset {
            return Err(inconsistent(
                "client sent inconsistent lengths of an upload",
            ));
        }
        if self.state.length.is_none() {
            self.state.length = Some(length);
            self.save()?;
        }
        Ok(())
    }

    /// Appends the request's body. What has come before the client left stays, unless `check`
    /// could not be made. `reports` is the interop version of a client that hears how far it is.
    pub async fn append(
        &mut self,
        exchange: &mut Exchange,
        check: Option<Check>,
        reports: Option<u64>,
    ) -> Result<(), Failure> {
        self.fate = CLIENT_LEFT;
        self.unverified = check.is_some().then_some(self.offset);
        let digest = self.digest.clone();
        let outcome = self.receive(exchange, check, reports).await;
        self.fate = outcome.as_ref().map_or_else(|f| f.status.as_u16(), |()| 0);
        match outcome {
            Ok(()) => self.unverified = None,
            Err(_) if self.unverified.is_some() => {
                self.drop_unverified();
                self.digest = digest;
            }
            Err(_) => {}
        }
        outcome
    }

    async fn receive(
        &mut self,
        exchange: &mut Exchange,
        mut check: Option<Check>,
        reports: Option<u64>,
    ) -> Result<(), Failure> {
        let stop = self.store.hidden(&self.id, STOP);
        let proceed = || match stop.exists() {
            // The connection is nobody's any more.
            true => Err(Failure::silent(Status::CLOSE)),
            false => Ok(()),
        };
        let mut room = self.store.room().await?;
        let mut pace = Pace::new(self.store.settings.limit_rate);
        let mut buffer = Vec::new();
        let mut reported = self.offset;
        while pull(exchange, &mut buffer, proceed).await? > 0 {
            self.check_end(self.offset + buffer.len() as u64)?;
            room.prepare(buffer.len() as u64).await?;
            room.take(buffer.len() as u64);
            self.write(&buffer)?;
            if let Some(check) = &mut check {
                check.update(&buffer);
            }
            if let Some(version) = reports
                && self.offset - reported >= REPORT
            {
                reported = self.offset;
                let mut headers = Headers::new();
                headers.append("Upload-Draft-Interop-Version", version.to_string());
                headers.append("Upload-Offset", self.offset.to_string());
                exchange
                    .body
                    .inform(Status::UPLOAD_RESUMPTION_SUPPORTED, &headers);
            }
            pace.keep(buffer.len()).await;
        }
        match check.is_none_or(Check::holds) {
            true => self.sync().await,
            false => {
                let message = "the content of an upload is not what its checksum says";
                Err(Failure::of_client(Status::CHECKSUM_MISMATCH, message))
            }
        }
    }

    /// Gives an upload up that becomes longer than it may.
    fn check_end(&mut self, end: u64) -> Result<(), Failure> {
        let limit = self.store.settings.max_file_size;
        if self.state.length.is_some_and(|length| end > length) {
            self.remove();
            return Err(inconsistent(
                "client sent more of an upload than its length",
            ));
        }
        if limit > 0 && end > limit {
            self.remove();
            return Err(too_large(limit));
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let Some(file) = &mut self.file else {
            return Err(unknown());
        };
        if let Err(error) = file.write_all(bytes) {
            // Part of it may have been written: the offset is the file's length.
            self.offset = file
                .metadata()
                .map_or(self.offset, |metadata| metadata.len());
            let path = self.store.hidden(&self.id, "");
            return Err(Failure::of_file("writing to", &path, &error));
        }
        self.offset += bytes.len() as u64;
        if let Some(digest) = &mut self.digest {
            digest.update(bytes);
        }
        Ok(())
    }

    /// Has what came on disk before the client hears that it need not send it again.
    async fn sync(&self) -> Result<(), Failure> {
        match &self.file {
            Some(file) if self.store.settings.fsync => {
                store::sync(file, &self.store.hidden(&self.id, "")).await
            }
            _ => Ok(()),
        }
    }

    fn drop_unverified(&mut self) {
        if let (Some(file), Some(offset)) = (&self.file, self.unverified.take()) {
            let _ = file.set_len(offset);
            self.offset = offset;
        }
    }

    /// Hands the content out: the file, where it is, and its digest if that is known.
    pub fn take_content(&mut self) -> Result<(File, PathBuf, Option<Sha>), Failure> {
        let file = self.file.take().ok_or_else(unknown)?;
        Ok((file, self.store.hidden(&self.id, ""), self.digest.take()))
    }

    /// Notes that it is stored, and how the client is told.
    pub fn finish(&mut self, answer: Answer) -> Result<(), Failure> {
        self.state.answer = Some(answer);
        self.save()
    }

    /// Forgets it.
    pub fn remove(&mut self) {
        self.file = None;
        for extension in ["", STATE, STOP] {
            let _ = fs::remove_file(self.store.hidden(&self.id, extension));
        }
    }

    /// Writes the description, at once and whole.
    fn save(&self) -> Result<(), Failure> {
        let path = self.store.hidden(&self.id, STATE);
        let new = self.store.hidden(&self.id, "new");
        let text = toml::to_string(&self.state)
            .map_err(|error| Failure::of_file("describing", &path, &io::Error::other(error)))?;
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = options
            .open(&new)
            .and_then(|mut file| file.write_all(text.as_bytes()));
        let saved = written.and_then(|()| fs::rename(&new, &path));
        saved.map_err(|error| Failure::of_file("writing", &path, &error))
    }
}

impl Drop for Partial<'_> {
    fn drop(&mut self) {
        self.drop_unverified();
        if self.file.is_some() && self.store.settings.cleans_up(self.fate) {
            self.remove();
        }
    }
}

fn load(store: &Store, id: &str) -> Result<State, Failure> {
    let text = fs::read_to_string(store.hidden(id, STATE)).map_err(|_| unknown())?;
    toml::from_str(&text).map_err(|_| unknown())
}

fn unknown() -> Failure {
    Failure::of_client(Status::NOT_FOUND, "there is no such upload to resume")
}
