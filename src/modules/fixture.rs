//! Configurations for the tests of modules: all modules at work, nothing installed.

use std::path::Path;

use super::ALL;
use crate::config::context::{HTTP, SERVER};
use crate::config::{Block, Configuration, Diagnostics, Options, load_text};

/// Loads `text` with all modules; the prefix is `/srv`, configuration files are in `/srv/conf`.
pub fn load(text: &str) -> Result<Configuration, Diagnostics> {
    let options = Options {
        prefix: "/srv".into(),
        conf_prefix: "/srv/conf/".into(),
        ..Options::default()
    };
    load_text(ALL, Path::new("t.conf"), text.as_bytes(), &options)
}

/// What is found in `text`: messages without their places, in reading order.
pub fn found(text: &str) -> Vec<String> {
    let found = match load(text) {
        Ok(configuration) => configuration.warnings,
        Err(diagnostics) => diagnostics,
    };
    let messages = found
        .mistakes()
        .iter()
        .map(|mistake| mistake.message.clone());
    messages.collect()
}

/// As [`found`], for the inside of `http`.
pub fn found_in_http(text: &str) -> Vec<String> {
    found(&format!("events {{ }} http {{ {text} }}"))
}

/// As [`found`], for the inside of a server.
pub fn found_in_server(text: &str) -> Vec<String> {
    found_in_http(&format!("server {{ {text} }}"))
}

/// Loads the inside of `http` and shows the resulting block.
pub fn in_http<T>(text: &str, show: impl FnOnce(&Block) -> T) -> T {
    let configuration = match load(&format!("events {{ }} http {{ {text} }}")) {
        Ok(configuration) => configuration,
        Err(diagnostics) => panic!("{diagnostics}"),
    };
    let http = configuration.root.within(HTTP).next();
    show(http.unwrap_or(&configuration.root))
}

/// Loads the inside of a server and shows the resulting block.
pub fn in_server<T>(text: &str, show: impl FnOnce(&Block) -> T) -> T {
    in_http(&format!("server {{ {text} }}"), |http| {
        show(http.within(SERVER).next().unwrap_or(http))
    })
}
