//! Error log, access-log writers and syslog.
//!
//! [`file`](mod@file) is one log file and [`open_files`] all of a configuration's; [`error_log`] and
//! [`access`] write to them in nginx's formats. Nothing here ever fails a request: what cannot be
//! written is dropped, and the error log says so once a minute.

pub mod access;
pub mod clock;
mod complaint;
pub mod errno;
pub mod error_log;
pub mod facade;
pub mod file;
pub mod level;
pub mod memory;
pub mod named;
pub mod open_files;
pub mod syslog;
pub mod terminal;
