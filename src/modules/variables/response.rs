//! Variables of the response: its status, its length, and those of its fields that are no plain
//! list entries.

use super::{Found, decimal, row, text};
use crate::config::units;
use crate::exchange::{Exchange, Get, Variable};
use crate::http::Status;
use crate::log::level::Level;

pub(super) const ROWS: &[Variable] = &[
    row("status", "The response's status.", |exchange, out| {
        let status = exchange.status_override;
        let status = status.unwrap_or_else(|| exchange.response().status);
        text(&status.digits(), out)
    }),
    row(
        "bytes_sent",
        "How many bytes went to the client.",
        |exchange, out| decimal(exchange.sent.head + exchange.sent.body, out),
    ),
    row(
        "body_bytes_sent",
        "How many bytes went to the client, not counting the head.",
        |exchange, out| decimal(exchange.sent.body, out),
    ),
    Variable {
        name: "limit_rate",
        doc: "How many bytes a second the client may get; 0 is no limit, and setting it sets one.",
        get: Get::Changeable(
            |exchange, out| decimal(exchange.limit_rate.unwrap_or(0), out),
            set_limit_rate,
        ),
    },
    row(
        "sent_http_content_type",
        "The response's Content-Type field.",
        content_type,
    ),
    row(
        "sent_http_content_length",
        "The response's Content-Length field.",
        content_length,
    ),
    row(
        "sent_http_location",
        "The response's Location field.",
        location,
    ),
    row(
        "sent_http_last_modified",
        "The response's Last-Modified field.",
        last_modified,
    ),
    row(
        "sent_http_etag",
        "The response's ETag field.",
        |exchange, out| text(exchange.response().entity.etag.as_ref()?, out),
    ),
    row(
        "sent_http_connection",
        "The response's Connection field.",
        connection,
    ),
    row(
        "sent_http_keep_alive",
        "The response's Keep-Alive field.",
        keep_alive,
    ),
    row(
        "sent_http_transfer_encoding",
        "The response's Transfer-Encoding field.",
        |exchange, out| exchange.sent.chunked.then(|| out.extend(b"chunked")),
    ),
];

fn set_limit_rate(exchange: &mut Exchange, value: &[u8]) {
    match units::size(value) {
        Some(rate) => exchange.limit_rate = Some(rate),
        None => {
            let value = String::from_utf8_lossy(value);
            let message = format_args!("invalid $limit_rate \"{value}\"");
            exchange.log(Level::Error, message);
        }
    }
}

/// What the head said, or what it was told to say.
fn location(exchange: &Exchange, out: &mut Vec<u8>) -> Found {
    let response = exchange.response();
    let location = response.location.as_ref()?;
    match exchange.sent.head {
        0 => out.extend_from_slice(location),
        _ => exchange.append_location(location, out),
    }
    Some(())
}

/// What the head said, or would say of a file.
fn last_modified(exchange: &Exchange, out: &mut Vec<u8>) -> Found {
    let response = exchange.response();
    let was_sent = exchange.sent.head > 0;
    let date = response.entity.date();
    text(&date.filter(|_| response.is_dated() || !was_sent)?, out)
}

fn content_type(exchange: &Exchange, out: &mut Vec<u8>) -> Found {
    let response = exchange.response();
    out.extend_from_slice(response.entity.content_type.as_ref()?);
    if let Some(charset) = &response.entity.charset {
        out.extend_from_slice(b"; charset=");
        out.extend_from_slice(charset);
    }
    Some(())
}

/// What the head announced, or would announce of a response that has not been sent yet.
fn content_length(exchange: &Exchange, out: &mut Vec<u8>) -> Found {
    let response = exchange.response();
    let length = match exchange.sent.head {
        0 if response.status.is_bodyless() => None,
        0 => response.body.len(),
        _ => exchange.sent.length,
    };
    decimal(length?, out)
}

fn connection(exchange: &Exchange, out: &mut Vec<u8>) -> Found {
    let upgraded = exchange.response().status == Status::SWITCHING_PROTOCOLS;
    match exchange.keep_alive {
        _ if upgraded => text(b"upgrade", out),
        true => text(b"keep-alive", out),
        false => text(b"close", out),
    }
}

fn keep_alive(exchange: &Exchange, out: &mut Vec<u8>) -> Found {
    let timeout = exchange.location.core.keepalive_header;
    let timeout = timeout.filter(|_| exchange.keep_alive)?;
    out.extend_from_slice(b"timeout=");
    decimal(timeout, out)
}
