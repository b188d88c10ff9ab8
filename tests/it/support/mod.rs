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
