//! Paths at which nothing was found on the present occasion: who asks again is told so at once.

use std::ops::Range;

use super::{FileError, Symlinks, Want};
use crate::event;

/// How many paths are remembered.
const MOST: usize = 32;

/// The paths of the present occasion.
#[derive(Default)]
pub struct Missing {
    occasion: u64,
    /// The paths, one behind the other.
    paths: Vec<u8>,
    looks: Vec<Look>,
}

/// One look-up that found nothing.
struct Look {
    /// Where its path is.
    path: Range<usize>,
    want: Want,
    symlinks: Symlinks,
    error: FileError,
}

impl Missing {
    /// What the same look-up came to on this occasion, if it found nothing.
    pub fn recall(&self, path: &[u8], want: Want, symlinks: Symlinks) -> Option<&FileError> {
        if self.looks.is_empty() || self.occasion != event::occasion() {
            return None;
        }
        let is_same = |look: &&Look| {
            look.want == want && look.symlinks == symlinks && self.paths[look.path.clone()] == *path
        };
        self.looks.iter().find(is_same).map(|look| &look.error)
    }

    /// Remembers that nothing was found.
    pub fn note(&mut self, path: &[u8], want: Want, symlinks: Symlinks, error: &FileError) {
        let occasion = event::occasion();
        if self.occasion != occasion || self.looks.len() == MOST {
            self.occasion = occasion;
            self.paths.clear();
            self.looks.clear();
        }
        let start = self.paths.len();
        self.paths.extend_from_slice(path);
        self.looks.push(Look {
            path: start..self.paths.len(),
            want,
            symlinks,
            error: error.clone(),
        });
    }
}
