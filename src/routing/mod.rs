//! From a name or a path to whatever was registered for it: virtual hosts and locations.
//!
//! Both tables are built once, while the configuration is installed, and only read afterwards.
//! They are generic over what they lead to, so they know nothing of servers or requests.

pub mod hosts;
pub mod locations;
mod trie;
