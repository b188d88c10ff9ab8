//! Rowhouse: a web server that hosts many sites on one machine.
//!
//! The folders are layers: each uses only those declared above it. ARCHITECTURE.md draws
//! the picture, `tests/tidy.rs` keeps it true.

/// The server's name.
pub const NAME: &str = "rowhouse";

/// What the list of processes calls a worker.
pub const WORKER_TITLE: &str = "rowhouse: worker process";

/// Name and version, as `Server` and `-v` show them.
pub const NAME_AND_VERSION: &str = concat!("rowhouse/", env!("CARGO_PKG_VERSION"));

/// Name, version and build (`server_tokens build`).
pub const NAME_AND_BUILD: &str = concat!(
    "rowhouse/",
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("CARGO_PKG_NAME"),
    ")"
);

pub mod sys;

pub mod log;

pub mod event;

pub mod http;

pub mod proto;

pub mod net;

pub mod files;

pub mod routing;

pub mod exchange;

pub mod config;

pub mod modules;

pub mod worker;

pub mod master;

pub mod cli;
