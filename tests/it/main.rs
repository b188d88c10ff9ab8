//! Scenarios against the real binary, on loopback ports it chose itself: each is a
//! configuration, an exchange and what is expected, in one place.
//!
//! `ROWHOUSE_TEST_BIN` names another program to try, such as nginx, to see whether a scenario
//! expects what nginx does.
// A scenario that can't go on has failed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod access;
mod bodies;
mod cgi;
mod cgi_programs;
mod config;
mod dav;
mod dav_ext;
mod files;
mod hosts;
mod http1;
mod logs;
mod process;
mod rewrite;
mod support;
mod upload;
