//! The response as handlers make it and filters change it; framing comes later.

use std::cell::Cell;
use std::rc::Rc;

use super::{Body, Template};
use crate::http::Text;
use crate::http::{Headers, Status};

/// A response on its way through the filters.
#[derive(Default)]
pub struct Response {
    /// Its status.
    pub status: Status,
    /// `Content-Type`, without the charset.
    pub content_type: Option<Text>,
    /// The charset added to the content type.
    pub charset: Option<Text>,
    /// `Last-Modified` as seconds since 1970.
    pub last_modified: Option<i64>,
    /// `ETag`, quoted.
    pub etag: Option<Text>,
    /// `Location`: a path is made absolute when the response is framed (`absolute_redirect`).
    pub location: Option<Vec<u8>>,
    /// Whether a range of the body may be served instead of it.
    pub ranges: bool,
    /// All other header fields.
    pub headers: Headers,
    /// Fields sent behind the body where the protocol can do that; their values are worked out then.
    pub trailers: Vec<(Text, Template)>,
    /// Lengths of the body before and after it was compressed, as they grow while it is sent
    /// (`$gzip_ratio`).
    pub compressed: Option<Rc<Cell<(u64, u64)>>>,
    /// The body.
    pub body: Body,
}

impl Response {
    /// A response with `status` and no body.
    pub fn new(status: Status) -> Response {
        Response {
            status,
            ..Response::default()
        }
    }

    /// A response with the page of its status, which `error_page` may replace.
    pub fn page(status: Status) -> Response {
        Response {
            status,
            body: Body::Page,
            ..Response::default()
        }
    }

    /// A redirect to `location`, with the page of its status.
    pub fn redirect(status: Status, location: Vec<u8>) -> Response {
        Response {
            location: Some(location),
            ..Response::page(status)
        }
    }

    /// A response with a body from memory.
    pub fn bytes(status: Status, content_type: impl Into<Text>, body: impl Into<Text>) -> Response {
        Response {
            status,
            content_type: Some(content_type.into()),
            body: Body::Bytes(body.into()),
            ..Response::default()
        }
    }

    /// Whether nothing is sent, since the client is taken to be gone or is to be shaken off.
    pub fn is_silent(&self) -> bool {
        let closes = matches!(self.status.as_u16(), 408 | 444 | 499);
        closes && matches!(self.body, Body::Page | Body::Empty)
    }

    /// Has the entity tag no longer stand for the very bytes, which a filter changes. One that is
    /// no proper tag is dropped.
    pub fn weaken_etag(&mut self) {
        self.etag = match self.etag.take() {
            Some(tag) if tag.starts_with(b"\"") => Some([b"W/", &*tag].concat().into()),
            Some(tag) if tag.len() > 2 && tag.starts_with(b"W/") => Some(tag),
            _ => None,
        };
    }

    /// Says that parts of the body can't be had, because it is made while it is sent.
    pub fn forbid_ranges(&mut self) {
        self.ranges = false;
        self.headers.remove(b"Accept-Ranges");
    }

    /// Tells caches that other clients may get the body in another coding.
    pub fn vary_by_encoding(&mut self) {
        const VALUE: &[u8] = b"Accept-Encoding";
        if !self.headers.get_all(b"Vary").any(|value| value == VALUE) {
            self.headers.append("Vary", VALUE);
        }
    }

    /// Forgets what described the body, for one that is replaced.
    pub fn clear_entity(&mut self) {
        self.content_type = None;
        self.charset = None;
        self.last_modified = None;
        self.etag = None;
        self.ranges = false;
    }
}
