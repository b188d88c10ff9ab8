//! The references in docs/ and man/ say what the directive tables say, and every directive is
//! named by some test.

use std::fs;
use std::path::{Path, PathBuf};

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

#[test]
fn every_directive_is_named_by_a_test() {
    let tests = test_text();
    let rows = ALL.iter().flat_map(|module| module.rows());
    let untested: Vec<_> = rows
        .map(|row| row.name)
        .filter(|name| !names(&tests, name))
        .collect();
    assert!(untested.is_empty(), "no test names {untested:?}");
}

/// Whether `name` stands in `text` as a word of its own.
fn names(text: &str, name: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.match_indices(name).any(|(at, _)| {
        let before = text.as_bytes()[..at].last();
        let after = text.as_bytes().get(at + name.len());
        !before.is_some_and(|byte| is_word(*byte)) && !after.is_some_and(|byte| is_word(*byte))
    })
}

/// The text of all tests: the files of tests/, and of src/ what follows `#[cfg(test)]`.
fn test_text() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let whole = sources(&root.join("tests"))
        .into_iter()
        .map(|path| read(&path));
    let parts = sources(&root.join("src")).into_iter().filter_map(|path| {
        let text = read(&path);
        let is_test =
            path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs");
        let start = if is_test {
            0
        } else {
            text.find("#[cfg(test)]\nmod ")?
        };
        Some(text[start..].to_owned())
    });
    whole.chain(parts).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
