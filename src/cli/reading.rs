//! Reading the configuration, and where messages go meanwhile.

use std::ffi::OsString;
use std::io::{Write, stderr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use super::options::Options;
use super::paths::Paths;
use crate::config::{self, Diagnostics};
use crate::exchange::Runtime;
use crate::log::error_log::{self, ErrorLog, Sink, Target};
use crate::log::file::LogFile;
use crate::log::level::Level;
use crate::log::{facade, terminal};
use crate::master::{self, Failed};
use crate::modules;

/// What the configuration is read with.
pub struct Reading {
    /// Where things are.
    pub paths: Paths,
    /// Where messages go until a configuration is in force.
    pub log: ErrorLog,
    globals: Vec<u8>,
    error_log: Vec<u8>,
}

impl Reading {
    /// Opens the log, as far as it can be.
    pub fn new(paths: Paths, options: &Options) -> Self {
        let level = if options.test {
            Level::Info
        } else {
            Level::Notice
        };
        let log = open_log(&paths, options.error_log.is_some(), level);
        facade::set_main(log.clone());
        let bytes = |option: &Option<OsString>| {
            option
                .as_ref()
                .map(|text| text.as_bytes().to_vec())
                .unwrap_or_default()
        };
        let error_log = match &options.error_log {
            Some(name) if name.is_empty() => b"stderr".to_vec(),
            given => bytes(given),
        };
        Self {
            paths,
            log,
            globals: bytes(&options.globals),
            error_log,
        }
    }

    /// Reads the configuration.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn load(&self) -> Result<(Runtime, Diagnostics), Diagnostics> {
        let options = config::Options {
            prefix: self.paths.prefix.clone(),
            conf_prefix: self.paths.configuration_folder(),
            globals: self.globals.clone(),
            error_log: self.error_log.clone(),
        };
        modules::runtime::load(&self.paths.configuration, &options)
    }

    /// Reads the configuration and shows what is to be said about it.
    ///
    /// # Errors
    /// It cannot be used; that was shown.
    pub fn read_with_diagnostics(&self) -> Result<(Runtime, Diagnostics), Failed> {
        let loaded = self.load();
        let (Ok((_, found)) | Err(found)) = &loaded;
        self.show(found);
        loaded.map_err(|_| Failed)
    }

    /// As [`Self::read_with_diagnostics`].
    ///
    /// # Errors
    /// It cannot be used; that was shown.
    pub fn read(&self) -> Result<Runtime, Failed> {
        self.read_with_diagnostics().map(|(runtime, _)| runtime)
    }

    /// Shows what was found: with the lines concerned on the terminal, without in the log.
    fn show(&self, found: &Diagnostics) {
        if !self.log.uses_stderr() {
            error_log::echo_to_terminal(false);
            master::report(found, &self.log);
            error_log::echo_to_terminal(true);
        }
        // There is nobody to tell that nobody reads it.
        let _ = stderr().write_all(found.to_string().as_bytes());
    }
}

/// The log until a configuration is in force. The default one is not made by merely asking for
/// something: without its folder, the terminal is all there is.
fn open_log(paths: &Paths, is_chosen: bool, level: Level) -> ErrorLog {
    let Some(path) = &paths.error_log else {
        return ErrorLog::stderr(level);
    };
    if !is_chosen && !path.parent().is_some_and(Path::exists) {
        return unwritten(level);
    }
    let file = Rc::new(LogFile::new(path.clone()));
    if let Err(error) = file.open(None) {
        terminal::report(
            Level::Alert,
            format_args!("could not open error log file: {error}"),
        );
        return unwritten(level);
    }
    ErrorLog::new([Sink {
        level,
        target: Target::File(file),
    }])
}

/// A log that is seen on the terminal alone.
fn unwritten(level: Level) -> ErrorLog {
    // A file that is not open takes everything.
    let nowhere = Rc::new(LogFile::new("/dev/null".into()));
    ErrorLog::new([Sink {
        level,
        target: Target::File(nowhere),
    }])
}
