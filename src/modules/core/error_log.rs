//! `error_log`: where messages go, in every block where there may be one.

use super::{Row, Settings, row};
use crate::config::context::{HTTP_SERVER_LOCATION, MAIN};
use crate::config::units;
use crate::config::{Finish, Mistake, Outcome, Use};
use crate::log::error_log::{ErrorLog, Sink, Target};
use crate::log::level::Level;
use crate::log::memory::Memory;
use crate::log::syslog::{Parameters, Syslog};
use crate::net::address::syslog_server;

/// The main error log when none is given.
const DEFAULT_FILE: &[u8] = b"logs/error.log";

/// The least a `memory:` log takes: the longest line must fit.
const MIN_MEMORY: u64 = 2048;

pub(super) const ROWS: &[Row] = &[row("error_log", MAIN | HTTP_SERVER_LOCATION)
    .syntax("file [level]")
    .default("logs/error.log error")
    .at_least(1)
    .doc("Says where messages go, to a file, stderr, syslog: or memory:, and from which level on.")
    .append(|s| s.sinks.clear(), error_log)];

impl Settings {
    /// Makes the lines given so far the block's error log.
    pub(super) fn open_log(&mut self) {
        self.edit().error_log = ErrorLog::new(self.sinks.iter().cloned());
    }
}

/// The main error log of a configuration that names none.
pub(super) fn default_sink(block: &Finish<'_>) -> Sink {
    let target = match block.error_log() {
        b"stderr" => Target::Stderr,
        chosen => {
            let name = if chosen.is_empty() {
                DEFAULT_FILE
            } else {
                chosen
            };
            Target::File(block.logs().file(&block.resolve_prefix(name)))
        }
    };
    Sink {
        level: Level::Error,
        target,
    }
}

fn error_log(settings: &mut Settings, d: &mut Use<'_>) -> Outcome {
    let target = target(d)?;
    let levels = d.args().iter().skip(1).map(|word| &*word.text);
    let level = Level::from_arguments(levels).map_err(|message| d.mistake(1, message))?;
    settings.sinks.push(Sink { level, target });
    settings.open_log();
    Ok(())
}

fn target(d: &Use<'_>) -> Result<Target, Mistake> {
    if d.arg(0) == b"stderr" {
        return Ok(Target::Stderr);
    }
    if let Some(size) = d.parameter(0, "memory:") {
        let bytes = units::size(size).filter(|bytes| *bytes >= MIN_MEMORY);
        let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok());
        let shown = String::from_utf8_lossy(size);
        let invalid = || d.mistake(0, format!("invalid buffer size \"{shown}\""));
        return Ok(Target::Memory(Memory::new(bytes.ok_or_else(invalid)?)));
    }
    if let Some(parameters) = d.text(0)?.strip_prefix("syslog:") {
        let parameters = Parameters::parse(parameters, syslog_server);
        let parameters = parameters.map_err(|message| d.mistake(0, message))?;
        return Ok(Target::Syslog(Syslog::new(parameters)));
    }
    Ok(Target::File(d.logs().file(&d.prefix_path(0))))
}
