//! The protocol version of a request (RFC 9110 section 2.5).

/// The versions a request can arrive in, oldest first, so they compare as one expects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// `GET /path` and nothing else.
    Http09,
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1, and every later HTTP/1.x.
    #[default]
    Http11,
    /// HTTP/2.
    Http2,
    /// HTTP/3.
    Http3,
}

impl Version {
    /// The name as it stands in a request line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Version::Http09 => "HTTP/0.9",
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
            Version::Http2 => "HTTP/2.0",
            Version::Http3 => "HTTP/3.0",
        }
    }
}
