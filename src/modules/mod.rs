//! The capabilities, one file each.

pub mod autoindex;
