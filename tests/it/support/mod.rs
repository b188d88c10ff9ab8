//! What scenarios are told with: a site to serve, the server serving it, a client that asks.
//!
//! ```ignore
//! let server = Site::http("server { listen 127.0.0.1:%PORT%; root %PREFIX%/html; }")
//!     .file("html/hello", "world")
//!     .start();
//! assert_eq!(server.get("/hello").text(), "world");
//! ```

mod client;
mod server;
mod site;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub use client::{Client, Response};
pub use server::{Server, exists};
pub use site::{Finished, PID_FILE, Site};

/// How long anything may take before a scenario fails. Far more than it needs: only a scenario
/// that fails anyway waits that long.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until `condition` holds.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a program that a scenario is about is there. A scenario that is not tried says so
/// loudly; where CI is set, `.ci/run` has installed everything, so it fails.
#[track_caller]
pub fn is_there(program: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", "command -v \"$0\"", program])
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        assert!(
            std::env::var_os("CI").is_none(),
            "{program} is not installed"
        );
        eprintln!("MISSING: {program} is not installed; this scenario was not tried");
    }
    found
}
