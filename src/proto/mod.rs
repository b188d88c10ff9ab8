//! Sans-I/O codecs: bytes to values and back.

pub mod h1;
