//! Charsets through whole requests.

use std::fs;

use crate::modules::fixture::{found_in_http, found_in_server};
use crate::modules::tests::trial::{Site, bytes};

const MAPS: &str = "charset_map A B { 58 59; 81 82; } charset_map A UTF-8 { 80 E282AC; 81 C2A9; }";

#[test]
fn charsets_are_added_or_recoded_to() {
    let site = Site::with_http(
        MAPS,
        "charset utf-8; default_type text/plain;
         location /plain { }
         location /off { charset off; }
         location /var { charset $arg_c; source_charset A; }
         location /type { default_type x/y; }
         location /types { default_type x/y; charset_types x/y; }
         location /to { source_charset a; }
         location /from { charset A; source_charset utf-8; }
         location /bytes { charset B; source_charset A; }
         location /same { source_charset UTF-8; }
         location /redirect { return 301 /x; }",
    );
    let latin = b"X\x80\x81\x90";
    let wide = "X\u{20ac}\u{a9}\u{100}".as_bytes();
    type Case<'a> = (&'a str, &'a [u8], &'a [u8], Option<&'a str>);
    let cases: [Case<'_>; 14] = [
        ("/plain", latin, latin, Some("utf-8")),
        ("/off", latin, latin, None),
        ("/var?c=B", latin, b"Y?\x82?", Some("B")),
        ("/var?c=A", latin, latin, Some("A")),
        ("/var?c=none", latin, latin, None),
        ("/var", latin, latin, None),
        ("/type", latin, latin, None),
        ("/types", latin, latin, Some("utf-8")),
        ("/to", latin, "X\u{20ac}\u{a9}?".as_bytes(), Some("UTF-8")),
        ("/from", wide, b"X\x80\x81&#256;", Some("A")),
        ("/from", b"\xff\xc2A\xe2\x82", b"??", Some("A")),
        ("/from", b"\xf7\xbf\xbf\xbfX", b"?X", Some("A")),
        ("/bytes", latin, b"Y?\x82?", Some("B")),
        ("/same", wide, wide, Some("utf-8")),
    ];
    for (target, body, expected, charset) in cases {
        let name = target.split('?').next().unwrap();
        fs::write(site.path(&name[1..]), body).unwrap();
        let mut response = site.get(target, &[]);
        let length = response.body.len();
        let known = response
            .entity
            .charset
            .take()
            .map(|charset| String::from_utf8(charset.to_vec()).unwrap());
        assert_eq!(known.as_deref(), charset, "{target}");
        assert_eq!(bytes(&mut response), expected, "{target}");
        if name == "/bytes" {
            assert_eq!(length, Some(4));
        }
    }
    assert_eq!(site.get("/redirect", &[]).entity.charset, None);
    assert!(
        site.log()
            .contains("no \"charset_map\" between the charsets \"A\" and \"none\"")
    );
}

#[test]
fn what_says_its_charset_is_recoded_where_told() {
    let site = Site::with_http(
        &format!("autoindex on; autoindex_format xml; {MAPS}"),
        "location / { charset A; } location /over/ { charset A; override_charset on; alias FOLDER/; }",
    );
    fs::create_dir(site.path("dir")).unwrap();
    fs::write(site.path("dir/\u{20ac}"), b"").unwrap();
    let response = site.get("/dir/", &[]);
    assert_eq!(response.entity.charset.as_ref().unwrap(), &"utf-8");
    let mut response = site.get("/over/dir/", &[]);
    assert_eq!(response.entity.charset.as_ref().unwrap(), &"A");
    assert!(bytes(&mut response).contains(&0x80));
}

#[test]
fn bodies_of_subrequests_get_the_charset_of_the_response() {
    let site = Site::with_http(
        MAPS,
        "default_type text/html; source_charset A;
         location = /page { charset utf-8; add_before_body /part; add_after_body /own/part; }
         location = /none { add_before_body /part; }
         location /own/ { charset B; alias FOLDER/; }",
    );
    for name in ["page", "none"] {
        fs::write(site.path(name), b"-").unwrap();
    }
    fs::write(site.path("part"), b"X\x80").unwrap();
    let page = bytes(&mut site.get("/page", &[]));
    assert_eq!(page, "X\u{20ac}-X\u{20ac}".as_bytes());
    assert_eq!(bytes(&mut site.get("/none", &[])), b"X\x80-");
}

#[test]
fn mistakes() {
    let cases = [
        (
            "charset_map a A { }",
            "\"charset_map\" between the same charsets \"a\" and \"A\"",
        ),
        (
            "charset_map utf-8 A { }",
            "\"charset_map\" with \"utf-8\" charset should be given in the second column",
        ),
        (
            "charset_map A B { } charset_map b a { }",
            "duplicate \"charset_map\" between \"b\" and \"a\"",
        ),
        ("charset_map A B { 80; }", "invalid parameters number"),
        ("charset_map A B { 100 80; }", "invalid value \"100\""),
        ("charset_map A B { 80 8080; }", "invalid value \"8080\""),
        ("charset_map A B { 80 xy; }", "invalid value \"xy\""),
        ("charset_map A utf-8 { 80 80; }", "invalid value \"80\""),
    ];
    for (text, expected) in cases {
        assert_eq!(found_in_http(text), [expected], "{text}");
    }
    let missing = "no \"charset_map\" between the charsets \"x\" and \"y\"";
    assert_eq!(found_in_server("charset y; source_charset x;"), [missing]);
}
