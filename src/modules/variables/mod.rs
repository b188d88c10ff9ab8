//! The variables every request has: of the request itself, its connection, its response, the
//! files it maps to, and the process that serves it.

mod connection;
mod fields;
mod files;
mod process;
mod request;
mod response;
mod upstream;

use std::io::Write;

use crate::config::{Directive, Module};
use crate::exchange::{Exchange, Variable};
use crate::http::decimal::append_number;
use crate::net::address::Address;

/// The core variables; the module has no directives.
pub struct Variables;

/// Nothing can be set.
#[derive(Clone, Default)]
pub struct Settings;

impl Module for Variables {
    type Settings = Settings;
    const NAME: &'static str = "variables";
    const DIRECTIVES: &'static [Directive<Settings>] = &[];
    const VARIABLE_GROUPS: &'static [&'static [Variable]] = &[
        request::ROWS,
        fields::ROWS,
        connection::ROWS,
        response::ROWS,
        files::ROWS,
        process::ROWS,
        upstream::ROWS,
    ];
}

/// What a getter gives back: `None` if there is no value.
type Found = Option<()>;

/// A row for one variable.
const fn row(
    name: &'static str,
    doc: &'static str,
    get: fn(&Exchange, &mut Vec<u8>) -> Found,
) -> Variable {
    Variable::plain(name, doc, get)
}

/// The value is `text`.
fn text(text: &[u8], out: &mut Vec<u8>) -> Found {
    out.extend_from_slice(text);
    Some(())
}

/// The value is `text`, and an empty text means there is none.
fn filled(text: &[u8], out: &mut Vec<u8>) -> Found {
    out.extend_from_slice(text);
    (!text.is_empty()).then_some(())
}

/// The value is a number.
fn decimal(value: u64, out: &mut Vec<u8>) -> Found {
    append_number(value, out);
    Some(())
}

/// The value is an address without its port; IPv4 addresses, which every log line has, are written
/// by hand.
pub(super) fn address(address: &Address, out: &mut Vec<u8>) -> Found {
    connection::address(address, out)
}

/// The value is a port; there is a value without one, but it is empty.
pub(super) fn port(port: Option<u16>, out: &mut Vec<u8>) -> Found {
    match port {
        Some(port) if port > 0 => decimal(port.into(), out),
        _ => Some(()),
    }
}

/// The value is a time in seconds with three decimals.
fn seconds(milliseconds: u64, out: &mut Vec<u8>) -> Found {
    append_number(milliseconds / 1000, out);
    write!(out, ".{:03}", milliseconds % 1000).ok()
}

/// The value is all of `values`, with `separator` between them; there is none without any.
fn joined<'a>(
    mut values: impl Iterator<Item = &'a [u8]>,
    separator: &[u8],
    out: &mut Vec<u8>,
) -> Found {
    out.extend_from_slice(values.next()?);
    for value in values {
        out.extend_from_slice(separator);
        out.extend_from_slice(value);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::tests::trial::{Site, field, text as body};

    fn shown(append: impl FnOnce(&mut Vec<u8>) -> Found) -> Option<String> {
        let mut out = Vec::new();
        append(&mut out)?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn values_look_like_nginxs() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(shown(|out| seconds(0, out)), some("0.000"));
        assert_eq!(shown(|out| seconds(61_007, out)), some("61.007"));
        assert_eq!(shown(|out| port(Some(80), out)), some("80"));
        assert_eq!(shown(|out| port(Some(0), out)), some(""));
        assert_eq!(shown(|out| port(None, out)), some(""));
        assert_eq!(shown(|out| filled(b"", out)), None);
        assert_eq!(shown(|out| text(b"", out)), some(""));
    }

    #[test]
    fn repeated_fields_are_joined() {
        for (values, expected) in [
            (&[][..], None),
            (&["a"], Some("a")),
            (&[""], Some("")),
            (&["a", "", "b"], Some("a, , b")),
        ] {
            let found = shown(|out| joined(values.iter().map(|v: &&str| v.as_bytes()), b", ", out));
            assert_eq!(found.as_deref(), expected);
        }
    }

    #[test]
    fn every_variable_has_one_row_and_a_sentence() {
        let rows = || Variables::VARIABLE_GROUPS.iter().copied().flatten();
        for row in rows() {
            assert_eq!(rows().filter(|other| other.name == row.name).count(), 1);
            assert!(row.doc.ends_with('.'), "{}", row.name);
        }
    }

    #[test]
    fn requests_are_described() {
        for (expression, expected) in [
            ("$args|$query_string|$is_args", "a=1&B=2&c=|a=1&B=2&c=|?"),
            ("$arg_a$arg_b$arg_c$arg_d$arg_", "12"),
            ("$uri|$document_uri", "/x y|/x y"),
            ("$request_uri", "/./x%20y?a=1&B=2&c="),
            ("$request_method $server_protocol", "GET HTTP/1.1"),
            ("$request", "GET /./x%20y?a=1&B=2&c= HTTP/1.1"),
            ("$host|$http_host|$server_name", "site|site|site"),
            ("$is_request_port$request_port", ""),
            ("$http_x_many|$http_X_Many", "1, 2|1, 2"),
            ("$http_cookie", "a=1; b=2; A=3"),
            ("$cookie_a$cookie_b$cookie_c", "12"),
            ("$http_none$content_type$content_length", ""),
            ("$remote_user", "user"),
            ("$request_body$request_body_file", ""),
            ("$request_completion$pipe", "."),
            ("$remote_addr:$remote_port", "127.0.0.1:9"),
            ("$scheme$https", "http"),
            ("$connection $connection_requests", "1 1"),
            ("$proxy_protocol_addr$proxy_protocol_tlv_alpn", ""),
            ("$status $bytes_sent $body_bytes_sent", "200 0 0"),
            ("$limit_rate", "0"),
            ("$sent_http_connection", "keep-alive"),
            ("$sent_http_etag$sent_http_x$sent_trailer_x", ""),
        ] {
            let site = Site::new(&format!("return 200 '{expression}';"));
            let response = site.get(
                "/./x%20y?a=1&B=2&c=",
                &[
                    "X-Many: 1",
                    "x-many: 2",
                    "Cookie: a=1; b=2",
                    "Cookie: A=3",
                    "Authorization: Basic dXNlcjpwYXNz",
                ],
            );
            assert_eq!(body(&response), expected, "{expression}");
        }
    }

    #[test]
    fn files_are_named() {
        let site = Site::new("location /a/ { alias FOLDER/b/; return 200 '$request_filename'; }");
        let expected = site.path("b/c").display().to_string();
        assert_eq!(body(&site.get("/a/c", &[])), expected);
        let site = Site::new("return 200 '$document_root $realpath_root $request_filename';");
        let root = site.path("");
        let real = std::fs::canonicalize(&root).unwrap();
        let (root, real) = (root.display(), real.display());
        let root = root.to_string();
        let root = root.trim_end_matches('/');
        let expected = format!("{root} {real} {root}/x");
        assert_eq!(body(&site.get("/x", &[])), expected);
    }

    #[test]
    fn a_response_is_described_while_it_is_made() {
        let site = Site::new(
            "default_type text/x; add_header X-One 1; add_header X-One 2; add_header X-All \
             '$status $sent_http_content_type $sent_http_content_length $sent_http_x_one'; \
             location /a { return 200 abc; } location /b { return 204; }",
        );
        for (target, expected) in [("/a", "200 text/x 3 1, 2"), ("/b", "204   1, 2")] {
            let response = site.get(target, &[]);
            assert_eq!(field(&response, "X-All"), Some(expected), "{target}");
        }
    }

    #[test]
    fn a_request_keeps_its_id() {
        let site = Site::new("return 200 '$request_id $request_id';");
        let ids = || body(&site.get("/", &[]));
        let (first, second) = (ids(), ids());
        let (id, same) = first.split_once(' ').unwrap();
        assert_eq!(id, same);
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(first, second);
    }
}
