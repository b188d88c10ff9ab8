//! Sans-I/O codecs: bytes to values and back.

pub mod cgi_head;
pub mod h1;
pub mod multipart;
pub mod proxy_protocol;
