//! The command line: what is to be done, and doing it.

mod check;
mod directives;
mod help;
mod options;
mod paths;
mod reading;
mod send;

use std::ffi::OsString;
use std::process::ExitCode;

use self::options::{Command, Options};
use self::paths::Paths;
use self::reading::Reading;
use crate::log::errno::Errno;
use crate::log::{error_log, facade, terminal};
use crate::master::{self, Invocation};
use crate::sys::process;

/// Runs the program as `arguments`, its own name first, ask for.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    match options::parse(arguments.iter().skip(1).cloned()) {
        Ok(Command::Directives(words)) => directives::show(&words),
        Ok(Command::Serve(options)) => serve(options, arguments),
        Err(mistake) => {
            terminal::say(format_args!("{mistake}"));
            ExitCode::FAILURE
        }
    }
}

/// The program as nginx would be run: versions, a check, a signal, or the server.
fn serve(options: Options, arguments: Vec<OsString>) -> ExitCode {
    if options.version {
        help::show(&options);
        if !options.test {
            return ExitCode::SUCCESS;
        }
    }
    let paths = match Paths::of(&options) {
        Ok(paths) => paths,
        Err(error) => {
            terminal::say(format_args!("[emerg]: getcwd() failed {}", Errno(&error)));
            return ExitCode::FAILURE;
        }
    };
    facade::install();
    error_log::echo_to_terminal(true);
    let reading = Reading::new(paths, &options);
    match options.signal {
        _ if options.test => check::check(&reading, &options),
        Some(signal) => send::send(&reading, signal),
        None => start(reading, arguments),
    }
}

fn start(reading: Reading, arguments: Vec<OsString>) -> ExitCode {
    let Ok(runtime) = reading.read() else {
        return ExitCode::FAILURE;
    };
    // Without it, only the title in the list of processes is missing.
    let _ = process::claim_title();
    let invocation = Invocation {
        arguments,
        log: reading.log.clone(),
        logs: reading.paths.logs(),
        load: Box::new(move || reading.load()),
    };
    master::start(invocation, runtime)
}
