//! Open files and what is known of them: look-ups by path, cached as `open_file_cache` says.
//!
//! Without that directive a small cache still keeps what was learned, and one `stat` an occasion
//! makes sure it is true; with it, `open_file_cache_valid` decides when to look again. That a path
//! leads nowhere is remembered for the occasion.

mod cache;
mod lru;
mod missing;
mod open;

pub use self::cache::{CacheSettings, FileCache, is_settled};
pub use self::open::{FileError, OpenFile, SymlinkMode, Symlinks, Terms};

/// What a look-up is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Only what `stat` tells.
    Info,
    /// The open file.
    Open,
}
