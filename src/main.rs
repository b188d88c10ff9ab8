//! The `rowhouse` program.
#![no_main]

rowhouse::program!(rowhouse::cli::run);
