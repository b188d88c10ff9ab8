//! `rowhouse directives`: the reference of the configuration's directives.

use std::ffi::OsString;
use std::io::{Write, stdout};
use std::process::ExitCode;

use crate::config::reference;
use crate::log::terminal;
use crate::modules::ALL;

/// Shows all directives in a line each, one of them in full, or all as a document.
pub fn show(words: &[OsString]) -> ExitCode {
    let text = match words {
        [] => reference::list(ALL),
        [word] => match word.to_str().unwrap_or_default() {
            "--markdown" => reference::markdown(ALL),
            "--man" => reference::manual(ALL),
            name => match reference::describe(ALL, name) {
                Ok(text) => text,
                Err(near) => return unknown(name, near),
            },
        },
        [_, more, ..] => {
            terminal::say(format_args!("invalid option: \"{}\"", more.display()));
            return ExitCode::FAILURE;
        }
    };
    match stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn unknown(name: &str, near: Option<&str>) -> ExitCode {
    match near {
        Some(near) => terminal::say(format_args!(
            "unknown directive \"{name}\", did you mean \"{near}\"?"
        )),
        None => terminal::say(format_args!("unknown directive \"{name}\"")),
    }
    ExitCode::FAILURE
}
