//! The response as handlers make it and filters change it; framing comes later.

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

    /// Forgets what described the body, for one that is replaced.
    pub fn clear_entity(&mut self) {
        self.content_type = None;
        self.charset = None;
        self.last_modified = None;
        self.etag = None;
        self.ranges = false;
    }
}
