//! HTTP/1 (RFC 9112): request heads, body framing, the chunked coding.

pub mod chunked;
pub mod field;
pub mod framing;
pub mod head;
pub mod limits;
pub mod request_line;
pub mod response;

pub use chunked::{Chunked, ChunkedError};
pub use framing::{BodyFraming, Framing};
pub use head::{Header, Parse, RequestHead};
pub use limits::HeadOptions;
