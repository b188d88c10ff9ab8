//! From a URI to a script: which file runs, and what of the path it is told.

use std::borrow::Cow;

use super::settings::{Mode, Settings};
use crate::exchange::{Alias, Exchange, LocationKind, Template};
use crate::files::{FileError, Want};
use crate::http::Status;
use crate::http::pattern::Captures;
use crate::log::level::Level;
use crate::sys::errno;
use crate::sys::fs::Stat;

/// A script and what RFC 3875 calls it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// The file (`SCRIPT_FILENAME`).
    pub file: Vec<u8>,
    /// Further arguments, of `cgi pass`.
    pub arguments: Vec<Vec<u8>>,
    /// The part of the path that leads to it (`SCRIPT_NAME`).
    pub name: Vec<u8>,
    /// What follows (`PATH_INFO`).
    pub path_info: Vec<u8>,
}

/// Finds the script for the exchange.
///
/// # Errors
/// The status to answer with; the log says why.
pub fn find(exchange: &Exchange, settings: &Settings) -> Result<Script, Status> {
    if let Mode::Pass(words) = &settings.mode {
        return Ok(passed(exchange, words));
    }
    if leaves_location(exchange) {
        exchange.log(
            Level::Error,
            format_args!("a script beside its location is not run"),
        );
        return Err(Status::FORBIDDEN);
    }
    let script = match &settings.split_path_info {
        Some(pattern) => {
            let mut captures = Captures::new();
            let split = pattern.captures(&exchange.path, &mut captures);
            let part = |group| captures.text(group, &exchange.path).filter(|_| split);
            let name = part(1).unwrap_or(&exchange.path);
            check(exchange, settings, name, part(2).unwrap_or_default())
        }
        None => walk(exchange, settings),
    }?;
    Ok(script)
}

/// `cgi pass`: the whole path is path info, since no part of it led to the script.
fn passed(exchange: &Exchange, words: &[Template]) -> Script {
    let mut words = words.iter().map(|word| word.expand(exchange));
    Script {
        file: full_path(exchange, words.next().unwrap_or_default()),
        arguments: words.map(Cow::into_owned).collect(),
        name: Vec::new(),
        path_info: exchange.path.clone(),
    }
}

/// A relative path starts at the server's prefix.
pub fn full_path(exchange: &Exchange, path: Cow<'_, [u8]>) -> Vec<u8> {
    match path.first() {
        Some(b'/') => path.into_owned(),
        _ => [&*exchange.location.core.prefix, &*path].concat(),
    }
}

/// Whether the path only begins like the location: `/cgi-bin-old/x` in `location /cgi-bin`.
fn leaves_location(exchange: &Exchange) -> bool {
    let location = &exchange.location;
    let regular = matches!(location.kind, LocationKind::Prefix | LocationKind::Exact);
    let name = &*location.name;
    regular
        && name.last() != Some(&b'/')
        && exchange
            .path
            .strip_prefix(name)
            .is_some_and(|rest| rest.first().is_some_and(|byte| *byte != b'/'))
}

/// Takes segments off the path until what is left is a file.
fn walk(exchange: &Exchange, settings: &Settings) -> Result<Script, Status> {
    let whole = exchange
        .map_path()
        .map_err(|_| Status::INTERNAL_SERVER_ERROR)?;
    let root = exchange.document_root().len();
    let mut length = whole.len();
    let stat = loop {
        let file = &whole[..length];
        match exchange.look_up(file, Want::Info) {
            Ok(found) if found.stat.is_dir() => return index(exchange, settings, file),
            Ok(found) => break found.stat,
            Err(error) if leads_through_a_file(&error) => {
                length = parent(file);
                if length <= root {
                    return Err(Status::NOT_FOUND);
                }
            }
            Err(error) => return Err(failed(exchange, file, &error)),
        }
    };
    let path_info = &whole[length..];
    let Some(name) = exchange.path.strip_suffix(path_info) else {
        return Err(Status::NOT_FOUND);
    };
    let file = &whole[..length];
    accept(exchange, settings, file, &stat)?;
    Ok(Script {
        file: file.to_vec(),
        name: name.to_vec(),
        path_info: path_info.to_vec(),
        ..Script::default()
    })
}

/// Also what is too long for the system: it may be the path info that makes it so.
fn leads_through_a_file(error: &FileError) -> bool {
    matches!(error.errno, errno::ENOTDIR | errno::ENAMETOOLONG)
}

/// The length of `path` without its last segment and the slashes before that.
fn parent(path: &[u8]) -> usize {
    let slash = memchr::memrchr(b'/', path).unwrap_or(0);
    let rest = &path[..slash];
    rest.len() - rest.iter().rev().take_while(|byte| **byte == b'/').count()
}

/// The script that stands for its folder, if the URI names the folder as such.
fn index(exchange: &Exchange, settings: &Settings, folder: &[u8]) -> Result<Script, Status> {
    match &settings.index {
        Some(index) if exchange.path.ends_with(b"/") && folder.ends_with(b"/") => {
            let name = [&*exchange.path, &*index.expand(exchange)].concat();
            check(exchange, settings, &name, b"")
        }
        _ => Err(no_file(exchange, folder)),
    }
}

fn check(
    exchange: &Exchange,
    settings: &Settings,
    name: &[u8],
    path_info: &[u8],
) -> Result<Script, Status> {
    let file = exchange
        .map(name)
        .map_err(|_| Status::INTERNAL_SERVER_ERROR)?;
    let found = exchange
        .look_up(&file, Want::Info)
        .map_err(|error| failed(exchange, &file, &error))?;
    accept(exchange, settings, &file, &found.stat)?;
    Ok(Script {
        file: file.into(),
        name: name.to_vec(),
        path_info: path_info.to_vec(),
        ..Script::default()
    })
}

/// Whether the file can be a script.
fn accept(
    exchange: &Exchange,
    settings: &Settings,
    file: &[u8],
    stat: &Stat,
) -> Result<(), Status> {
    if !stat.is_file() {
        return Err(no_file(exchange, file));
    }
    if settings.needs_execute_bit() && stat.mode & 0o111 == 0 {
        let file = String::from_utf8_lossy(file);
        exchange.log(Level::Error, format_args!("\"{file}\" is not executable"));
        return Err(Status::FORBIDDEN);
    }
    Ok(())
}

fn no_file(exchange: &Exchange, path: &[u8]) -> Status {
    let path = String::from_utf8_lossy(path);
    exchange.log(
        Level::Error,
        format_args!("\"{path}\" is not a regular file"),
    );
    Status::NOT_FOUND
}

fn failed(exchange: &Exchange, path: &[u8], error: &FileError) -> Status {
    let status = Exchange::status_of(error);
    if status != Status::NOT_FOUND || exchange.location.core.log_not_found {
        exchange.log_file_error(Level::Error, path, error);
    }
    status
}

/// The file that the path info would stand for as a path of its own (`PATH_TRANSLATED`): the
/// location it leads to says where.
pub fn translate(exchange: &mut Exchange, path_info: &[u8]) -> Option<Vec<u8>> {
    use crate::routing::locations::Found;
    let server = std::rc::Rc::clone(&exchange.server);
    let mut captures = Captures::new();
    let target = match server.locations.find(path_info, &mut captures).ok()? {
        Found::Location(location) | Found::Slash(location) => location,
        Found::None => &server.base,
    };
    // An alias in a regex location is made of that location's captures, which nobody has here.
    if target.core.alias == Alias::Whole {
        return None;
    }
    let here = std::mem::replace(&mut exchange.location, std::rc::Rc::clone(target));
    let mapped = exchange.map(path_info).ok().map(Vec::from);
    exchange.location = here;
    mapped
}

#[cfg(test)]
mod tests {
    use super::parent;

    #[test]
    fn parents() {
        for (path, expected) in [
            ("/a/b", "/a"),
            ("/a/b/", "/a/b"),
            ("/a//b", "/a"),
            ("/a", ""),
            ("", ""),
        ] {
            assert_eq!(&path[..parent(path.as_bytes())], expected, "{path}");
        }
    }
}
