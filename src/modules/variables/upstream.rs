//! Variables of upstream servers. No request is passed to any, so that none has a value; formats of
//! logs name them all the same.

use super::{Found, row};
use crate::exchange::{Exchange, Variable};

/// A row for one variable.
const fn unknown(name: &'static str, doc: &'static str) -> Variable {
    row(name, doc, |_, _| None)
}

/// The value of any member of a family.
fn member(_: &Exchange, _: &[u8], _: &mut Vec<u8>) -> Found {
    None
}

pub(super) const ROWS: &[Variable] = &[
    unknown(
        "upstream_addr",
        "The addresses of the servers that were asked.",
    ),
    unknown("upstream_status", "The statuses they answered with."),
    unknown(
        "upstream_connect_time",
        "Seconds it took to connect to them.",
    ),
    unknown(
        "upstream_header_time",
        "Seconds until the heads of their responses came.",
    ),
    unknown(
        "upstream_response_time",
        "Seconds until their responses were complete.",
    ),
    unknown(
        "upstream_response_length",
        "How long the bodies of their responses were.",
    ),
    unknown("upstream_bytes_received", "How many bytes came from them."),
    unknown("upstream_bytes_sent", "How many bytes went to them."),
    unknown(
        "upstream_cache_status",
        "Whether the response came from a cache.",
    ),
    unknown(
        "upstream_cache_last_modified",
        "The Last-Modified field of a cached response.",
    ),
    unknown(
        "upstream_cache_etag",
        "The ETag field of a cached response.",
    ),
    Variable::family("upstream_http_", "A field of their response.", member),
    Variable::family(
        "upstream_trailer_",
        "A field behind the body of their response.",
        member,
    ),
    Variable::family("upstream_cookie_", "A cookie their response sets.", member),
];
