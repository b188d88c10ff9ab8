//! The references in docs/ and man/ say what the directive tables say.

use std::fs;
use std::path::Path;

use rowhouse::config::reference;
use rowhouse::modules::ALL;

fn committed(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_list_of_directives_is_up_to_date() {
    let fresh = committed("docs/directives.md") == reference::markdown(ALL);
    assert!(
        fresh,
        "run: cargo run -- directives --markdown > docs/directives.md"
    );
}

#[test]
fn the_manual_page_is_up_to_date() {
    let fresh = committed("man/rowhouse.conf.5") == reference::manual(ALL);
    assert!(
        fresh,
        "run: cargo run -- directives --man > man/rowhouse.conf.5"
    );
}
