//! Files of the document root, as they are.

use std::rc::Rc;

use crate::config::{Directive, Module};
use crate::exchange::{Body, Exchange, FileBody, Handler, Location, Phase, Response, Step};
use crate::files::{FileError, OpenFile, Want};
use crate::http::escape::{Escape, escape};
use crate::http::{Method, Status};
use crate::log::level::Level;

/// Files and redirects to folders; always there, without directives of its own.
#[derive(Clone, Default)]
pub struct StaticFiles;

impl Module for StaticFiles {
    type Settings = Self;
    const NAME: &'static str = "static";
    const DIRECTIVES: &'static [Directive<Self>] = &[];

    fn install(_: &Rc<Self>, location: &mut Location) {
        location.add_handler(Phase::Content, Rc::new(StaticFiles));
    }
}

impl Handler for StaticFiles {
    fn handle<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        if !matches!(exchange.method, Method::Get | Method::Head | Method::Post) {
            return Step::status(Status::NOT_ALLOWED);
        }
        if exchange.path.last() == Some(&b'/') {
            return Step::Declined;
        }
        Step::Respond(answer(exchange))
    }
}

/// What there is at the exchange's path, or why there is nothing.
fn answer(exchange: &Exchange) -> Response {
    let Ok(path) = exchange.map_path() else {
        return Response::page(Status::INTERNAL_SERVER_ERROR);
    };
    let file = match exchange.look_up(&path, Want::Open) {
        Ok(file) => file,
        Err(error) => return Response::page(failed(exchange, &path, &error)),
    };
    if file.stat.is_dir() {
        return redirect_to_folder(exchange);
    }
    if !file.stat.is_file() {
        let path = String::from_utf8_lossy(&path);
        exchange.log(
            Level::Crit,
            format_args!("\"{path}\" is not a regular file"),
        );
        return Response::page(Status::NOT_FOUND);
    }
    if exchange.method == Method::Post {
        return Response::page(Status::NOT_ALLOWED);
    }
    whole(exchange, file)
}

/// Logs why a file could not be had, and gives the status for it.
fn failed(exchange: &Exchange, path: &[u8], error: &FileError) -> Status {
    let status = Exchange::status_of(error);
    let level = if status == Status::INTERNAL_SERVER_ERROR {
        Level::Crit
    } else {
        Level::Error
    };
    if status != Status::NOT_FOUND || exchange.location.core.log_not_found {
        exchange.log_file_error(level, path, error);
    }
    status
}

/// A folder's path ends in a slash, so that links in its index are relative to it.
fn redirect_to_folder(exchange: &Exchange) -> Response {
    let mut location = Vec::with_capacity(exchange.path.len() + exchange.args.len() + 2);
    escape(&exchange.path, Escape::Uri, &mut location);
    location.push(b'/');
    if !exchange.args.is_empty() {
        location.push(b'?');
        location.extend_from_slice(&exchange.args);
    }
    Response::redirect(Status::MOVED_PERMANENTLY, location)
}

/// The response that is all of a file, whatever coding it is in.
pub fn whole(exchange: &Exchange, file: Rc<OpenFile>) -> Response {
    let entity = file.entity(&exchange.terms());
    let body = Body::File(FileBody {
        offset: 0,
        length: file.stat.size,
        file,
    });
    let mut response = Response::with(Status::OK, entity, body);
    response.ranges = true;
    response
}

#[cfg(test)]
mod tests {
    use crate::http::entity::file_etag;
    use crate::modules::tests::trial::{Site, status, text};

    #[test]
    fn a_file_comes_with_type_and_validators() {
        let site = Site::new("types { text/html html; } default_type x/y;");
        site.write("a.HTML", "hello");
        site.write("b", "");
        let response = site.get("/a.HTML?x=y", &[]);
        assert_eq!(
            (status(&response), text(&response).as_str()),
            (200, "hello")
        );
        assert_eq!(response.entity.content_type, Some("text/html".into()));
        let modified = response.entity.last_modified.unwrap();
        assert_eq!(response.entity.etag, Some(file_etag(modified, 5)));
        let empty = site.get("/b", &[]);
        assert_eq!((status(&empty), text(&empty).as_str()), (200, ""));
        assert_eq!(empty.entity.content_type, Some("x/y".into()));
    }

    #[test]
    fn statuses() {
        let site = Site::new(
            "location /alias { alias FOLDER/dir; } location /alias2/ { alias FOLDER/dir/; }",
        );
        site.write("dir/file", "hello");
        let cases = [
            ("GET", "/dir/file", 200),
            ("HEAD", "/dir/file", 200),
            ("POST", "/dir/file", 405),
            ("PUT", "/dir/file", 405),
            ("DELETE", "/none", 405),
            ("OPTIONS", "/dir/", 405),
            ("GET", "/alias/file", 200),
            ("GET", "/alias2/file", 200),
            ("GET", "/dir", 301),
            ("POST", "/dir", 301),
            ("GET", "/dir/", 403),
            ("GET", "/none", 404),
            ("GET", "/none/none", 404),
            ("GET", "/dir/file/none", 404),
        ];
        for (method, target, expected) in cases {
            assert_eq!(
                status(&site.ask(method, target, &[])),
                expected,
                "{method} {target}"
            );
        }
    }

    #[test]
    fn folders_are_redirected_to() {
        let site = Site::new("");
        site.write("a b/c", "");
        let response = site.get("/a%20b?x=%20", &[]);
        assert_eq!(status(&response), 301);
        assert_eq!(response.location, Some("/a%20b/?x=%20".into()));
    }

    #[test]
    fn what_is_missing_is_logged_unless_told_otherwise() {
        let site = Site::new("location /quiet { log_not_found off; }");
        site.get("/loud", &[]);
        site.get("/quiet", &[]);
        let log = site.log();
        let line = format!(
            " open() \"{}\" failed (2: No such file or directory), client: 127.0.0.1",
            site.path("loud").display()
        );
        assert!(log.contains(&line), "{log}");
        assert_eq!(log.lines().count(), 1);
    }
}
