//! The head of a response: status line and header fields, in the order nginx sends them.

use crate::exchange::{Exchange, Response, ServerTokens};
use crate::http::Field;
use crate::http::decimal::append_number;
use crate::proto::h1::response as writer;
use crate::worker::append_date;

/// How the body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delimiter {
    /// There is none.
    Nothing,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// The end of the connection.
    Close,
}

impl Delimiter {
    /// The length that is told beforehand.
    fn length(self) -> Option<u64> {
        match self {
            Delimiter::Length(length) => Some(length),
            Delimiter::Nothing | Delimiter::Chunked | Delimiter::Close => None,
        }
    }
}

/// Appends the head of the exchange's response to `out`.
pub fn write(exchange: &Exchange, delimiter: Delimiter, out: &mut Vec<u8>) {
    let response = &*exchange.response();
    let worded = response.rare.status_text.as_deref();
    match worded.filter(|text| text.starts_with(&response.status.digits())) {
        Some(text) => writer::foreign_status_line(text, out),
        None => writer::status_line(response.status, out),
    }
    // A response may bring its own, or none.
    if !response.headers.contains(b"Server") {
        writer::field(b"Server", server(exchange), out);
    }
    if !response.headers.contains(b"Date") {
        append_date(out);
    }
    let length = delimiter.length();
    response.entity.append(length, response.is_dated(), out);
    if let Some(location) = &response.location {
        out.extend_from_slice(b"Location: ");
        exchange.append_location(location, out);
        out.extend_from_slice(b"\r\n");
    }
    if delimiter == Delimiter::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    connection(exchange, response, out);
    if let Some(etag) = &response.entity.etag {
        writer::field(b"ETag", etag, out);
    }
    for field in &response.headers {
        if !is_suppressed(field) {
            writer::field(&field.name, &field.value, out);
        }
    }
    if response.accepts_ranges {
        out.extend_from_slice(b"Accept-Ranges: bytes\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Whether the field only says that there is to be none of its name.
fn is_suppressed(field: &Field) -> bool {
    let is = |name: &[u8]| field.name.eq_ignore_ascii_case(name);
    field.value.is_empty() && (is(b"Server") || is(b"Date"))
}

fn server(exchange: &Exchange) -> &'static [u8] {
    match exchange.location.core.server_tokens {
        ServerTokens::Unset | ServerTokens::On => crate::NAME_AND_VERSION.as_bytes(),
        ServerTokens::Off => crate::NAME.as_bytes(),
        ServerTokens::Build => crate::NAME_AND_BUILD.as_bytes(),
    }
}

fn connection(exchange: &Exchange, response: &Response, out: &mut Vec<u8>) {
    if response.status.as_u16() == 101 {
        out.extend_from_slice(b"Connection: upgrade\r\n");
        return;
    }
    if !exchange.keep_alive {
        out.extend_from_slice(b"Connection: close\r\n");
        return;
    }
    out.extend_from_slice(b"Connection: keep-alive\r\n");
    if let Some(seconds) = exchange.location.core.keepalive_header {
        out.extend_from_slice(b"Keep-Alive: timeout=");
        append_number(seconds, out);
        out.extend_from_slice(b"\r\n");
    }
}
