//! The request as it was read, protocol aside.

use crate::http::{KnownHeader, Method, Span, Version};
use crate::proto::h1::framing::Framing;
use crate::proto::h1::head::{Header, RequestHead};

/// A request: its head, owned, and what was derived from it.
#[derive(Clone, Default)]
pub struct Request {
    /// The bytes the head's spans point into.
    pub bytes: Vec<u8>,
    /// The parsed head.
    pub head: RequestHead,
    /// The host the request is for: lower case, without port and trailing dot.
    pub host: Vec<u8>,
    /// The port named along with the host.
    pub port: Option<u16>,
    /// How the body is framed and whether the connection persists.
    pub framing: Framing,
    /// How many of the bytes came from the configuration, not from the client.
    added: usize,
}

impl Request {
    /// Forgets everything but the memory, ready for the next request.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.head.clear();
        self.host.clear();
        self.port = None;
        self.framing = Framing::default();
        self.added = 0;
    }

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

    /// The request line as it was sent, without its line end; also of a request that could not be
    /// understood.
    pub fn line(&self) -> &[u8] {
        match self.head.line.text.of(&self.bytes) {
            [] => {
                let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
                let start = self.bytes.iter().take_while(|byte| is_end(byte)).count();
                let rest = &self.bytes[start..];
                &rest[..rest.iter().position(is_end).unwrap_or(rest.len())]
            }
            line => line,
        }
    }

    /// Whether the request line was understood, so that method and target are known.
    pub fn has_line(&self) -> bool {
        !self.method_text().is_empty()
    }

    /// The length of the head in bytes.
    pub fn length(&self) -> u64 {
        let end = self.bytes.len() - self.added;
        (end - self.head.line.text.range().start.min(end)) as u64
    }

    /// The version as it was sent; empty for HTTP/0.9.
    pub fn protocol(&self) -> &[u8] {
        self.head.line.protocol.of(&self.bytes)
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

    /// Sets a field: in the place of the first of its name, the only one from now on.
    pub fn set_field(&mut self, name: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        self.added += self.bytes.len() - start;
        let behind = start + name.len();
        let mut header = Header {
            name: Span::new(start, behind),
            value: Span::new(behind, self.bytes.len()),
            known: KnownHeader::from_name(name),
        };
        let bytes = &self.bytes;
        let is_same = |other: &Header| other.name.of(bytes).eq_ignore_ascii_case(name);
        match self.head.headers.iter_mut().find(|other| is_same(other)) {
            Some(first) => {
                header.name = first.name;
                *first = header;
                self.head
                    .retain(|other| *other == header || !is_same(other));
            }
            None => self.head.add(header),
        }
    }

    /// Keeps the fields for whose name `keep` says so.
    pub fn retain_fields(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        let bytes = &self.bytes;
        self.head.retain(|header| keep(header.name.of(bytes)));
    }

    /// All fields as (name, value), in order.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let headers = self.head.headers.iter();
        headers.map(|field| (field.name.of(&self.bytes), field.value.of(&self.bytes)))
    }
}
