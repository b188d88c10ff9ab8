//! DELETE: a file, or a folder with all that is in it.

use std::fs;
use std::path::Path;

use super::files::{fail, mapped, without_slash};
use super::tree::remove_tree;
use super::undone::Undone;
use super::{Answer, Depth, Settings, complain, has_body};
use crate::exchange::{Exchange, Response};
use crate::http::Status;
use crate::log::errno::Errno;
use crate::sys::errno;

/// Answers DELETE (RFC 4918 section 9.6).
pub(super) async fn delete(settings: &Settings, exchange: &Exchange) -> Answer {
    if has_body(exchange) {
        complain(exchange, format_args!("DELETE with body is unsupported"));
        return Err(Status::UNSUPPORTED_MEDIA_TYPE);
    }
    check_path_depth(settings, exchange)?;
    let path = mapped(exchange)?;
    let found = fs::symlink_metadata(&path).map_err(|error| {
        let missing = match error.raw_os_error() {
            Some(errno::ENOTDIR) => Status::CONFLICT,
            _ => Status::NOT_FOUND,
        };
        fail(exchange, "lstat()", &path, &error, missing)
    })?;
    check_kind(settings, exchange, &path, found.is_dir())?;
    let path = without_slash(&path);
    match remove(exchange, path, &exchange.path, found.is_dir()).await {
        Ok(()) => Ok(Response::page(Status::NO_CONTENT)),
        Err(undone) => undone.answer(settings.rfc4918),
    }
}

/// `min_delete_depth`.
fn check_path_depth(settings: &Settings, exchange: &Exchange) -> Result<(), Status> {
    let wanted = settings.min_delete_depth;
    let path = &exchange.path;
    let slashes = (0..path.len()).filter(|at| path[*at] == b'/');
    let mut depth = 0;
    for at in slashes {
        depth += 1;
        if depth >= wanted && at + 1 < path.len() {
            return Ok(());
        }
    }
    if wanted == 0 {
        return Ok(());
    }
    complain(
        exchange,
        format_args!("insufficient URI depth:{depth} to DELETE"),
    );
    Err(Status::CONFLICT)
}

/// A folder is named with a slash and goes with all that is in it.
fn check_kind(
    settings: &Settings,
    exchange: &Exchange,
    path: &Path,
    is_folder: bool,
) -> Result<(), Status> {
    if is_folder && exchange.path.last() != Some(&b'/') && !settings.rfc4918 {
        let error = std::io::Error::from_raw_os_error(errno::EISDIR);
        let path = path.display();
        complain(
            exchange,
            format_args!("DELETE \"{path}\" failed {}", Errno(&error)),
        );
        return Err(Status::CONFLICT);
    }
    let (default, wanted) = match is_folder {
        true => (Depth::Infinity, "infinity"),
        false => (Depth::Zero, "0 or infinity"),
    };
    match Depth::of(exchange, default) {
        Depth::Infinity => Ok(()),
        Depth::Zero if !is_folder => Ok(()),
        _ => {
            complain(exchange, format_args!("\"Depth\" header must be {wanted}"));
            Err(Status::BAD_REQUEST)
        }
    }
}

/// Removes a file, or a folder and what is in it; `uri` is where clients see it.
pub(super) async fn remove(
    exchange: &Exchange,
    path: &Path,
    uri: &[u8],
    is_folder: bool,
) -> Result<(), Undone> {
    if !is_folder {
        return fs::remove_file(path)
            .map_err(|error| fail(exchange, "unlink()", path, &error, Status::NOT_FOUND).into());
    }
    let failures = remove_tree(exchange, path).await?;
    fs::remove_dir(path).map_err(|error| {
        let status = fail(exchange, "rmdir()", path, &error, Status::NOT_FOUND);
        failures.within(path, uri, status)
    })
}
