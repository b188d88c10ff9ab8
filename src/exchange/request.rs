//! The request as it was read, protocol aside.

use crate::http::{KnownHeader, Method, Version};
use crate::proto::h1::framing::Framing;
use crate::proto::h1::head::RequestHead;

/// A request: its head, owned, and what was derived from it.
#[derive(Default)]
pub struct Request {
    /// The bytes the head's spans point into.
    pub bytes: Vec<u8>,
    /// The parsed head.
    pub head: RequestHead,
    /// The host the request is for: lower case, without port and trailing dot.
    pub host: Vec<u8>,
    /// How the body is framed and whether the connection persists.
    pub framing: Framing,
}

impl Request {
    /// The method.
    pub fn method(&self) -> Method {
        self.head.line.method
    }

    /// The method as it was sent.
    pub fn method_text(&self) -> &[u8] {
        self.head.line.method_text.of(&self.bytes)
    }

    /// The target as it was sent, from its path on.
    pub fn target(&self) -> &[u8] {
        self.head.line.target.of(&self.bytes)
    }

    /// The request line as it was sent, without its line end.
    pub fn line(&self) -> &[u8] {
        self.head.line.text.of(&self.bytes)
    }

    /// The protocol's version.
    pub fn version(&self) -> Version {
        self.head.line.version
    }

    /// The value of the first field of that well-known name.
    pub fn known(&self, header: KnownHeader) -> Option<&[u8]> {
        self.head.value(&self.bytes, header)
    }

    /// The values of all fields of that well-known name, in order.
    pub fn all(&self, header: KnownHeader) -> impl Iterator<Item = &[u8]> {
        self.head.values(&self.bytes, header)
    }

    /// All fields as (name, value), in order.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let headers = self.head.headers.iter();
        headers.map(|field| (field.name.of(&self.bytes), field.value.of(&self.bytes)))
    }
}
