//! What clients hear of their uploads: 201 with `Location` and a JSON list, or a redirect.

use std::os::unix::ffi::OsStrExt;

use super::digest::digest_field;
use super::names::hex;
use super::store::{Kind, Store, Stored};
use crate::exchange::{Exchange, LocationKind, Response};
use crate::http::escape::{Escape, escape, escape_json};
use crate::http::{KnownHeader, Method, Status, Text};

/// The answer to a request whose files are stored; with the digest of the only one if that is
/// what the client `wants`.
pub fn stored(exchange: &Exchange, store: &Store, stored: &[Stored], wants: bool) -> Response {
    let base = base(exchange, store);
    let first = stored.iter().find_map(|entry| match &entry.kind {
        Kind::File { name, .. } => Some(url(&base, store, name)),
        _ => None,
    });
    if exchange.request.method() == Method::Post && wants_page(exchange) {
        let redirect = store.settings.redirect.as_ref();
        let to = redirect.map(|to| to.expand(exchange).into_owned());
        return Response::redirect(Status::SEE_OTHER, to.or(first).unwrap_or(base));
    }
    let is_new = |entry: &Stored| matches!(entry.kind, Kind::File { new: true, .. });
    let status = if stored.iter().any(is_new) {
        Status::CREATED
    } else {
        Status::OK
    };
    let mut response = Response {
        location: first.map(Text::Owned),
        ..Response::bytes(status, "application/json", list(&base, store, stored))
    };
    if let ([Stored { field: None, kind }], true) = (stored, wants)
        && let Kind::File { digest, .. } = kind
    {
        response.headers.append("Repr-Digest", digest_field(digest));
    }
    response
}

/// A browser that sent a form shows what it gets.
fn wants_page(exchange: &Exchange) -> bool {
    let accept = exchange.request.known(KnownHeader::Accept);
    accept.is_some_and(|accept| memchr::memmem::find(accept, b"text/html").is_some())
}

/// One object for each part, in the order they came.
fn list(base: &[u8], store: &Store, stored: &[Stored]) -> Vec<u8> {
    let mut out = b"[".to_vec();
    for (index, entry) in stored.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b",\n{" } else { b"{" });
        if let Some(field) = &entry.field {
            member(&mut out, "field", field);
            out.push(b',');
        }
        match &entry.kind {
            Kind::Value(value) => member(&mut out, "value", value),
            Kind::TooLarge(name) => {
                member(&mut out, "name", name.as_bytes());
                out.push(b',');
                member(&mut out, "error", b"larger than upload_max_file_size");
            }
            Kind::File {
                name, size, digest, ..
            } => {
                member(&mut out, "name", name.as_bytes());
                out.extend_from_slice(format!(",\"size\":{size},").as_bytes());
                member(&mut out, "sha256", hex(digest).as_bytes());
                out.push(b',');
                member(&mut out, "url", &url(base, store, name));
            }
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]\n");
    out
}

fn member(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(format!("\"{name}\":\"").as_bytes());
    // JSON is UTF-8, whatever a form's fields are.
    escape_json(String::from_utf8_lossy(value).as_bytes(), out);
    out.push(b'"');
}

/// Below which URI the stored files are: `upload_url`, or where the upload went to.
fn base(exchange: &Exchange, store: &Store) -> Vec<u8> {
    let mut base = Vec::new();
    let location = &exchange.location;
    if let Some(url) = &store.settings.url {
        url.append(exchange, &mut base);
    } else if matches!(location.kind, LocationKind::Prefix | LocationKind::Implicit) {
        escape(&location.name, Escape::Uri, &mut base);
    } else {
        let folder = exchange.path.iter().rposition(|byte| *byte == b'/');
        let folder = &exchange.path[..folder.unwrap_or(0)];
        escape(folder, Escape::Uri, &mut base);
    }
    if base.last() != Some(&b'/') {
        base.push(b'/');
    }
    base
}

fn url(base: &[u8], store: &Store, name: &str) -> Vec<u8> {
    let mut url = base.to_vec();
    for folder in &store.subfolders(name) {
        url.extend_from_slice(folder.as_bytes());
        url.push(b'/');
    }
    escape(name.as_bytes(), Escape::UriComponent, &mut url);
    url
}
