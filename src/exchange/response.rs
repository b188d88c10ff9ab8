//! The response as handlers make it and filters change it; framing comes later.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use super::{Body, Template};
use crate::http::{Entity, Headers, Status, Text, date};

/// A response on its way through the filters.
#[derive(Default)]
pub struct Response {
    /// Its status.
    pub status: Status,
    /// Whether a range of the body may be served instead of it.
    pub ranges: bool,
    /// Whether clients are told that they may ask for ranges (`Accept-Ranges: bytes`).
    pub accepts_ranges: bool,
    /// What is said of the body.
    pub entity: Entity,
    /// `Location`: a path becomes absolute on the wire (`absolute_redirect`).
    pub location: Option<Text>,
    /// All other header fields.
    pub headers: Headers,
    /// The body.
    pub body: Body,
    /// What few responses have.
    pub rare: Rare,
}

/// What few responses have, in memory of its own once there is something.
#[derive(Default)]
pub struct Rare(Option<Box<Extras>>);

/// What [`Rare`] holds.
#[derive(Default)]
pub struct Extras {
    /// The status and how another program words it (`404 Nowhere`). It does not count once the
    /// status is another one.
    pub status_text: Option<Text>,
    /// The charset that whoever answered wants the response to have (`X-Accel-Charset`).
    pub override_charset: Option<Box<[u8]>>,
    /// Fields sent behind the body where the protocol can do that; their values are worked out then.
    pub trailers: Vec<(Text, Template)>,
    /// Lengths of the body before and after it was compressed, as they grow while it is sent
    /// (`$gzip_ratio`).
    pub compressed: Option<Rc<Cell<(u64, u64)>>>,
}

const NO_EXTRAS: &Extras = &Extras {
    status_text: None,
    override_charset: None,
    trailers: Vec::new(),
    compressed: None,
};

impl Deref for Rare {
    type Target = Extras;

    fn deref(&self) -> &Extras {
        self.0.as_deref().unwrap_or(NO_EXTRAS)
    }
}

impl DerefMut for Rare {
    fn deref_mut(&mut self) -> &mut Extras {
        self.0.get_or_insert_default()
    }
}

impl Response {
    /// What stands for the response as long as there is none.
    pub const NONE: &Response = &Response {
        status: Status(0),
        ranges: false,
        accepts_ranges: false,
        entity: Entity::NONE,
        location: None,
        headers: Headers::new(),
        body: Body::Empty,
        rare: Rare(None),
    };

    /// A response with `status` and no body.
    pub fn new(status: Status) -> Response {
        Response::with(status, Entity::NONE, Body::Empty)
    }

    /// A response with `body`, which `entity` describes. It is put together in one place, so that
    /// nothing has to be dropped again.
    pub fn with(status: Status, entity: Entity, body: Body) -> Response {
        Response {
            status,
            ranges: false,
            accepts_ranges: false,
            entity,
            location: None,
            headers: Headers::new(),
            body,
            rare: Rare(None),
        }
    }

    /// A response with the page of its status, which `error_page` may replace.
    pub fn page(status: Status) -> Response {
        Response::with(status, Entity::NONE, Body::Page)
    }

    /// A redirect to `location`, with the page of its status.
    pub fn redirect(status: Status, location: impl Into<Text>) -> Response {
        let mut response = Response::page(status);
        response.location = Some(location.into());
        response
    }

    /// A response with a body from memory.
    pub fn bytes(status: Status, content_type: impl Into<Text>, body: impl Into<Text>) -> Response {
        Response::with(
            status,
            Entity::typed(content_type),
            Body::Bytes(body.into()),
        )
    }

    /// Whether nothing is sent, since the client is taken to be gone or is to be shaken off.
    pub fn is_silent(&self) -> bool {
        let closes = matches!(self.status.as_u16(), 408 | 444 | 499);
        closes && matches!(self.body, Body::Page | Body::Empty)
    }

    /// Whether `Last-Modified` is sent if it is known: what is sent instead of the thing asked for
    /// has a date of its own, which says nothing.
    pub fn is_dated(&self) -> bool {
        matches!(self.status.as_u16(), 200 | 206 | 304)
    }

    /// Sets the only field of that name, or clears it, wherever the response keeps it. A server or
    /// date that is cleared is not sent at all.
    pub fn set_field(&mut self, name: &Text, value: Option<Text>) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("Content-Type") {
            self.set_content_type(value);
        } else if is("ETag") {
            self.entity.etag = value;
        } else if is("Location") {
            self.location = value;
        } else if is("Last-Modified") {
            self.set_last_modified(name, value);
        } else if is("Accept-Ranges") && value.is_none() {
            self.forbid_ranges();
        } else if let Some(value) = value {
            self.headers.set(name.clone(), value);
        } else if is("Server") || is("Date") {
            self.headers.set(name.clone(), Text::EMPTY);
        } else {
            self.headers.remove(name);
        }
    }

    /// Sets the content type, and the charset if it names one.
    fn set_content_type(&mut self, value: Option<Text>) {
        let entity = &mut *self.entity;
        entity.content_type = value;
        let Some(whole) = &entity.content_type else {
            entity.charset = None;
            return;
        };
        let Some(end) = memchr::memchr(b';', whole) else {
            return;
        };
        let parameter = whole[end + 1..].trim_ascii_start();
        let name = parameter.get(..8);
        if name.is_some_and(|name| name.eq_ignore_ascii_case(b"charset=")) {
            let charset = &parameter[8..];
            let charset = charset.strip_prefix(b"\"").unwrap_or(charset);
            let charset = charset.strip_suffix(b"\"").unwrap_or(charset);
            entity.charset = Some(charset.to_vec().into());
            entity.content_type = Some(whole[..end].to_vec().into());
        }
    }

    /// A time in the usual form becomes the response's own; any other goes out as it was written.
    fn set_last_modified(&mut self, name: &Text, value: Option<Text>) {
        self.headers.remove(b"Last-Modified");
        let time = value.as_deref().and_then(date::parse);
        let time = time.filter(|time| value == Some(date::format(*time).to_vec().into()));
        self.entity.last_modified = time;
        if let (None, Some(value)) = (time, value) {
            self.headers.append(name.clone(), value);
        }
    }

    /// Has the entity tag no longer stand for the very bytes, which a filter changes. One that is
    /// no proper tag is dropped.
    pub fn weaken_etag(&mut self) {
        let entity = &mut self.entity;
        entity.etag = match entity.etag.take() {
            Some(tag) if tag.starts_with(b"\"") => Some([b"W/", &*tag].concat().into()),
            Some(tag) if tag.len() > 2 && tag.starts_with(b"W/") => Some(tag),
            _ => None,
        };
    }

    /// Says that parts of the body can't be had, because it is made while it is sent.
    pub fn forbid_ranges(&mut self) {
        self.ranges = false;
        self.accepts_ranges = false;
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
        self.entity = Entity::default();
        self.ranges = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_cheap_to_move() {
        assert!(size_of::<Response>() <= 104, "{}", size_of::<Response>());
    }
}
