//! Families of variables named after header fields, cookies and arguments.

use super::{Found, joined, text};
use crate::exchange::{Exchange, Variable};
use crate::http::{KnownHeader, args, cookie};

/// Families, and those of their members that are asked for often and found faster.
pub(super) const ROWS: &[Variable] = &[
    Variable::family(
        "http_",
        "A field of the request: its name in lower case, with underscores for dashes.",
        |exchange, name, out| {
            let fields = exchange.request.headers();
            let values = fields.filter(|(field, _)| is_called(field, name));
            joined(values.map(|(_, value)| value), b", ", out)
        },
    ),
    Variable::plain("http_host", "The request's Host field.", |exchange, out| {
        known(exchange, KnownHeader::Host, out)
    }),
    Variable::plain(
        "http_user_agent",
        "The request's User-Agent field.",
        |exchange, out| known(exchange, KnownHeader::UserAgent, out),
    ),
    Variable::plain(
        "http_referer",
        "The request's Referer field.",
        |exchange, out| known(exchange, KnownHeader::Referer, out),
    ),
    Variable::plain("http_via", "The request's Via fields.", |exchange, out| {
        known(exchange, KnownHeader::Via, out)
    }),
    Variable::plain(
        "http_x_forwarded_for",
        "The request's X-Forwarded-For fields.",
        |exchange, out| known(exchange, KnownHeader::XForwardedFor, out),
    ),
    Variable::plain(
        "http_cookie",
        "The request's Cookie fields, joined by semicolons.",
        |exchange, out| joined(exchange.request.all(KnownHeader::Cookie), b"; ", out),
    ),
    Variable::family(
        "cookie_",
        "The cookie of that name.",
        |exchange, name, out| {
            let mut fields = exchange.request.all(KnownHeader::Cookie);
            text(fields.find_map(|field| cookie::find(field, name))?, out)
        },
    ),
    Variable::family(
        "arg_",
        "The argument of that name in the request line, not decoded.",
        |exchange, name, out| match name {
            [] => None,
            name => text(args::find(&exchange.args, name)?, out),
        },
    ),
    Variable::family(
        "sent_http_",
        "A field of the response: its name in lower case, with underscores for dashes.",
        |exchange, name, out| {
            let response = exchange.response();
            let fields = response.headers.iter();
            let values = fields.filter(|field| is_called(&field.name, name));
            let ranges = response.accepts_ranges && name == b"accept_ranges";
            let values = values.map(|field| field.value.as_bytes());
            joined(values.chain(ranges.then_some(&b"bytes"[..])), b", ", out)
        },
    ),
    Variable::family(
        "sent_trailer_",
        "A field sent behind the response's body, named as in `$sent_http_NAME`.",
        |exchange, name, out| {
            let fields = exchange.sent.trailers.iter();
            let values = fields.filter(|field| is_called(&field.name, name));
            joined(values.map(|field| field.value.as_bytes()), b", ", out)
        },
    ),
];

fn known(exchange: &Exchange, header: KnownHeader, out: &mut Vec<u8>) -> Found {
    joined(exchange.request.all(header), b", ", out)
}

/// Whether a variable's `name` means the field called `field`.
fn is_called(field: &[u8], name: &[u8]) -> bool {
    let folded = |byte: &u8| match byte {
        b'-' => b'_',
        byte => byte.to_ascii_lowercase(),
    };
    field.len() == name.len() && field.iter().map(folded).eq(name.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_called_by_folded_names() {
        for (field, name, expected) in [
            ("User-Agent", "user_agent", true),
            ("USER_AGENT", "user_agent", true),
            ("X", "x", true),
            ("X-", "x", false),
            ("X", "x_", false),
            ("", "", true),
        ] {
            let called = is_called(field.as_bytes(), name.as_bytes());
            assert_eq!(called, expected, "{field} {name}");
        }
    }
}
