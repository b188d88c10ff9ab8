//! From a configuration file to what master and workers run on.

use std::path::Path;
use std::rc::Rc;

use super::cgi::Cgi;
use super::core::CoreModule;
use super::events::Events;
use super::process::Process;
use super::upload::Upload;
use super::{ALL, http};
use crate::config::context::{EVENTS, HTTP, SERVER};
use crate::config::{self, Block, Configuration, Diagnostics, Options};
use crate::exchange::{EventSettings, Runtime};

/// Reads the configuration in the file `main`; what was found that does not keep it from being
/// used comes along.
///
/// # Errors
/// All that is wrong with it.
pub fn load(main: &Path, options: &Options) -> Result<(Runtime, Diagnostics), Diagnostics> {
    let configuration = config::load(ALL, main, options)?;
    let mut found = configuration.warnings.mistakes().to_vec();
    let sockets = http::install(&configuration, &mut found);
    let found = configuration.diagnose(found);
    if found.fatal() {
        return Err(found);
    }
    let root = &configuration.root;
    let runtime = Runtime {
        process: root.settings::<Process>().as_ref().clone(),
        events: events(root),
        sockets,
        error_log: root.settings::<CoreModule>().core.error_log.clone(),
        folders: folders(&configuration),
        starter: Rc::clone(&root.settings::<Cgi>().starter),
        logs: Rc::clone(&configuration.logs),
        zones: Rc::clone(&configuration.zones),
    };
    Ok((runtime, found))
}

fn events(root: &Block) -> EventSettings {
    let block = root.within(EVENTS).next().unwrap_or(root);
    block.settings::<Events>().values.clone()
}

/// The folders that servers write to, each once.
fn folders(configuration: &Configuration) -> Vec<Vec<u8>> {
    let mut folders = Vec::new();
    for http in configuration.root.within(HTTP) {
        http.within(SERVER)
            .for_each(|server| add_folders(server, &mut folders));
    }
    folders.sort();
    folders.dedup();
    folders
}

fn add_folders(block: &Block, folders: &mut Vec<Vec<u8>>) {
    folders.extend(block.settings::<Upload>().missing_folders());
    folders.push(
        block
            .settings::<CoreModule>()
            .core
            .client_body_temp_path
            .path
            .clone(),
    );
    block
        .children
        .iter()
        .for_each(|child| add_folders(child, folders));
}
