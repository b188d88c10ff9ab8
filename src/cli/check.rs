//! `-t` and `-T`: would the server start with this configuration?

use std::io::{self, Write, stdout};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use super::options::Options;
use super::reading::Reading;
use crate::config::Diagnostics;
use crate::log::terminal;
use crate::master::{self, Failed};

/// Checks the configuration and says what came of it.
pub fn check(reading: &Reading, options: &Options) -> ExitCode {
    let name = reading.paths.configuration.display();
    let Ok(found) = try_all(reading, options) else {
        terminal::say(format_args!("configuration file {name} test failed"));
        return ExitCode::FAILURE;
    };
    if !options.quiet {
        terminal::say(format_args!("configuration file {name} test is successful"));
    }
    match options.dump.then(|| dump(&found)) {
        Some(Err(_)) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

fn try_all(reading: &Reading, options: &Options) -> Result<Diagnostics, Failed> {
    let (runtime, found) = reading.read_with_diagnostics()?;
    if !options.quiet {
        let name = reading.paths.configuration.display();
        terminal::say(format_args!("the configuration file {name} syntax is ok"));
    }
    // A check does not mean to signal.
    if options.signal.is_none() {
        master::check(&runtime, &reading.paths.logs(), &reading.log)?;
    }
    Ok(found)
}

/// Writes all files of the configuration to standard output.
fn dump(found: &Diagnostics) -> io::Result<()> {
    let mut out = stdout().lock();
    for source in found
        .sources()
        .iter()
        .filter(|source| !source.path.as_os_str().is_empty())
    {
        out.write_all(b"# configuration file ")?;
        out.write_all(source.path.as_os_str().as_bytes())?;
        out.write_all(b":\n")?;
        out.write_all(&source.text)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}
