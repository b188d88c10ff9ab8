//! How much a store has room for: its quota, and what is free in the file system.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use super::failure::Failure;
use super::store::{Store, depth, files_in};
use crate::event::{Work, offload};
use crate::http::Status;
use crate::sys::fs as system;

/// After how many bytes the room that is left is looked at anew.
const RECKON: u64 = 16 << 20;

impl Store {
    /// Fails if the store holds more than its quota, what is hidden included.
    pub async fn check_quota(&self) -> Result<(), Failure> {
        match self.settings.quota {
            quota if quota > 0 && self.used().await? > quota => Err(self.over_quota()),
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

    /// The bytes that all files of the store hold. There may be many, so a thread counts them.
    async fn used(&self) -> Result<u64, Failure> {
        let stored = (self.folder.clone(), depth(self.settings.store_levels));
        let hidden = (self.hidden.clone(), depth(self.settings.state_levels));
        let counting = offload(Work::Files, move || {
            let folders = [stored, hidden];
            let files = folders
                .iter()
                .flat_map(|(folder, depth)| files_in(folder, *depth));
            files.map(|(_, metadata)| metadata.len()).sum()
        });
        let failed = |error| Failure::of_file("counting the files of", &self.folder, &error);
        counting.await.map_err(failed)
    }

    /// The bytes that may still come: an account for one upload.
    pub async fn room(&self) -> Result<Room<'_>, Failure> {
        let mut room = Room {
            store: self,
            left: 0,
            reckon: 0,
        };
        room.reckon(0).await?;
        Ok(room)
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
    /// Sees to it that so many bytes can be taken.
    ///
    /// # Errors
    /// 507 if there is no room for them.
    pub async fn prepare(&mut self, bytes: u64) -> Result<(), Failure> {
        match bytes >= self.reckon {
            true => self.reckon(bytes).await,
            false => Ok(()),
        }
    }

    /// Takes room for bytes about to be written.
    pub fn take(&mut self, bytes: u64) {
        self.reckon = self.reckon.saturating_sub(bytes);
        self.left = self.left.saturating_sub(bytes);
    }

    /// Looks how much is left, others' writing included.
    async fn reckon(&mut self, needed: u64) -> Result<(), Failure> {
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
            let used = self.store.used().await?;
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
    let space = File::open(folder).and_then(|folder| system::space(folder.as_fd()));
    let space = space.map(|space| space.free);
    space.map_err(|error| Failure::of_file("asking for the free space of", folder, &error))
}
