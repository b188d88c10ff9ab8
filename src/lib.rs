//! Rowhouse: a web server that hosts many sites on one machine.
//!
//! The folders are layers: each uses only those declared above it. ARCHITECTURE.md draws
//! the picture, `tests/tidy.rs` keeps it true.

pub mod sys;

pub mod log;

pub mod event;

pub mod http;

pub mod proto;

pub mod net;

pub mod routing;

pub mod exchange;

pub mod config;

pub mod modules;

pub mod worker;

pub mod master;

pub mod cli;
