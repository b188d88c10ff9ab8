//! Messages for whoever sits at the terminal: `nginx: [emerg] …`.
//!
//! Commands (`-t`, `-s`) and the first moments of a server speak here, before logs are open. The
//! `simplelog` crate writes the lines, one write each, to standard error.

use std::fmt;
use std::io::{LineWriter, Stderr, stderr};
use std::path::Path;
use std::sync::LazyLock;

use ::log::{LevelFilter, Log, Record};
use simplelog::{Config, ConfigBuilder, WriteLogger};

use super::level::Level;

/// The name messages begin with: the one the program was started by, so that whoever installs it
/// as `nginx` reads what nginx says.
static PROGRAM: LazyLock<String> = LazyLock::new(|| {
    let invoked = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&invoked)
        .file_name()
        .unwrap_or("rowhouse".as_ref());
    name.to_string_lossy().into_owned()
});

static LOGGER: LazyLock<Box<WriteLogger<LineWriter<Stderr>>>> =
    LazyLock::new(|| WriteLogger::new(LevelFilter::Trace, bare(), LineWriter::new(stderr())));

/// Nothing but the message: it carries its own level, of which nginx has more.
fn bare() -> Config {
    let mut config = ConfigBuilder::new();
    config
        .set_time_level(LevelFilter::Off)
        .set_thread_level(LevelFilter::Off)
        .set_target_level(LevelFilter::Off)
        .set_location_level(LevelFilter::Off)
        .set_max_level(LevelFilter::Off);
    config.build()
}

/// Writes `nginx: [level] message`.
pub fn report(level: Level, message: fmt::Arguments<'_>) {
    write(level, format_args!("{}: [{level}] {message}", *PROGRAM));
}

/// Writes `nginx: message`, as for `nginx: the configuration file … syntax is ok`.
pub fn say(message: fmt::Arguments<'_>) {
    write(Level::Notice, format_args!("{}: {message}", *PROGRAM));
}

fn write(level: Level, line: fmt::Arguments<'_>) {
    LOGGER.log(&Record::builder().level(level.into()).args(line).build());
}

impl From<Level> for ::log::Level {
    /// The `log` crate has fewer levels.
    fn from(level: Level) -> Self {
        match level {
            Level::Emerg | Level::Alert | Level::Crit | Level::Error => Self::Error,
            Level::Warn => Self::Warn,
            Level::Notice | Level::Info => Self::Info,
            Level::Debug => Self::Debug,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_the_message_and_nothing_else() {
        let screen = Screen::default();
        let logger = WriteLogger::new(LevelFilter::Trace, bare(), screen.clone());
        for level in [Level::Emerg, Level::Warn, Level::Notice] {
            let args = format_args!("nginx: [{level}] text");
            logger.log(&Record::builder().level(level.into()).args(args).build());
        }
        let shown = String::from_utf8(screen.0.lock().unwrap().clone()).unwrap();
        let expected = "nginx: [emerg] text\nnginx: [warn] text\nnginx: [notice] text\n";
        assert_eq!(shown, expected);
    }
}
