//! COPY and MOVE, of files and of folders with all that is in them.

use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::destination::Destination;
use super::files::{
    PERMISSIONS, Placement, canonical, carry_properties, copy_file, fail, mapped, path_of, place,
    require_folder, without_slash,
};
use super::guard::{self, Change};
use super::remove::remove;
use super::tree::copy_tree;
use super::undone::Undone;
use super::{Answer, Depth, Settings, complain, folder_access, has_body};
use crate::exchange::{Exchange, Response};
use crate::http::{Method, Status};
use crate::log::errno::Errno;
use crate::sys::errno;
use crate::sys::fs::mkdir;

/// One transfer, its headers understood.
struct Transfer<'a> {
    exchange: &'a Exchange,
    from: PathBuf,
    /// Without a slash at its end.
    to: PathBuf,
    /// The destination was named as a folder.
    to_folder: bool,
    destination: Destination,
    /// RFC 4918 counts.
    strict: bool,
    /// Nothing that is in a folder is copied with it.
    shallow: bool,
}

/// Answers COPY and MOVE (RFC 4918 sections 9.8 and 9.9).
pub(super) async fn transfer(settings: &Settings, exchange: &Exchange) -> Answer {
    if has_body(exchange) {
        complain(
            exchange,
            format_args!("COPY and MOVE with body are unsupported"),
        );
        return Err(Status::UNSUPPORTED_MEDIA_TYPE);
    }
    let destination = Destination::of(settings, exchange)?;
    let shallow = check_depth(exchange)? == Depth::Zero;
    let destination = destination.with_overwrite(exchange)?;
    let to = merge_slashes(&destination.mapped(exchange)?);
    let transfer = Transfer {
        exchange,
        from: merge_slashes(&mapped(exchange)?),
        to: without_slash(&to).to_owned(),
        to_folder: to.as_os_str().as_bytes().ends_with(b"/"),
        destination,
        strict: settings.rfc4918,
        shallow: shallow && settings.rfc4918,
    };
    transfer.check_locks(settings)?;
    let outcome = match transfer.strict {
        true => transfer.run_strictly(settings).await,
        false => transfer.run(settings).await,
    };
    match outcome {
        Ok(status) => Ok(Response::page(status)),
        Err(undone) => undone.answer(transfer.strict),
    }
}

/// A copy may be of the folder alone; a move takes everything.
fn check_depth(exchange: &Exchange) -> Result<Depth, Status> {
    let copies = exchange.method == Method::Copy;
    match Depth::of(exchange, Depth::Infinity) {
        Depth::Infinity => return Ok(Depth::Infinity),
        Depth::Zero if copies => return Ok(Depth::Zero),
        _ if copies => complain(
            exchange,
            format_args!("\"Depth\" header must be 0 or infinity"),
        ),
        _ => complain(exchange, format_args!("\"Depth\" header must be infinity")),
    }
    Err(Status::BAD_REQUEST)
}

fn merge_slashes(path: &Path) -> PathBuf {
    let mut bytes = path.as_os_str().as_bytes().to_vec();
    bytes.dedup_by(|byte, before| *byte == b'/' && *before == b'/');
    path_of(bytes)
}

impl Transfer<'_> {
    async fn run(&self, settings: &Settings) -> Result<Status, Undone> {
        self.check_paths()?;
        let replaced = self.replaced()?;
        let from = self.source()?;
        if !from.is_dir() {
            return Ok(self.file(settings).await?);
        }
        if self.exchange.path.last() != Some(&b'/') {
            let uri = String::from_utf8_lossy(&self.exchange.path);
            complain(self.exchange, format_args!("\"{uri}\" is collection"));
            return Err(Status::BAD_REQUEST.into());
        }
        if let Some(replaced) = replaced {
            self.remove_replaced(&replaced).await?;
        }
        self.folder(&from).await
    }

    /// As RFC 4918 has it: slashes do not matter, the destination's folder must exist, and what is
    /// replaced goes first.
    async fn run_strictly(&self, settings: &Settings) -> Result<Status, Undone> {
        self.check_paths()?;
        let from = self.source()?;
        require_folder(self.exchange, &self.to)?;
        let replaced = self.replaced()?;
        if let Some(replaced) = &replaced
            && (replaced.is_dir() || from.is_dir())
        {
            self.remove_replaced(replaced).await?;
        }
        match from.is_dir() {
            true => self.folder(&from).await?,
            false => self.file(settings).await?,
        };
        Ok(match replaced {
            Some(_) => Status::NO_CONTENT,
            None => Status::CREATED,
        })
    }

    async fn remove_replaced(&self, replaced: &Metadata) -> Result<(), Undone> {
        let uri = &self.destination.path;
        remove(self.exchange, &self.to, uri, replaced.is_dir()).await
    }

    fn source(&self) -> Result<Metadata, Status> {
        fs::symlink_metadata(&self.from).map_err(|error| {
            fail(
                self.exchange,
                "lstat()",
                &self.from,
                &error,
                Status::NOT_FOUND,
            )
        })
    }

    /// What is replaced and, by a move, what goes must not be locked by somebody else.
    fn check_locks(&self, settings: &Settings) -> Result<(), Status> {
        let Some(zone) = &settings.locks else {
            return Ok(());
        };
        let from = path_of(canonical(&self.from));
        let change = match fs::symlink_metadata(&self.to) {
            Ok(_) => Change::Replacement,
            Err(_) => Change::Creation,
        };
        let changes = [(&*self.to, change), (&*from, Change::Removal)];
        let count = if self.is_move() { 2 } else { 1 };
        guard::check(self.exchange, zone, &from, &changes[..count])
    }

    /// Nothing can go onto or into itself.
    fn check_paths(&self) -> Result<(), Status> {
        let from = without_slash(&self.from);
        let uri = String::from_utf8_lossy(&self.exchange.path);
        let text = &self.destination.text;
        if from == self.to {
            complain(
                self.exchange,
                format_args!(
                    "both URI \"{uri}\" and \"Destination\" URI \"{text}\" point to the same location"
                ),
            );
            return Err(Status::FORBIDDEN);
        }
        if (self.to_folder || self.strict)
            && (self.to.starts_with(from) || from.starts_with(&self.to))
        {
            self.complain_of_collection();
            return Err(Status::FORBIDDEN);
        }
        Ok(())
    }

    fn complain_of_collection(&self) {
        let uri = String::from_utf8_lossy(&self.exchange.path);
        let (method, text) = (self.exchange.method.as_str(), &self.destination.text);
        complain(
            self.exchange,
            format_args!("\"{uri}\" could not be {method}ed to collection \"{text}\""),
        );
    }

    /// What the transfer will replace, if there is something and it may.
    fn replaced(&self) -> Result<Option<Metadata>, Status> {
        let found = match fs::symlink_metadata(&self.to) {
            Ok(found) => found,
            Err(error) if error.raw_os_error() == Some(errno::ENOENT) => return Ok(None),
            Err(error) => {
                let missing = Status::NOT_FOUND;
                return Err(fail(self.exchange, "lstat()", &self.to, &error, missing));
            }
        };
        if found.is_dir() && !self.to_folder && !self.strict {
            self.complain_of_collection();
            return Err(Status::CONFLICT);
        }
        if !self.destination.overwrite {
            let error = std::io::Error::from_raw_os_error(errno::EEXIST);
            let to = self.to.display();
            complain(
                self.exchange,
                format_args!("\"{to}\" could not be created {}", Errno(&error)),
            );
            return Err(Status::PRECONDITION_FAILED);
        }
        Ok(Some(found))
    }

    fn is_move(&self) -> bool {
        self.exchange.method == Method::Move
    }

    async fn file(&self, settings: &Settings) -> Result<Status, Status> {
        if self.is_move() {
            let how = Placement {
                folders: Some(folder_access(settings.access)),
                ..Placement::default()
            };
            place(self.exchange, &self.from, &self.to, &how).await?;
            return Ok(Status::NO_CONTENT);
        }
        match copy_file(self.exchange, &self.from, &self.to).await {
            Ok(()) => Ok(Status::NO_CONTENT),
            Err(status) if self.strict => Err(status),
            Err(_) => Err(Status::INTERNAL_SERVER_ERROR),
        }
    }

    async fn folder(&self, known: &Metadata) -> Result<Status, Undone> {
        let from = without_slash(&self.from);
        if self.is_move() && fs::rename(from, &self.to).is_ok() {
            return Ok(Status::CREATED);
        }
        mkdir(&self.to, known.mode() & PERMISSIONS).map_err(|error| {
            fail(
                self.exchange,
                "mkdir()",
                &self.to,
                &error,
                Status::NOT_FOUND,
            )
        })?;
        carry_properties(self.exchange, from, &self.to);
        if self.shallow {
            return Ok(Status::CREATED);
        }
        let uri = &self.exchange.path;
        let failures = copy_tree(self.exchange, from, &self.to).await?;
        // What could not be copied must not be lost; nginx copies what it can.
        if !failures.is_empty() && (self.is_move() || self.strict) {
            return Err(failures.within(from, uri, Status::INTERNAL_SERVER_ERROR));
        }
        if self.is_move() {
            remove(self.exchange, from, uri, true).await?;
        }
        Ok(Status::CREATED)
    }
}
