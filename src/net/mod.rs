//! Buffers, addresses and listening sockets.

pub mod address;
pub mod buffer;
pub mod cidr;
pub mod forwarded;
pub mod listen;
