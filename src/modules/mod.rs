//! The capabilities, one file each.
