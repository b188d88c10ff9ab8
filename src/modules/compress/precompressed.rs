//! Files that lie compressed beside the plain ones (`gzip_static`, `brotli_static`, `zstd_static`).

use std::rc::Rc;

use super::Coding;
use crate::config::context::HTTP_SERVER_LOCATION;
use crate::config::{Directive, Module, directive};
use crate::exchange::{Exchange, Filter, Handler, Location, Phase, Response, Step};
use crate::files::{OpenFile, Want};
use crate::http::{Method, Status};
use crate::log::level::Level;
use crate::modules::static_files;

/// Serves compressed files in place of plain ones.
pub struct Precompressed;

/// When compressed files are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Off,
    /// To clients that like the coding.
    On,
    /// To every client.
    Always,
}

const MODES: &[(&str, Mode)] = &[
    ("off", Mode::Off),
    ("on", Mode::On),
    ("always", Mode::Always),
];

/// What a block says of it, by coding.
#[derive(Clone, Default)]
pub struct Settings {
    modes: [Mode; Coding::ALL.len()],
}

impl Module for Precompressed {
    type Settings = Settings;
    const NAME: &'static str = "precompressed";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        directive("gzip_static")
            .syntax("on | off | always")
            .default("off")
            .contexts(HTTP_SERVER_LOCATION)
            .doc("Serves the file whose name has \".gz\" behind it, if there is one: to clients that like gzip, or to all.")
            .set(|s, d| d.one_of(0, MODES).map(|mode| s.modes[Coding::Gzip as usize] = mode)),
        directive("brotli_static")
            .syntax("on | off | always")
            .default("off")
            .contexts(HTTP_SERVER_LOCATION)
            .doc("Serves the file whose name has \".br\" behind it, if there is one: to clients that like brotli, or to all.")
            .set(|s, d| d.one_of(0, MODES).map(|mode| s.modes[Coding::Brotli as usize] = mode)),
        directive("zstd_static")
            .syntax("on | off | always")
            .default("off")
            .contexts(HTTP_SERVER_LOCATION)
            .doc("Serves the file whose name has \".zst\" behind it, if there is one: to clients that like zstd, or to all.")
            .set(|s, d| d.one_of(0, MODES).map(|mode| s.modes[Coding::Zstd as usize] = mode)),
    ];

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if settings.modes.iter().any(|mode| *mode != Mode::Off) {
            location.add_handler(Phase::Content, Rc::clone(settings) as Rc<dyn Handler>);
            location.filters.push(Rc::new(VaryFilter));
        }
    }
}

/// Noted of an exchange whose file lies there compressed, too.
struct Varies;

/// Adds `Vary` to responses that other clients get compressed.
struct VaryFilter;

impl Filter for VaryFilter {
    fn filter(&self, exchange: &Exchange, response: &mut Response) {
        if exchange.location.core.compression.vary && exchange.noted::<Varies>().is_some() {
            response.vary_by_encoding();
        }
    }
}

impl Handler for Settings {
    fn handle<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let is_read = matches!(exchange.method, Method::Get | Method::Head);
        if !is_read || exchange.path.last() == Some(&b'/') {
            return Step::Declined;
        }
        let Ok(path) = exchange.map_path() else {
            return Step::status(Status::INTERNAL_SERVER_ERROR);
        };
        for (quality, coding) in self.by_quality(exchange) {
            if let Some(step) = self.try_file(exchange, &path, coding, quality) {
                return step;
            }
        }
        Step::Declined
    }
}

impl Settings {
    fn mode(&self, coding: Coding) -> Mode {
        self.modes[coding as usize]
    }

    /// The codings that are switched on, what the client likes best first.
    fn by_quality(&self, exchange: &Exchange) -> Vec<(u16, Coding)> {
        let none = Response::default();
        let on = Coding::ALL
            .iter()
            .filter(|coding| self.mode(**coding) != Mode::Off);
        let mut all: Vec<_> = on
            .map(|coding| (coding.quality(exchange, &none), *coding))
            .collect();
        all.sort_by_key(|(quality, _)| std::cmp::Reverse(*quality));
        all
    }

    /// The file in that coding, if there is one and it is for this client.
    fn try_file<'a>(
        &self,
        exchange: &mut Exchange,
        path: &[u8],
        coding: Coding,
        quality: u16,
    ) -> Option<Step<'a>> {
        let on_demand = self.mode(coding) == Mode::On;
        let wanted = quality > 0 || !on_demand;
        if !wanted && !exchange.location.core.compression.vary {
            return None;
        }
        let file = look_up(exchange, &[path, coding.extension().as_bytes()].concat())?;
        if on_demand {
            exchange.note(Varies);
        }
        match wanted && !file.stat.is_dir() {
            true if file.stat.is_file() => Some(Step::Respond(whole(exchange, file, coding))),
            true => Some(Step::status(Status::NOT_FOUND)),
            false => None,
        }
    }
}

/// The file; what keeps it from being read is logged, unless it is just not there.
fn look_up(exchange: &Exchange, path: &[u8]) -> Option<Rc<OpenFile>> {
    match exchange.look_up(path, Want::Open) {
        Ok(file) => Some(file),
        Err(error) => {
            if !error.is_not_found() {
                let level = if error.is_denied() {
                    Level::Error
                } else {
                    Level::Crit
                };
                exchange.log_file_error(level, path, &error);
            }
            None
        }
    }
}

fn whole(exchange: &Exchange, file: Rc<OpenFile>, coding: Coding) -> Response {
    let mut response = static_files::whole(exchange, file);
    response.headers.append("Content-Encoding", coding.name());
    response
}
