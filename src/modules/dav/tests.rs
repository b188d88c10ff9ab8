//! What the rows make of configurations.

use super::{Dav, OFF, Settings, folder_access};
use crate::http::Method;
use crate::modules::fixture::{found_in_server, in_server};

fn settings(text: &str) -> Settings {
    in_server(text, |server| server.settings::<Dav>().as_ref().clone())
}

#[test]
fn methods_are_named_in_any_case() {
    assert_eq!(settings("").methods, 0);
    assert_eq!(settings("dav_methods off;").methods, OFF);
    let two = Method::Put.bit() | Method::Copy.bit();
    assert_eq!(settings("dav_methods PUT copy;").methods, two);
    assert_eq!(settings("dav_methods PUT; dav_methods copy;").methods, two);
    for (text, expected) in [
        ("dav_methods GET;", "invalid value \"GET\""),
        ("dav_methods PUT put;", "duplicate value \"put\""),
    ] {
        assert_eq!(found_in_server(text), [expected], "{text}");
    }
}

#[test]
fn permissions() {
    for (text, access, folder) in [
        ("", 0o600, 0o700),
        ("dav_access user:rw;", 0o600, 0o700),
        ("dav_access user:r;", 0o400, 0o500),
        ("dav_access group:rw all:r;", 0o664, 0o775),
        ("dav_access user:rw group:rw all:rw;", 0o666, 0o777),
    ] {
        let settings = settings(text);
        assert_eq!(settings.access, access, "{text}");
        assert_eq!(folder_access(settings.access), folder, "{text}");
    }
    for text in ["x", "user:", "user:w", "other:rw", "all:rwx"] {
        let found = found_in_server(&format!("dav_access {text};"));
        assert_eq!(found, [format!("invalid value \"{text}\"")]);
    }
}

#[test]
fn depths_and_paths() {
    let settings = settings("min_delete_depth 4; create_full_put_path on;");
    assert_eq!(settings.min_delete_depth, 4);
    assert!(settings.create_full_put_path);
}
