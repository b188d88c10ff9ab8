//! Variables of the request: its line, host, arguments and body.

use std::os::unix::ffi::OsStrExt;

use super::{Found, decimal, filled, joined, port, row, seconds, text};
use crate::exchange::{BufferedBody, Exchange, Get, Moment, Variable};
use crate::http::{KnownHeader, basic, hex};
use crate::proto::h1::framing::BodyFraming;

pub(super) const ROWS: &[Variable] = &[
    Variable {
        name: "args",
        doc: "The arguments, without the question mark; setting them changes what is passed on.",
        get: Get::Changeable(args, set_args),
    },
    row("query_string", "The same as `$args`.", args),
    row(
        "is_args",
        "A question mark if there are arguments, else empty.",
        |exchange, out| text(if exchange.args.is_empty() { b"" } else { b"?" }, out),
    ),
    row(
        "uri",
        "The path, decoded and normalised, as rewriting and internal redirects have left it.",
        uri,
    ),
    row("document_uri", "The same as `$uri`.", uri),
    row(
        "request_uri",
        "Path and arguments exactly as the client sent them.",
        request_uri,
    ),
    row("request_method", "The method, such as `GET`.", method),
    row(
        "request",
        "The request line as the client sent it.",
        |exchange, out| filled(exchange.request.line(), out),
    ),
    row(
        "server_protocol",
        "The protocol, such as `HTTP/1.1`.",
        |exchange, out| filled(exchange.request.protocol(), out),
    ),
    row(
        "host",
        "The host of the request line, else of the Host field, in lower case and without port, \
         else the server's name.",
        host,
    ),
    row(
        "request_port",
        "The port named along with the host, if one was.",
        |exchange, out| port(exchange.request.port, out),
    ),
    row(
        "is_request_port",
        "A colon if `$request_port` is not empty, else empty.",
        |exchange, out| {
            let named = exchange.request.port.is_some_and(|port| port > 0);
            text(if named { b":" } else { b"" }, out)
        },
    ),
    row(
        "server_name",
        "The first name of the server that took the request.",
        |exchange, out| text(&exchange.server.name, out),
    ),
    row(
        "remote_user",
        "The user name that came with basic authentication.",
        remote_user,
    ),
    row(
        "content_length",
        "The Content-Length field, or how long a chunked body turned out to be.",
        content_length,
    ),
    row(
        "content_type",
        "The request's Content-Type field.",
        |exchange, out| joined(exchange.request.all(KnownHeader::ContentType), b", ", out),
    ),
    row(
        "request_body",
        "The body, if it was read and is in memory.",
        request_body,
    ),
    row(
        "request_body_file",
        "The temporary file that holds the body, if one does.",
        request_body_file,
    ),
    row(
        "request_length",
        "How many bytes of the request were read: line, header fields and body.",
        |exchange, out| decimal(exchange.request_length(), out),
    ),
    row(
        "request_time",
        "Seconds since the request's first byte was read, with milliseconds.",
        |exchange, out| seconds(Moment::now().since(exchange.started), out),
    ),
    row(
        "request_id",
        "Sixteen random bytes in hexadecimal, different for every request.",
        request_id,
    ),
    row(
        "request_completion",
        "`OK` once the whole response was sent, else empty.",
        |exchange, out| text(if exchange.sent.complete { b"OK" } else { b"" }, out),
    ),
];

fn args(exchange: &Exchange, out: &mut Vec<u8>) -> Found {
    filled(&exchange.args, out)
}

fn set_args(exchange: &mut Exchange, value: &[u8]) {
    exchange.args = value.to_vec();
    exchange.rewritten = true;
}

/// A target that could not be understood is an empty path.
fn uri(exchange: &Exchange, out: &mut Vec<u8>) -> Found {
    let known = exchange.request.has_line() || !exchange.path.is_empty();
    known.then(|| out.extend_from_slice(&exchange.path))
}

/// A request that was refused before its target was understood has none.
fn request_uri(exchange: &Exchange, out: &mut Vec<u8>) -> Found {
    if exchange.path.is_empty() {
        return None;
    }
    filled(exchange.request.target(), out)
}

/// An error page is fetched by another method than was sent.
fn method(exchange: &Exchange, out: &mut Vec<u8>) -> Found {
    if exchange.method == exchange.request.method() {
        filled(exchange.request.method_text(), out)
    } else {
        text(exchange.method.as_str().as_bytes(), out)
    }
}

fn host(exchange: &Exchange, out: &mut Vec<u8>) -> Found {
    match &*exchange.request.host {
        [] => text(&exchange.server.name, out),
        host => text(host, out),
    }
}

fn remote_user(exchange: &Exchange, out: &mut Vec<u8>) -> Found {
    let field = exchange.request.known(KnownHeader::Authorization)?;
    text(&basic::parse(field)?.user, out)
}

fn content_length(exchange: &Exchange, out: &mut Vec<u8>) -> Found {
    if let Some(field) = exchange.request.known(KnownHeader::ContentLength) {
        return text(field, out);
    }
    match exchange.body.buffered()? {
        _ if exchange.request.framing.body != BodyFraming::Chunked => None,
        BufferedBody::Memory(bytes) => decimal(bytes.len() as u64, out),
        BufferedBody::File(file) => decimal(file.length, out),
    }
}

fn request_body(exchange: &Exchange, out: &mut Vec<u8>) -> Found {
    match exchange.body.buffered()? {
        BufferedBody::Memory(bytes) => filled(bytes, out),
        BufferedBody::File(_) => None,
    }
}

fn request_body_file(exchange: &Exchange, out: &mut Vec<u8>) -> Found {
    match exchange.body.buffered()? {
        BufferedBody::Memory(_) => None,
        BufferedBody::File(file) => text(file.path.as_os_str().as_bytes(), out),
    }
}

fn request_id(exchange: &Exchange, out: &mut Vec<u8>) -> Found {
    out.extend(hex::digits(exchange.id()));
    Some(())
}
