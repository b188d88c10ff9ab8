//! The error log: lines in nginx's format, to as many places as the configuration names.
//!
//! `2026/11/21 10:00:00 [error] PID#TID: *CONNECTION message, client: …, server: …`

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::rc::Rc;

use super::clock;
use super::file::LogFile;
use super::level::Level;
use super::memory::Memory;
use super::syslog::Syslog;
use super::terminal;

/// The longest line in bytes, its end included; what is longer is cut.
const MAX_LINE: usize = 2048;

/// One `error_log` line of the configuration.
#[derive(Clone, Debug)]
pub struct Sink {
    /// The least grave level it keeps.
    pub level: Level,
    /// Where its lines go.
    pub target: Target,
}

/// Where lines of the error log go.
#[derive(Clone, Debug)]
pub enum Target {
    /// A file.
    File(Rc<LogFile>),
    /// `stderr`.
    Stderr,
    /// `syslog:…`.
    Syslog(Rc<Syslog>),
    /// `memory:…`.
    Memory(Rc<Memory>),
}

/// The error log of one block. Cloning it copies a pointer. The default one keeps nothing.
#[derive(Clone, Debug, Default)]
pub struct ErrorLog {
    inner: Rc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The least grave level that any sink keeps.
    level: Option<Level>,
    sinks: Box<[Sink]>,
}

thread_local! {
    static ECHO: Cell<bool> = const { Cell::new(false) };
}

/// Whether warnings and worse appear on the terminal as well. A server does that until it has
/// started, so that whoever starts it sees what is wrong.
pub fn echo_to_terminal(echo: bool) {
    ECHO.set(echo);
}

impl ErrorLog {
    /// A log that writes to all of `sinks`.
    pub fn new(sinks: impl IntoIterator<Item = Sink>) -> Self {
        let sinks: Box<[Sink]> = sinks.into_iter().collect();
        let level = sinks.iter().map(|sink| sink.level).max();
        Self {
            inner: Rc::new(Inner { level, sinks }),
        }
    }

    /// A log on standard error.
    pub fn stderr(level: Level) -> Self {
        Self::new([Sink {
            level,
            target: Target::Stderr,
        }])
    }

    /// Whether messages of `level` are kept: ask before making an expensive one.
    pub fn enabled(&self, level: Level) -> bool {
        Some(level) <= self.inner.level
    }

    /// The first file it writes to: the one standard error of a daemon is joined with.
    pub fn file(&self) -> Option<&Rc<LogFile>> {
        self.inner.sinks.iter().find_map(|sink| match &sink.target {
            Target::File(file) => Some(file),
            _ => None,
        })
    }

    /// Whether any of it goes to standard error.
    pub fn uses_stderr(&self) -> bool {
        self.inner
            .sinks
            .iter()
            .any(|sink| matches!(sink.target, Target::Stderr))
    }

    /// The same log, which writes to `sink` as well.
    pub fn and(&self, sink: Sink) -> Self {
        Self::new(self.inner.sinks.iter().cloned().chain([sink]))
    }

    /// Writes a message; `connection` is the serial number of the connection it is about.
    ///
    /// What the message is about (`, client: …, server: …`) is part of it.
    pub fn log(&self, level: Level, connection: Option<u64>, message: fmt::Arguments<'_>) {
        if !self.enabled(level) {
            return;
        }
        let line = Line::new(level, connection, message);
        let mut on_terminal = false;
        for sink in self.inner.sinks.iter().filter(|sink| level <= sink.level) {
            on_terminal |= matches!(sink.target, Target::Stderr);
            match &sink.target {
                Target::Syslog(syslog) => {
                    if let Err(failure) = syslog.send(level, line.without_end()) {
                        self.write_here(&Line::new(
                            failure.level(),
                            None,
                            format_args!("{failure}"),
                        ));
                    }
                }
                target => target.write_here(&line),
            }
        }
        if ECHO.get() && level <= Level::Warn && !on_terminal {
            terminal::report(level, message);
        }
    }

    /// Writes a line wherever no syslog server is needed.
    fn write_here(&self, line: &Line) {
        self.inner
            .sinks
            .iter()
            .for_each(|sink| sink.target.write_here(line));
    }
}

impl Target {
    /// Writes a line, unless the target is remote. Nobody could be told that it failed.
    fn write_here(&self, line: &Line) {
        match self {
            Self::File(file) => drop(file.append(line.with_end(), line.unix)),
            Self::Stderr => drop(std::io::stderr().write(line.with_end())),
            Self::Memory(memory) => memory.write(line.with_end()),
            Self::Syslog(_) => {}
        }
    }
}

/// A line, cut to [`MAX_LINE`].
struct Line {
    /// The line with its line feed.
    bytes: Vec<u8>,
    /// The second it was written in.
    unix: i64,
}

impl Line {
    fn new(level: Level, connection: Option<u64>, message: fmt::Arguments<'_>) -> Self {
        let times = clock::now();
        let process = std::process::id();
        let mut line = Self {
            bytes: Vec::with_capacity(256),
            unix: times.unix,
        };
        line.bytes.extend(times.error_log);
        // Writing stops with an error where the line is cut; what came before is kept.
        // A worker has one thread, whose id is that of the process.
        let _ = write!(line, " [{level}] {process}#{process}: ");
        if let Some(connection) = connection {
            let _ = write!(line, "*{connection} ");
        }
        let _ = line.write_fmt(message);
        line.bytes.push(b'\n');
        line
    }

    fn with_end(&self) -> &[u8] {
        &self.bytes
    }

    fn without_end(&self) -> &[u8] {
        &self.bytes[..self.bytes.len() - 1]
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_LINE - 1 - self.bytes.len();
        let text = text.as_bytes();
        self.bytes.extend(&text[..text.len().min(room)]);
        if text.len() <= room {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory_sink(level: Level) -> (Rc<Memory>, Sink) {
        let memory = Memory::new(8192);
        (
            memory.clone(),
            Sink {
                level,
                target: Target::Memory(memory),
            },
        )
    }

    #[test]
    fn a_line_is_nginxs() {
        let (memory, sink) = memory_sink(Level::Error);
        ErrorLog::new([sink]).log(
            Level::Crit,
            Some(7),
            format_args!("open() failed, client: ::1"),
        );
        let text = String::from_utf8(memory.contents()).unwrap();
        let (time, rest) = text.split_at(19);
        assert!(
            time.starts_with("20") && time.as_bytes()[10] == b' ',
            "{time}"
        );
        let id = std::process::id();
        assert_eq!(
            rest,
            format!(" [crit] {id}#{id}: *7 open() failed, client: ::1\n")
        );
    }

    #[test]
    fn every_sink_has_its_level() {
        let (warnings, warn) = memory_sink(Level::Warn);
        let (all, debug) = memory_sink(Level::Debug);
        let log = ErrorLog::new([warn, debug]);
        assert!(log.enabled(Level::Debug));
        log.log(Level::Notice, None, format_args!("quiet"));
        assert_eq!(warnings.contents(), b"");
        assert!(all.contents().ends_with(b": quiet\n"));
        log.log(Level::Warn, None, format_args!("loud"));
        assert!(warnings.contents().ends_with(b": loud\n"));
    }

    #[test]
    fn a_syslog_server_that_is_gone_is_reported_elsewhere() {
        use crate::log::syslog::{Parameters, Server};

        let (memory, sink) = memory_sink(Level::Emerg);
        let gone = |_: &str| Ok(Server::Unix("/nonexistent".into()));
        let syslog = Syslog::new(Parameters::parse("server=x", gone).unwrap());
        let log = ErrorLog::new([
            Sink {
                level: Level::Error,
                target: Target::Syslog(syslog),
            },
            sink,
        ]);
        log.log(Level::Error, None, format_args!("lost"));
        log.log(Level::Error, None, format_args!("lost, too"));
        let text = String::from_utf8(memory.contents()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.contains("[alert]") && text.ends_with("server: unix:/nonexistent\n"),
            "{text}"
        );
    }

    #[test]
    fn nothing_is_enabled_without_sinks() {
        assert!(!ErrorLog::default().enabled(Level::Emerg));
        assert!(!ErrorLog::stderr(Level::Error).enabled(Level::Warn));
        assert!(ErrorLog::stderr(Level::Error).enabled(Level::Error));
    }

    #[test]
    fn long_lines_are_cut() {
        let (memory, sink) = memory_sink(Level::Error);
        let long = "x".repeat(5000);
        ErrorLog::new([sink]).log(Level::Error, None, format_args!("{long}{long}"));
        let line = memory.contents();
        assert_eq!(line.len(), MAX_LINE);
        assert!(line.ends_with(b"x\n"));
    }
}
