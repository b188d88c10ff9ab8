//! `autoindex`: listings of folders that have no index file.

pub mod render;

use std::ffi::OsStr;
use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::rc::Rc;

use self::render::{Entry, HtmlStyle};
use crate::config::context::HTTP_SERVER_LOCATION;
use crate::config::{Directive, Module, directive};
use crate::event;
use crate::exchange::{Exchange, Handler, Location, Phase, Response, Step};
use crate::files::FileError;
use crate::http::{Method, Status, uri};
use crate::log::level::Level;
use crate::sys::clock::local_time;
use crate::sys::errno;

/// So many entries are looked at before others get their turn.
const BATCH: usize = 128;

/// Listings of folders.
pub struct Autoindex;

/// How folders are listed.
#[derive(Clone)]
pub struct Settings {
    enabled: bool,
    exact_size: bool,
    local_time: bool,
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Html,
    Json,
    Jsonp,
    Xml,
}

const FORMATS: &[(&str, Format)] = &[
    ("html", Format::Html),
    ("json", Format::Json),
    ("jsonp", Format::Jsonp),
    ("xml", Format::Xml),
];

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            enabled: false,
            exact_size: true,
            local_time: false,
            format: Format::Html,
        }
    }
}

impl Module for Autoindex {
    type Settings = Settings;
    const NAME: &'static str = "autoindex";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        directive("autoindex")
            .syntax("on | off")
            .default("off")
            .contexts(HTTP_SERVER_LOCATION)
            .flag()
            .doc("Lists folders that have no index file.")
            .set(|settings, d| {
                settings.enabled = d.flag()?;
                Ok(())
            }),
        directive("autoindex_exact_size")
            .syntax("on | off")
            .default("on")
            .contexts(HTTP_SERVER_LOCATION)
            .flag()
            .doc("Shows sizes in bytes in HTML listings, or else rounded to kilobytes, megabytes and gigabytes.")
            .set(|settings, d| {
                settings.exact_size = d.flag()?;
                Ok(())
            }),
        directive("autoindex_format")
            .syntax("html | xml | json | jsonp")
            .default("html")
            .contexts(HTTP_SERVER_LOCATION)
            .doc("Chooses the format of listings; jsonp calls the function named by the argument \"callback\".")
            .set(|settings, d| {
                settings.format = d.one_of(0, FORMATS)?;
                Ok(())
            }),
        directive("autoindex_localtime")
            .syntax("on | off")
            .default("off")
            .contexts(HTTP_SERVER_LOCATION)
            .flag()
            .doc("Shows times in HTML listings in the local time zone instead of UTC.")
            .set(|settings, d| {
                settings.local_time = d.flag()?;
                Ok(())
            }),
    ];

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if settings.enabled {
            location.add_handler(Phase::Content, Rc::new(Lister(Rc::clone(settings))));
        }
    }
}

struct Lister(Rc<Settings>);

impl Handler for Lister {
    fn handle<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let is_folder = exchange.path.last() == Some(&b'/');
        if !is_folder || !matches!(exchange.method, Method::Get | Method::Head) {
            return Step::Declined;
        }
        Step::Await(Box::pin(async move {
            match self.list(exchange).await {
                Ok(response) => Step::Respond(response),
                Err(status) => Step::status(status),
            }
        }))
    }
}

impl Lister {
    async fn list(&self, exchange: &Exchange) -> Result<Response, Status> {
        let mut folder = exchange
            .map_path()
            .map_err(|_| Status::INTERNAL_SERVER_ERROR)?;
        if folder.len() > 1 {
            folder.pop();
        }
        let callback = match self.0.format {
            Format::Jsonp => callback(exchange)?,
            _ => b"",
        };
        let mut entries = read(exchange, &folder).await?;
        render::sort(&mut entries);
        Ok(self.response(exchange, &entries, callback))
    }

    fn response(&self, exchange: &Exchange, entries: &[Entry], callback: &[u8]) -> Response {
        let answer = |content_type: &'static str, body: Vec<u8>| {
            Response::bytes(Status::OK, content_type, body)
        };
        match self.0.format {
            Format::Html => answer(
                "text/html",
                render::html(&exchange.path, entries, self.style()),
            ),
            Format::Xml => {
                let mut response = answer("text/xml", render::xml(entries));
                response.entity.charset = Some("utf-8".into());
                response
            }
            Format::Jsonp if !callback.is_empty() => {
                answer("application/javascript", render::jsonp(entries, callback))
            }
            Format::Json | Format::Jsonp => answer("application/json", render::json(entries)),
        }
    }

    fn style(&self) -> HtmlStyle {
        let utc_offset = match self.0.local_time {
            true => i64::from(local_time(event::unix_time().0).offset_minutes) * 60,
            false => 0,
        };
        HtmlStyle {
            utc_offset,
            exact_size: self.0.exact_size,
        }
    }
}

/// The function the client wants to be called; empty if it names none.
fn callback(exchange: &Exchange) -> Result<&[u8], Status> {
    let name = uri::argument(&exchange.args, b"callback").unwrap_or_default();
    if render::is_callback(name) {
        return Ok(name);
    }
    let name = String::from_utf8_lossy(name);
    exchange.log(
        Level::Info,
        format_args!("client sent invalid callback name: \"{name}\""),
    );
    Err(Status::BAD_REQUEST)
}

/// Reads the folder, hidden files left out.
async fn read(exchange: &Exchange, folder: &[u8]) -> Result<Vec<Entry>, Status> {
    let failed = |call, path: &[u8], error: &io::Error| fail(exchange, call, path, error);
    let reader = fs::read_dir(Path::new(OsStr::from_bytes(folder)))
        .map_err(|error| failed("opendir()", folder, &error))?;
    let mut entries = Vec::new();
    for (count, entry) in (1..).zip(reader) {
        let entry = entry
            .map_err(|error| failed("readdir()", folder, &error))
            .map_err(|_| Status::INTERNAL_SERVER_ERROR)?;
        entries.extend(describe(exchange, &entry)?);
        if count % BATCH == 0 {
            event::yield_now().await;
        }
    }
    Ok(entries)
}

/// What the listing says of an entry; nothing of hidden ones and those that may not be looked at.
fn describe(exchange: &Exchange, entry: &DirEntry) -> Result<Option<Entry>, Status> {
    let name = entry.file_name().into_encoded_bytes();
    if name.first() == Some(&b'.') {
        return Ok(None);
    }
    let path = entry.path();
    let failed = |call, error: &io::Error| {
        fail(exchange, call, path.as_os_str().as_bytes(), error);
        Status::INTERNAL_SERVER_ERROR
    };
    let found = match fs::metadata(&path) {
        // A link that leads nowhere is listed itself.
        Err(error) if matches!(error.raw_os_error(), Some(errno::ENOENT | errno::ELOOP)) => {
            fs::symlink_metadata(&path).map_err(|error| failed("lstat()", &error))?
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            failed("stat()", &error);
            return Ok(None);
        }
        found => found.map_err(|error| failed("stat()", &error))?,
    };
    Ok(Some(entry_of(name, &found)))
}

fn entry_of(name: Vec<u8>, found: &Metadata) -> Entry {
    Entry {
        name,
        is_dir: found.is_dir(),
        is_file: found.is_file(),
        size: found.len(),
        mtime: found.mtime(),
    }
}

/// Logs what failed, and gives the status for it.
fn fail(exchange: &Exchange, call: &'static str, path: &[u8], error: &io::Error) -> Status {
    let error = FileError {
        call,
        errno: error.raw_os_error().unwrap_or(0),
    };
    let status = Exchange::status_of(&error);
    let critical = call != "opendir()" || status == Status::INTERNAL_SERVER_ERROR;
    let level = if critical { Level::Crit } else { Level::Error };
    exchange.log_file_error(level, path, &error);
    status
}

#[cfg(test)]
mod tests {
    use crate::modules::tests::trial::{Site, status, text};

    #[test]
    fn folders_are_listed_in_each_format() {
        let site = Site::new(
            "autoindex on;
             location /json/ { autoindex_format json; alias FOLDER/; }
             location /jsonp/ { autoindex_format jsonp; alias FOLDER/; }
             location /xml/ { autoindex_format xml; alias FOLDER/; }
             location /off/ { autoindex off; alias FOLDER/; }",
        );
        site.write("dir/file", "x");
        site.write("dir/.secret", "x");
        std::os::unix::fs::symlink("nowhere", site.path("dir/dangling")).unwrap();
        let cases = [
            ("/dir/", 200, "text/html", "<a href=\"file\">file</a>"),
            (
                "/json/dir/",
                200,
                "application/json",
                "{ \"name\":\"file\", \"type\":\"file\"",
            ),
            (
                "/jsonp/dir/?callback=f.g",
                200,
                "application/javascript",
                "f.g([",
            ),
            ("/jsonp/dir/?callback=", 200, "application/json", "[\r\n{"),
            ("/jsonp/dir/?callback=f()", 400, "text/html", "400"),
            ("/xml/dir/", 200, "text/xml", ">file</file>"),
            ("/off/dir/", 403, "text/html", "403"),
            ("/none/", 404, "text/html", "404"),
        ];
        for (target, expected, content_type, part) in cases {
            let response = site.get(target, &[]);
            assert_eq!(status(&response), expected, "{target}");
            assert_eq!(
                response.entity.content_type,
                Some(content_type.into()),
                "{target}"
            );
            let body = text(&response);
            assert!(body.contains(part), "{target}: {body}");
            assert!(!body.contains("secret"), "{target}: {body}");
            assert!(
                expected != 200 || body.contains("dangling"),
                "{target}: {body}"
            );
            assert_eq!(
                response.entity.charset.is_some(),
                content_type == "text/xml"
            );
        }
    }

    #[test]
    fn an_index_comes_first_and_other_methods_are_refused() {
        let site = Site::new("autoindex on;");
        site.write("index.html", "index");
        site.write("dir/file", "x");
        assert_eq!(text(&site.get("/", &[])), "index");
        assert_eq!(status(&site.ask("PUT", "/dir/", &[])), 405);
    }
}
