//! From URIs to files and their types.

use super::{core, location, root};
use crate::exchange::{Alias, Core};
use crate::files::SymlinkMode;
use crate::modules::fixture::found_in_server;
use crate::sys::fs::Symlinks;

#[test]
fn roots() {
    for (text, expected) in [
        ("root a;", "/srv/a"),
        ("root /a/;", "/a"),
        ("root /;", ""),
        ("root \"\";", "/srv/"),
        ("root /a/$1;", "(variables)"),
        ("root $1;", "(variables)"),
    ] {
        let core = core(text);
        assert_eq!(
            (root(&core), &core.alias),
            (expected.to_owned(), &Alias::No),
            "{text}"
        );
    }
}

#[test]
fn aliases_know_their_location() {
    let prefix = |name: &str| Alias::Prefix(name.as_bytes().into());
    for (text, path, alias) in [
        ("location /a/ { alias b/; }", "/srv/b/", prefix("/a/")),
        ("location = /a { alias /b; }", "/b", prefix("/a")),
        ("location ^~ /a { alias /b; }", "/b", prefix("/a")),
        (
            "location ~ ^/a(.*) { alias /b$1; }",
            "(variables)",
            Alias::Whole,
        ),
        ("location ~ /a { alias /b; }", "/b", Alias::Whole),
        (
            "location /a/ { alias /b/; location /a/c/ { } }",
            "/b/",
            prefix("/a/"),
        ),
        (
            "location /a/ { alias /b/; location /a/c { root /d; } }",
            "/d",
            Alias::No,
        ),
        (
            "location /a/ { alias /b/; location /a/c { alias /e; } }",
            "/e",
            prefix("/a/c"),
        ),
        (
            "location /a/ { root /b/; location /a/c { alias /e; } }",
            "/e",
            prefix("/a/c"),
        ),
    ] {
        let core = location(text);
        assert_eq!(
            (root(&core), &core.alias),
            (path.to_owned(), &alias),
            "{text}"
        );
    }
}

#[test]
fn mistakes_in_paths() {
    for (text, expected) in [
        ("root a; root b;", "\"root\" directive is duplicate"),
        ("alias /a; alias /b;", "\"alias\" directive is duplicate"),
        (
            "root /a; alias /b;",
            "\"alias\" directive is duplicate, \"root\" directive was specified earlier",
        ),
        (
            "alias /a; root /b;",
            "\"root\" directive is duplicate, \"alias\" directive was specified earlier",
        ),
        (
            "root /a/$document_root;",
            "the $document_root variable cannot be used in the \"root\" directive",
        ),
        (
            "alias ${realpath_root}/a;",
            "the $realpath_root variable cannot be used in the \"alias\" directive",
        ),
    ] {
        let text = format!("location / {{ {text} }}");
        assert_eq!(found_in_server(&text), [expected], "{text}");
    }
    assert_eq!(
        found_in_server("location @a { alias /b; }"),
        ["the \"alias\" directive cannot be used inside the named location"]
    );
}

#[test]
fn internal_locations() {
    assert!(location("location / { internal; }").internal);
    assert!(location("location / { internal; location /a { } }").internal);
    assert!(!location("location / { location /a { } }").internal);
    assert_eq!(
        found_in_server("location / { internal; internal; }"),
        ["\"internal\" directive is duplicate"]
    );
}

#[test]
fn symbolic_links() {
    let mode = |text: &str| {
        let core = core(text);
        let (mode, from) = &core.symlinks;
        let from = from
            .as_ref()
            .map(|from| from.literal().unwrap_or(b"$").to_vec());
        (*mode, from)
    };
    let (refuse, owner) = (
        SymlinkMode::Check(Symlinks::Refused),
        SymlinkMode::Check(Symlinks::SameOwner),
    );
    assert_eq!(mode("disable_symlinks off;"), (SymlinkMode::Follow, None));
    assert_eq!(mode("disable_symlinks on;"), (refuse, None));
    assert_eq!(
        mode("disable_symlinks from=/a if_not_owner;"),
        (owner, Some(b"/a".to_vec()))
    );
    assert_eq!(
        mode("disable_symlinks on from=$1;"),
        (refuse, Some(b"$".to_vec()))
    );
    for (text, expected) in [
        ("x", "invalid parameter \"x\""),
        (
            "from=/a",
            "\"disable_symlinks\" must have \"off\", \"on\" or \"if_not_owner\" parameter",
        ),
        ("on off", "duplicate parameters \"on off\""),
        (
            "off from=/a",
            "\"from=\" cannot be used with \"off\" parameter",
        ),
    ] {
        assert_eq!(
            found_in_server(&format!("disable_symlinks {text};")),
            [expected],
            "{text}"
        );
    }
}

#[test]
fn temporary_files() {
    let path = |text: &str| (*core(text).client_body_temp_path).clone();
    let plain = path("client_body_temp_path a/;");
    assert_eq!((&plain.path[..], plain.levels), (&b"/srv/a"[..], [0, 0, 0]));
    let deep = path("client_body_temp_path /a 1 2 3;");
    assert_eq!((&deep.path[..], deep.levels), (&b"/a"[..], [1, 2, 3]));
    for text in ["a 0", "a x", "a 5 6", "a 11"] {
        let found = found_in_server(&format!("client_body_temp_path {text};"));
        assert_eq!(
            found,
            ["\"client_body_temp_path\" directive invalid value"],
            "{text}"
        );
    }
}

#[test]
fn media_types() {
    let of_type = |core: &Core, extension: &str| {
        let media_type = core.types.by_extension(extension.as_bytes());
        media_type.map(|found| String::from_utf8_lossy(found).into_owned())
    };
    let plain = core("default_type a/b;");
    assert_eq!(of_type(&plain, "jpg").as_deref(), Some("image/jpeg"));
    assert_eq!(&*plain.default_type, b"a/b");
    let inner = location(
        "types { text/html html; } location / { types { a/b x Y; c/d; } types { e/f z; } }",
    );
    assert_eq!(of_type(&inner, "html"), None);
    assert_eq!(of_type(&inner, "y").as_deref(), Some("a/b"));
    assert_eq!(of_type(&inner, "z").as_deref(), Some("e/f"));
    assert_eq!(location("types { } location / { }").types.len(), 0);
    assert_eq!(
        found_in_server("types { a/b X; c/d x; }"),
        ["duplicate extension \"x\", content type: \"c/d\", previous content type: \"a/b\""]
    );
}
