//! Arguments that are media types.

use super::usage::Use;
use crate::http::MediaTypes;

impl Use<'_> {
    /// Adds all arguments to a block's media types; `text/html` always is among them, and `*` stands
    /// for all. A block's first use of the directive starts the list anew.
    pub fn media_types(&self, types: &mut MediaTypes) {
        if self.first() {
            *types = MediaTypes::default();
        }
        for i in 0..self.count() {
            if !types.add(self.arg(i)) {
                let name = self.lossy(i).to_ascii_lowercase();
                self.warn(i, format!("duplicate MIME type \"{name}\""));
            }
        }
    }
}
