//! `random_index`: any file of a folder stands for it.

use std::ffi::OsStr;
use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::rc::Rc;

use crate::config::context::LOCATION;
use crate::config::{Directive, Module, directive};
use crate::exchange::{Exchange, Handler, Location, Phase, Step, Target};
use crate::http::{Method, Status};
use crate::log::errno::Errno;
use crate::log::level::Level;
use crate::sys::{errno, random};

/// Chooses a file.
pub struct RandomIndex;

/// Whether a block does.
#[derive(Clone, Default)]
pub struct Settings {
    on: bool,
}

impl Module for RandomIndex {
    type Settings = Settings;
    const NAME: &'static str = "random_index";
    const DIRECTIVES: &'static [Directive<Settings>] = &[directive("random_index")
        .syntax("on | off")
        .default("off")
        .contexts(LOCATION)
        .flag()
        .doc("Has a file of the folder, chosen at random, stand for the folder.")
        .set(|settings, d| d.flag().map(|on| settings.on = on))];

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if settings.on {
            location.add_handler(Phase::Content, Rc::new(Choice));
        }
    }
}

struct Choice;

impl Handler for Choice {
    fn handle<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let is_folder = exchange.path.last() == Some(&b'/');
        if !is_folder || !matches!(exchange.method, Method::Get | Method::Head | Method::Post) {
            return Step::Declined;
        }
        let Ok(folder) = exchange.map_path() else {
            return Step::status(Status::INTERNAL_SERVER_ERROR);
        };
        let folder = folder.strip_suffix(b"/").unwrap_or(&folder);
        match files(folder) {
            Ok(names) if names.is_empty() => Step::Declined,
            Ok(names) => {
                let number = u64::from_ne_bytes(random::bytes()) % names.len() as u64;
                let name = &names[number as usize];
                Step::Reroute(Target::Uri {
                    path: [&exchange.path[..], name].concat(),
                    args: exchange.args.clone(),
                })
            }
            Err(error) => Step::status(give_up(exchange, folder, &error)),
        }
    }
}

/// The names of the files in a folder; hidden ones are left out.
fn files(folder: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(Path::new(OsStr::from_bytes(folder)))? {
        let entry = entry?;
        let name = entry.file_name().into_vec();
        if name.first() != Some(&b'.') && is_file(&entry)? {
            names.push(name);
        }
    }
    Ok(names)
}

/// Whether it is a file, or a link to one.
fn is_file(entry: &DirEntry) -> io::Result<bool> {
    let kind = entry.file_type()?;
    if !kind.is_symlink() {
        return Ok(kind.is_file());
    }
    match fs::metadata(entry.path()) {
        Ok(found) => Ok(found.is_file()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn give_up(exchange: &Exchange, folder: &[u8], error: &io::Error) -> Status {
    let (level, status) = match error.raw_os_error() {
        Some(errno::ENOENT | errno::ENOTDIR | errno::ENAMETOOLONG) => {
            (Level::Error, Status::NOT_FOUND)
        }
        _ if error.kind() == io::ErrorKind::PermissionDenied => (Level::Error, Status::FORBIDDEN),
        _ => (Level::Crit, Status::INTERNAL_SERVER_ERROR),
    };
    let folder = String::from_utf8_lossy(folder);
    let message = format_args!("opendir() \"{folder}\" failed {}", Errno(error));
    exchange.log(level, message);
    status
}

#[cfg(test)]
mod tests {
    use crate::modules::tests::trial::{Site, status, text};

    #[test]
    fn any_file_is_chosen() {
        let site = Site::new("location / { random_index on; index none; }");
        for name in ["a/one", "a/two", "a/.hidden", "a/folder/x", "b/folder/x"] {
            site.write(name, name);
        }
        std::os::unix::fs::symlink("nowhere", site.path("a/broken")).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..100 {
            seen.insert(text(&site.get("/a/", &[])));
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["a/one", "a/two"]);
        assert_eq!(status(&site.get("/b/", &[])), 403);
        assert_eq!(status(&site.get("/c/", &[])), 404);
    }
}
