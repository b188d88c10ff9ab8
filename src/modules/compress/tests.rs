//! Compression through whole requests.

use std::fs;
use std::io::{Read, Write};

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use proptest::prelude::*;

use crate::exchange::Transform;
use crate::modules::fixture::{found_in_http, found_in_server};
use crate::modules::tests::trial::{Site, bytes, field, status};

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    MultiGzDecoder::new(bytes).read_to_end(&mut out).unwrap();
    out
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const TEXT: &str = "All work and no play makes Jack a dull boy. ";

#[test]
fn bodies_are_compressed_for_who_likes_it() {
    let site = Site::new(
        "types { text/html html; text/plain txt; } gzip on;
         location /level { gzip_comp_level 9; gzip_window 1k; alias FOLDER/a.html; default_type text/html; }
         location /long { gzip_min_length 100000; alias FOLDER/a.html; default_type text/html; }
         location /types { gzip_types text/plain; alias FOLDER/; }
         location /all { gzip_types *; alias FOLDER/a.txt; default_type x/y; }
         location /off { gzip off; alias FOLDER/a.html; default_type text/html; }
         location /1.0 { gzip_http_version 1.0; alias FOLDER/a.html; default_type text/html; }
         location /agent { gzip_disable msie6 'Bad\\d'; alias FOLDER/a.html; default_type text/html; }
         location /202 { default_type text/html; return 202 'long enough to be compressed'; }",
    );
    let text = TEXT.repeat(2000);
    site.write("a.html", &text);
    site.write("a.txt", &text);
    site.write("short.html", "short");
    let accept = "Accept-Encoding: deflate, gzip;q=0.5";
    let cases: [(&str, &[&str], bool); 15] = [
        ("/a.html", &[accept], true),
        ("/a.html", &[], false),
        ("/a.html", &["Accept-Encoding: gzip;q=0"], false),
        ("/a.html", &[accept, "Via: 1.1 x"], false),
        ("/a.txt", &[accept], false),
        ("/short.html", &[accept], false),
        ("/none.html", &[accept], true),
        ("/level", &[accept], true),
        ("/long", &[accept], false),
        ("/types/a.txt", &[accept], true),
        ("/types/a.html", &[accept], true),
        ("/all", &[accept], true),
        ("/off", &[accept], false),
        ("/agent", &[accept, "User-Agent: bad1"], false),
        ("/202", &[accept], false),
    ];
    for (target, headers, expected) in cases {
        let mut response = site.get(target, headers);
        let plain = bytes(&mut site.get(target, &[]));
        let encoded = field(&response, "Content-Encoding") == Some("gzip");
        assert_eq!(encoded, expected, "{target} {headers:?}");
        let body = bytes(&mut response);
        assert_eq!(
            plain,
            if encoded { gunzip(&body) } else { body },
            "{target}"
        );
    }
    let old = "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)";
    let response = site.get("/agent", &[accept, &format!("User-Agent: {old}")]);
    assert_eq!(field(&response, "Content-Encoding"), None);
}

#[test]
fn validators_become_weak_and_ranges_impossible() {
    let site = Site::new("default_type text/html; gzip on; gzip_vary on;");
    site.write("a", &TEXT.repeat(10));
    let plain = site.get("/a", &[]);
    assert_eq!(field(&plain, "Vary"), Some("Accept-Encoding"));
    assert_eq!(field(&plain, "Accept-Ranges"), Some("bytes"));
    let tag = plain.entity.etag.clone().unwrap();
    let response = site.get("/a", &["Accept-Encoding: gzip", "Range: bytes=0-1"]);
    assert_eq!(status(&response), 200);
    assert_eq!(field(&response, "Accept-Ranges"), None);
    assert_eq!(field(&response, "Vary"), Some("Accept-Encoding"));
    assert_eq!(
        response.entity.etag.clone().unwrap().to_vec(),
        [b"W/", &*tag].concat()
    );
}

#[test]
fn responses_for_proxies() {
    let cases = [
        ("off", "", false),
        ("any", "", true),
        ("auth", "expires 1h;", false),
        ("expired", "expires epoch;", true),
        ("expired", "expires 1h;", false),
        ("expired", "", true),
        ("no_etag", "", false),
        ("no_last_modified", "", false),
        ("no-cache", "add_header Cache-Control 'a, no-cache';", true),
        ("no-store", "add_header Cache-Control no-store;", true),
        ("private", "add_header Cache-Control private;", true),
        (
            "private no-cache",
            "add_header Cache-Control no-store;",
            false,
        ),
    ];
    for (proxied, rest, expected) in cases {
        let site = Site::new(&format!(
            "default_type text/html; gzip on; gzip_proxied {proxied}; {rest}"
        ));
        site.write("a", TEXT);
        let response = site.get("/a", &["Accept-Encoding: gzip", "Via: 1.1 x"]);
        let encoded = field(&response, "Content-Encoding").is_some();
        assert_eq!(encoded, expected, "{proxied} {rest}");
    }
    let site = Site::new("default_type text/html; gzip on; gzip_proxied auth; expires 1h;");
    site.write("a", TEXT);
    let response = site.get(
        "/a",
        &["Accept-Encoding: gzip", "Via: x", "Authorization: x"],
    );
    assert!(field(&response, "Content-Encoding").is_some());
}

#[test]
fn compressed_files_take_the_place_of_plain_ones() {
    let site = Site::new(
        "gzip_vary on; location / { gzip_static on; } location /always/ { alias FOLDER/; gzip_static always; }",
    );
    site.write("a", "plain");
    site.write("c", "plain");
    fs::write(site.path("a.gz"), gzip(b"compressed")).unwrap();
    fs::create_dir(site.path("c.gz")).unwrap();
    let accept: &[&str] = &["Accept-Encoding: gzip"];
    let cases = [
        (
            "/a",
            accept,
            Some("gzip"),
            Some("Accept-Encoding"),
            "compressed",
        ),
        ("/a", &[], None, Some("Accept-Encoding"), "plain"),
        ("/always/a", &[], Some("gzip"), None, "compressed"),
        ("/c", accept, None, Some("Accept-Encoding"), "plain"),
        ("/always/c", accept, None, None, "plain"),
    ];
    for (target, headers, encoding, vary, expected) in cases {
        let mut response = site.get(target, headers);
        assert_eq!(field(&response, "Content-Encoding"), encoding, "{target}");
        assert_eq!(field(&response, "Vary"), vary, "{target} {headers:?}");
        let body = bytes(&mut response);
        let body = if encoding.is_some() {
            gunzip(&body)
        } else {
            body
        };
        assert_eq!(body, expected.as_bytes(), "{target}");
    }
    assert_eq!(status(&site.get("/none", accept)), 404);
}

#[test]
fn who_does_not_like_gzip_gets_it_undone() {
    let site = Site::new("gzip_vary on; gunzip on; gzip_static always;");
    let text = TEXT.repeat(3000);
    let member = gzip(text.as_bytes());
    fs::write(site.path("one"), b"").unwrap();
    fs::write(site.path("one.gz"), &member).unwrap();
    fs::write(site.path("two.gz"), member.repeat(2)).unwrap();
    for (target, times) in [("/one", 1), ("/two", 2)] {
        let mut response = site.get(target, &[]);
        assert_eq!(field(&response, "Content-Encoding"), None);
        assert_eq!(field(&response, "Vary"), Some("Accept-Encoding"));
        assert!(response.entity.etag.as_ref().unwrap().starts_with(b"W/"));
        assert_eq!(bytes(&mut response), text.repeat(times).as_bytes());
        let mut response = site.get(target, &["Accept-Encoding: gzip"]);
        assert_eq!(field(&response, "Content-Encoding"), Some("gzip"));
        assert_eq!(bytes(&mut response), member.repeat(times));
    }
}

#[test]
fn words_that_tune_and_mistakes() {
    let cases = [
        (
            "gzip_buffers 4 8k; gunzip_buffers 4 8k; gzip_hash 4k; gzip_no_buffer on; postpone_gzipping 1k;",
            0,
        ),
        ("gzip_comp_level 0;", 1),
        ("gzip_comp_level 10;", 1),
        ("gzip_window 3k;", 1),
        ("gzip_proxied some;", 1),
        ("gzip_http_version 2;", 1),
        ("gzip_static maybe;", 1),
        ("gzip_disable '(';", 1),
    ];
    for (text, expected) in cases {
        assert_eq!(found_in_server(text).len(), expected, "{text}");
    }
}

#[test]
fn the_coding_that_is_liked_best() {
    let site = Site::new(
        "default_type text/html; gzip on; brotli on; zstd on; gzip_vary on;
         brotli_comp_level 4; brotli_window 64k; zstd_comp_level 3;
         location /gzip { brotli off; zstd off; }
         location /types { default_type text/plain; brotli_types text/plain; }
         location /long { brotli_min_length 1m; zstd_min_length 1m; }",
    );
    let text = TEXT.repeat(2000);
    for name in ["a", "gzip", "types", "long"] {
        site.write(name, &text);
    }
    let cases = [
        ("/a", "gzip, br, zstd", Some("zstd")),
        ("/a", "gzip, br", Some("br")),
        ("/a", "zstd;q=0.5, br;q=0.8, gzip;q=0.7", Some("br")),
        ("/a", "zstd;q=0, br;q=0, gzip;q=0.1", Some("gzip")),
        ("/a", "zstd;q=0.1, gzip", Some("gzip")),
        ("/a", "identity", None),
        ("/gzip", "br, zstd", None),
        ("/gzip", "br, zstd, gzip", Some("gzip")),
        ("/types", "gzip, br, zstd", Some("br")),
        ("/long", "gzip, br, zstd", Some("gzip")),
    ];
    for (target, accepted, expected) in cases {
        let mut response = site.get(target, &[&format!("Accept-Encoding: {accepted}")]);
        assert_eq!(
            field(&response, "Content-Encoding"),
            expected,
            "{target} {accepted}"
        );
        assert_eq!(field(&response, "Vary"), Some("Accept-Encoding"));
        let body = bytes(&mut response);
        assert_eq!(
            decoded(&body, expected),
            text.as_bytes(),
            "{target} {accepted}"
        );
    }
}

fn decoded(body: &[u8], coding: Option<&str>) -> Vec<u8> {
    let mut out = Vec::new();
    match coding {
        Some("zstd") => out = zstd::decode_all(body).unwrap(),
        Some("br") => drop(
            brotli::Decompressor::new(body, 4096)
                .read_to_end(&mut out)
                .unwrap(),
        ),
        Some(_) => out = gunzip(body),
        None => out.extend_from_slice(body),
    }
    out
}

proptest! {
    #[test]
    fn any_cut_and_any_flushes_give_the_body_back(
        parts in prop::collection::vec((prop::collection::vec(0u8..4, 0..2000), any::<bool>()), 0..6),
    ) {
        fn run(mut transform: impl Transform, parts: &[(Vec<u8>, bool)]) -> Vec<u8> {
            let mut out = Vec::new();
            for (part, flush) in parts {
                assert_eq!(transform.feed(part, &mut out).unwrap(), part.len());
                if *flush {
                    transform.flush(&mut out).unwrap();
                }
            }
            transform.finish(&mut out).unwrap();
            out
        }
        let whole: Vec<u8> = parts.iter().flat_map(|(part, _)| part.clone()).collect();
        let compressed = run(super::zstd::Zstd::new(1, None), &parts);
        prop_assert_eq!(&decoded(&compressed, Some("zstd")), &whole);
        let dictionary = Some(b"0123".as_slice().into());
        let compressed = run(super::zstd::Zstd::new(3, dictionary), &parts);
        let mut decoder = zstd::Decoder::with_dictionary(&compressed[..], b"0123").unwrap();
        let mut out = Vec::new();
        decoder.read_to_end(&mut out).unwrap();
        prop_assert_eq!(&out, &whole);
        let compressed = run(super::brotli::Brotli::new(5, 19), &parts);
        prop_assert_eq!(&decoded(&compressed, Some("br")), &whole);
    }
}

#[test]
fn the_compressed_file_that_is_liked_best() {
    let site = Site::new(
        "gzip_static on; brotli_static on; zstd_static on; location /always/ { alias FOLDER/; gzip_static off; brotli_static always; zstd_static off; }",
    );
    for name in ["a", "a.gz", "a.br", "a.zst", "b.gz"] {
        site.write(name, name);
    }
    let cases = [
        ("/a", "gzip, br, zstd", "a.zst"),
        ("/a", "gzip;q=0.9, br, zstd;q=0.8", "a.br"),
        ("/a", "gzip", "a.gz"),
        ("/a", "identity", "a"),
        ("/b", "gzip;q=0.1, br", "b.gz"),
        ("/always/a", "identity", "a.br"),
    ];
    for (target, accepted, expected) in cases {
        let mut response = site.get(target, &[&format!("Accept-Encoding: {accepted}")]);
        assert_eq!(
            bytes(&mut response),
            expected.as_bytes(),
            "{target} {accepted}"
        );
    }
}

#[test]
fn zstd_with_a_dictionary() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dictionary");
    let dictionary = b"No such words stand in a page as stand in this dictionary.";
    fs::write(&file, dictionary).unwrap();
    let http = format!("zstd_dict_file {}; zstd on;", file.display());
    let site = Site::with_http(
        &http,
        "default_type text/html; location /2 { zstd_comp_level -3; }",
    );
    let text = [&dictionary[..], b" Or do they?"].concat();
    for name in ["1", "2"] {
        fs::write(site.path(name), &text).unwrap();
        let body = bytes(&mut site.get(&format!("/{name}"), &["Accept-Encoding: zstd"]));
        assert!(body.len() < text.len() / 2);
        let decoder = zstd::Decoder::with_dictionary(&body[..], dictionary);
        let mut out = Vec::new();
        decoder.unwrap().read_to_end(&mut out).unwrap();
        assert_eq!(out, text);
    }
    let missing = "zstd_dict_file /nowhere/to/be/found;";
    let expected = "open() \"/nowhere/to/be/found\" failed (2: No such file or directory)";
    assert_eq!(found_in_http(missing), [expected]);
}

#[test]
fn types_may_be_listed_bit_by_bit() {
    let site = Site::new(
        "gzip on; gzip_types text/a; gzip_types text/b text/B;
         location /b { default_type text/b; } location /own { default_type text/b; gzip_types text/c; }
         location /parameter { default_type 'text/b; x=y'; }",
    );
    for (name, expected) in [("b", true), ("own", false), ("parameter", false)] {
        site.write(name, TEXT);
        let response = site.get(&format!("/{name}"), &["Accept-Encoding: gzip"]);
        assert_eq!(
            field(&response, "Content-Encoding").is_some(),
            expected,
            "{name}"
        );
    }
    let warning = "duplicate MIME type \"text/html\"";
    assert_eq!(found_in_server("gzip_types text/html;"), [warning]);
}

#[test]
fn ratios_are_known_to_the_log() {
    let site = Site::with_http(
        "log_format l '$uri $gzip_ratio $brotli_ratio $zstd_ratio'; access_log FOLDER/log l;",
        "default_type text/html; location /none { } location /gzip { gzip on; }",
    );
    for name in ["none", "gzip"] {
        site.write(name, TEXT);
        site.visit(&format!("/{name}"), &["Accept-Encoding: gzip"]);
    }
    // Nothing of the body was sent here.
    let log = fs::read_to_string(site.path("log")).unwrap();
    assert_eq!(log, "/none - - -\n/gzip - - -\n");
}

#[test]
fn brotli_and_zstd_words_that_tune_and_mistakes() {
    let cases = [
        ("brotli_buffers 4 8k; zstd_buffers 4 8k;", 0),
        (
            "brotli_comp_level 0; brotli_window 16m; zstd_comp_level 22; zstd_types *;",
            0,
        ),
        ("brotli_comp_level 12;", 1),
        ("brotli_window 32m;", 1),
        ("zstd_comp_level 0;", 1),
        ("zstd_comp_level -3;", 0),
        ("gzip_comp_level -1;", 1),
        ("gzip_comp_level +1;", 1),
    ];
    for (text, expected) in cases {
        assert_eq!(found_in_server(text).len(), expected, "{text}");
    }
}
