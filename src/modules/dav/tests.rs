//! What the rows make of configurations.

use super::rows::OFF;
use super::{Dav, Settings, folder_access};
use crate::http::Method;
use crate::modules::fixture::{found_in_http, found_in_server, in_server};

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

#[test]
fn locks_need_a_zone() {
    let zone = "dav_ext_lock_zone zone=a:1m timeout=5m;";
    for (text, expected) in [
        ("zone=a:1m", None),
        ("zone=a:1m timeout=1h", None),
        ("zone=a", Some("invalid zone size \"zone=a\"")),
        ("zone=a:1k", Some("zone \"zone=a:1k\" is too small")),
        (
            "timeout=5s",
            Some("\"dav_ext_lock_zone\" must have \"zone\" parameter"),
        ),
        (
            "zone=a:1m timeout=0",
            Some("invalid parameter \"timeout=0\""),
        ),
        ("zone=a:1m x", Some("invalid parameter \"x\"")),
    ] {
        let found = found_in_http(&format!("dav_ext_lock_zone {text};"));
        let found = found.first().map(String::as_str);
        assert_eq!(found, expected, "{text}");
    }
    assert_eq!(
        found_in_http(&format!("{zone} dav_ext_lock zone=a;")),
        [""; 0]
    );
    assert_eq!(
        found_in_http(&format!("{zone} {zone}")),
        ["duplicate zone \"a\""]
    );
    assert_eq!(
        found_in_server("dav_ext_lock zone=b;"),
        ["zero size shared memory zone \"b\""]
    );
    assert_eq!(
        found_in_server("dav_ext_lock b;"),
        ["invalid parameter \"b\""]
    );
}

#[test]
fn methods_of_the_extension() {
    let both = Method::Propfind.bit() | Method::Options.bit();
    let settings = settings("dav_ext_methods propfind OPTIONS; dav_rfc4918 on;");
    assert_eq!((settings.ext_methods, settings.rfc4918), (both, true));
    assert_eq!(
        found_in_server("dav_ext_methods PUT;"),
        ["invalid value \"PUT\""]
    );
}
