//! `try_files`: the first of some files that exists, or else another URI.

use std::rc::Rc;

use crate::config::context::{LOCATION, SERVER};
use crate::config::{Contexts, Directive, Mistake, Module, Use, directive};
use crate::exchange::{Alias, Exchange, Handler, Location, Phase, Step, Target, Template};
use crate::files::Want;
use crate::http::Status;
use crate::log::level::Level;

/// Looks for files before the content phase.
pub struct TryFiles;

/// What one block tries; not inherited.
#[derive(Clone, Default)]
pub struct Settings {
    rule: Option<Rc<Rule>>,
}

struct Rule {
    candidates: Vec<Candidate>,
    fallback: Fallback,
}

/// A path to test.
struct Candidate {
    name: Template,
    is_folder: bool,
}

/// What happens if nothing was found.
enum Fallback {
    Code(Status),
    Elsewhere(Template),
}

impl Module for TryFiles {
    type Settings = Settings;
    const NAME: &'static str = "try_files";
    const DIRECTIVES: &'static [Directive<Settings>] = &[directive("try_files")
        .syntax("file ... uri or file ... =code")
        .contexts(SERVER | LOCATION)
        .at_least(2)
        .doc("Serves the first of the files that exists, or else goes to the last URI or answers with the code.")
        .set(|settings, d| {
            settings.rule = Some(Rc::new(rule(d)?));
            Ok(())
        })];

    fn inherit(_: &Rc<Settings>, _: Contexts) -> Rc<Settings> {
        Rc::default()
    }

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if let Some(rule) = &settings.rule {
            location.add_handler(Phase::Precontent, Rc::clone(rule) as Rc<dyn Handler>);
        }
    }
}

fn rule(d: &Use<'_>) -> Result<Rule, Mistake> {
    let last = d.count() - 1;
    let mut candidates = Vec::with_capacity(last);
    for i in 0..last {
        let folder = d.arg(i).strip_suffix(b"/");
        let name = d.template_of(i, folder.unwrap_or(d.arg(i)))?;
        candidates.push(Candidate {
            name,
            is_folder: folder.is_some(),
        });
    }
    let fallback = match d.arg(last).strip_prefix(b"=") {
        Some(code) => Fallback::Code(
            parse_code(code)
                .ok_or_else(|| d.mistake(last, format!("invalid code \"{}\"", d.lossy(last))))?,
        ),
        None => Fallback::Elsewhere(d.template(last)?),
    };
    Ok(Rule {
        candidates,
        fallback,
    })
}

fn parse_code(digits: &[u8]) -> Option<Status> {
    let code = crate::config::units::number(digits)?;
    u16::try_from(code)
        .ok()
        .filter(|code| *code <= 999)
        .map(Status)
}

impl Handler for Rule {
    fn handle<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let mut path = exchange.document_root();
        let root = path.len();
        for candidate in &self.candidates {
            let name = name(&candidate.name, exchange);
            path.truncate(root);
            path.extend_from_slice(&name);
            if exists(exchange, &path, candidate.is_folder) {
                choose(exchange, name, candidate.is_folder);
                return Step::Declined;
            }
        }
        match &self.fallback {
            Fallback::Code(status) => Step::status(*status),
            Fallback::Elsewhere(uri) => Step::Reroute(target(name(uri, exchange))),
        }
    }
}

/// A name as it is appended to `root` or `alias`: under `alias`, what a variable brought in of the
/// location's own name is dropped.
fn name(template: &Template, exchange: &Exchange) -> Vec<u8> {
    let name = template.expand(exchange).into_owned();
    match (&exchange.location.core.alias, template.literal()) {
        (Alias::Prefix(location), None) => match name.strip_prefix(&**location) {
            Some(rest) => rest.to_vec(),
            None => name,
        },
        _ => name,
    }
}

fn exists(exchange: &Exchange, path: &[u8], is_folder: bool) -> bool {
    match exchange.look_up(path, Want::Info) {
        Ok(found) => found.stat.is_dir() == is_folder,
        Err(error) => {
            if !error.is_not_found() {
                exchange.log_file_error(Level::Crit, path, &error);
            }
            false
        }
    }
}

/// Makes the path of the exchange that of the file found.
fn choose(exchange: &mut Exchange, name: Vec<u8>, is_folder: bool) {
    let location = Rc::clone(&exchange.location);
    match &location.core.alias {
        Alias::No => exchange.path = name,
        Alias::Prefix(prefix) => {
            exchange.path.truncate(prefix.len());
            exchange.path.extend_from_slice(&name);
        }
        Alias::Whole if is_folder => {}
        Alias::Whole => {
            exchange.path = name;
            exchange.path_in_alias = true;
        }
    }
}

fn target(mut uri: Vec<u8>) -> Target {
    if uri.first() == Some(&b'@') {
        uri.remove(0);
        return Target::Named(uri);
    }
    let args = match memchr::memchr(b'?', &uri) {
        Some(mark) => uri.split_off(mark).split_off(1),
        None => Vec::new(),
    };
    Target::Uri { path: uri, args }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::tests::trial::{Site, status, text};

    #[test]
    fn the_first_that_exists_is_served() {
        let site = Site::new(
            "location / { try_files $uri $uri.html $uri/ /fallback?x=$arg_a; }
             location /fallback { return 200 \"$uri $args\"; }
             location /code { try_files /none =418; }
             location /named { try_files /none @other; }
             location @other { return 200 other; }
             location /file-dir/ { try_files /a.html/ =404; }
             location /dir-file/ { try_files /dir =404; }
             location ~ /alias-re { alias FOLDER/dir; try_files $uri =404; }
             location /nested/ { alias FOLDER/; location ~ html { try_files $uri =404; } }",
        );
        site.write("a.html", "a");
        site.write("dir/index.html", "dir");
        site.write("dir/alias-re", "alias");
        let cases = [
            ("/a.html", 200, "a"),
            ("/a", 200, "a"),
            ("/dir", 301, ""),
            ("/dir/", 200, "dir"),
            ("/none?a=1", 200, "/fallback x=1"),
            ("/code", 418, ""),
            ("/named", 200, "other"),
            ("/file-dir/", 404, ""),
            ("/dir-file/", 404, ""),
            ("/alias-re", 200, "alias"),
            ("/nested/a.html", 200, "a"),
        ];
        for (target, expected, body) in cases {
            let response = site.get(target, &[]);
            assert_eq!(status(&response), expected, "{target}");
            assert!(
                expected != 200 || text(&response) == body,
                "{target}: {}",
                text(&response)
            );
        }
    }

    #[test]
    fn codes() {
        for (digits, code) in [
            ("404", Some(404)),
            ("0", Some(0)),
            ("999", Some(999)),
            ("1000", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(parse_code(digits.as_bytes()), code.map(Status), "{digits}");
        }
    }
}
