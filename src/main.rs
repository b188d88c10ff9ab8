//! The `rowhouse` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    rowhouse::cli::run(std::env::args_os().collect())
}
