//! What the error log is told of a script: always with its file, and with the request's client
//! and site.

use std::fmt::{self, Display};
use std::io;

use super::script::Script;
use crate::exchange::{Exchange, RequestLog};
use crate::log::level::Level;

/// The error log of a request that a script answers.
pub struct ScriptLog {
    log: RequestLog,
    script: String,
}

impl ScriptLog {
    /// The log for `script` on behalf of `exchange`.
    pub fn new(exchange: &Exchange, script: &Script) -> ScriptLog {
        ScriptLog {
            log: exchange.request_log(),
            script: String::from_utf8_lossy(&script.file).into_owned(),
        }
    }

    /// Logs a message.
    pub fn log(&self, level: Level, message: fmt::Arguments<'_>) {
        let script = &self.script;
        self.log
            .log(level, format_args!("{message}, script: \"{script}\""));
    }

    /// An error that somebody else will log.
    pub fn error(&self, kind: io::ErrorKind, message: impl Display) -> io::Error {
        io::Error::new(kind, format!("{message}, script: \"{}\"", self.script))
    }
}
