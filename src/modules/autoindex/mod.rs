//! Listings of directories that have no index file.

pub mod render;
