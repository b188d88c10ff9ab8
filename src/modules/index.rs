//! `index`: the file that stands for its folder.

use std::rc::Rc;

use crate::config::context::HTTP_SERVER_LOCATION;
use crate::config::{Directive, Module, directive};
use crate::exchange::{Exchange, Handler, Location, Phase, Step, Target, Template};
use crate::files::{FileError, Want};
use crate::http::{Method, Status};
use crate::log::errno::Errno;
use crate::log::level::Level;
use crate::sys::errno;

/// The files tried for a path that ends in a slash.
pub struct Index;

/// The names in the order they are tried.
#[derive(Clone)]
pub struct Settings {
    names: Vec<Template>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            names: vec![Template::text(*b"index.html")],
        }
    }
}

impl Module for Index {
    type Settings = Settings;
    const NAME: &'static str = "index";
    const DIRECTIVES: &'static [Directive<Settings>] = &[directive("index")
        .syntax("file ...")
        .default("index.html")
        .contexts(HTTP_SERVER_LOCATION)
        .at_least(1)
        .doc("Names the files that stand for their folder, in the order they are tried; the last may be a path.")
        .append(|settings| settings.names.clear(), |settings, d| {
            for i in 0..d.count() {
                if d.arg(i).is_empty() {
                    return Err(d.mistake(i, "index \"\" in \"index\" directive is invalid"));
                }
                if d.arg(i).starts_with(b"/") && i + 1 < d.count() {
                    d.warn(i, "only the last index in \"index\" directive should be absolute");
                }
                settings.names.push(d.template(i)?);
            }
            Ok(())
        })];

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        location.add_handler(Phase::Content, settings.clone());
    }
}

impl Handler for Settings {
    fn handle<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let is_folder = exchange.path.last() == Some(&b'/');
        if !is_folder || !matches!(exchange.method, Method::Get | Method::Head | Method::Post) {
            return Step::Declined;
        }
        match self.find(exchange) {
            Ok(Some(path)) => Step::Reroute(Target::Uri {
                path,
                args: exchange.args.clone(),
            }),
            Ok(None) => Step::Declined,
            Err(status) => Step::status(status),
        }
    }
}

impl Settings {
    /// The path of the first index there is. The folder itself is looked at only if the first
    /// index is missing: the request that finds something should be the cheap one.
    fn find(&self, exchange: &Exchange) -> Result<Option<Vec<u8>>, Status> {
        let mut file = exchange
            .map_path()
            .map_err(|_| Status::INTERNAL_SERVER_ERROR)?;
        let folder = file.len();
        let mut folder_tested = false;
        for name in &self.names {
            let name = name.expand(exchange);
            if name.first() == Some(&b'/') {
                return Ok(Some(name.into_owned()));
            }
            file.truncate(folder);
            file.extend_from_slice(&name);
            let error = match exchange.look_up(&file, Want::Info) {
                Ok(_) => return Ok(Some([&exchange.path, &*name].concat())),
                Err(error) => error,
            };
            if is_conclusive(&error) {
                return Err(give_up(exchange, &file, &error));
            }
            if !folder_tested {
                test_folder(exchange, &file[..folder], &file)?;
                folder_tested = true;
            }
            if Exchange::status_of(&error) != Status::NOT_FOUND {
                exchange.log_file_error(Level::Crit, &file, &error);
                return Err(Status::INTERNAL_SERVER_ERROR);
            }
        }
        Ok(None)
    }
}

/// Whether the error says something of the folder, so that no other name would do better.
fn is_conclusive(error: &FileError) -> bool {
    error.is_denied() || matches!(error.errno, errno::ENOTDIR | errno::ENAMETOOLONG)
}

/// Tells a folder without an index from one that does not exist.
fn test_folder(exchange: &Exchange, folder: &[u8], file: &[u8]) -> Result<(), Status> {
    let bare = match folder.strip_suffix(b"/") {
        Some(bare) if !bare.is_empty() => bare,
        _ => folder,
    };
    match exchange.look_up(bare, Want::Info) {
        Ok(found) if found.stat.is_dir() => Ok(()),
        Ok(_) => {
            let bare = String::from_utf8_lossy(bare);
            exchange.log(Level::Alert, format_args!("\"{bare}\" is not a directory"));
            Err(Status::INTERNAL_SERVER_ERROR)
        }
        Err(error) if is_symlink_refused(&error) => Err(Status::FORBIDDEN),
        // The index in it could be looked for, so the folder can be searched, only not read.
        Err(error) if error.is_denied() => Ok(()),
        Err(error) if error.errno == errno::ENOENT => Err(give_up(exchange, file, &error)),
        Err(error) => {
            exchange.log_file_error(Level::Crit, bare, &error);
            Err(Status::INTERNAL_SERVER_ERROR)
        }
    }
}

fn is_symlink_refused(error: &FileError) -> bool {
    matches!(error.errno, errno::ELOOP | errno::EMLINK)
}

/// Logs that the folder can't be served, and gives the status for it.
fn give_up(exchange: &Exchange, file: &[u8], error: &FileError) -> Status {
    if is_symlink_refused(error) {
        return Status::FORBIDDEN;
    }
    let (file, io) = (String::from_utf8_lossy(file), error.io());
    let reason = Errno(&io);
    if error.is_denied() {
        exchange.log(
            Level::Error,
            format_args!("\"{file}\" is forbidden {reason}"),
        );
        return Status::FORBIDDEN;
    }
    if exchange.location.core.log_not_found {
        exchange.log(
            Level::Error,
            format_args!("\"{file}\" is not found {reason}"),
        );
    }
    Status::NOT_FOUND
}

#[cfg(test)]
mod tests {
    use crate::modules::tests::trial::{Site, status, text};

    #[test]
    fn the_first_index_there_is_stands_for_the_folder() {
        let site = Site::new(
            "location /b/ { index none none$arg_x first second; } location /c/ { index none /b/second; } location /d { alias FOLDER/b; index first; }",
        );
        site.write("index.html", "root");
        site.write("b/first", "first");
        site.write("b/second", "second");
        site.write("c/index.html", "c");
        site.write("e/index.htm", "e");
        let cases = [
            ("/", 200, "root"),
            ("/b/", 200, "first"),
            ("/c/", 200, "second"),
            ("/d/", 200, "first"),
            ("/e/", 403, ""),
            ("/f/", 404, ""),
            ("/index.html/", 404, ""),
        ];
        for (target, expected, body) in cases {
            let response = site.get(target, &[]);
            assert_eq!(status(&response), expected, "{target}");
            assert!(expected != 200 || text(&response) == body, "{target}");
        }
        let log = site.log();
        for line in [
            format!(
                "directory index of \"{}/\" is forbidden,",
                site.path("e").display()
            ),
            format!(
                "\"{}/index.html\" is not found (2: No such file or directory),",
                site.path("f").display()
            ),
            format!(
                "\"{}/index.html\" is not found (20: Not a directory),",
                site.path("index.html").display()
            ),
        ] {
            assert!(log.contains(&line), "{line}\n{log}");
        }
    }
}
