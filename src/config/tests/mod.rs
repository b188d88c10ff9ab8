//! The configuration layer as a whole, against a tiny set of made-up modules.

mod diagnose;
mod docs;
mod fake;
mod files;
mod inherit;
mod syntax;

use std::path::Path;

use super::{Configuration, Diagnostics, Options, load_text};

/// Loads a text as `t.conf` with the made-up modules.
fn load(text: &str) -> Result<Configuration, Diagnostics> {
    load_text(fake::ALL, Path::new("t.conf"), text.as_bytes(), &options())
}

fn options() -> Options {
    Options {
        prefix: "/srv".into(),
        conf_prefix: "/srv/conf/".into(),
        ..Options::default()
    }
}

/// Everything found in a text: `line:column message`.
fn found(text: &str) -> Vec<String> {
    match load(text) {
        Ok(configuration) => listed(&configuration.warnings),
        Err(diagnostics) => listed(&diagnostics),
    }
}

fn listed(diagnostics: &Diagnostics) -> Vec<String> {
    let place = |mistake: &super::Mistake| match mistake.at {
        Some(span) => diagnostics.sources().position(span),
        None => super::Position::unknown(),
    };
    let mistakes = diagnostics.mistakes().iter();
    mistakes
        .map(|m| format!("{}:{} {}", place(m).line, place(m).column, m.message))
        .collect()
}
