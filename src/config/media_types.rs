//! Arguments that are media types.

use super::usage::Use;
use crate::http::MediaTypes;

impl Use<'_> {
    /// All arguments as media types, `text/html` always among them; `*` stands for all.
    pub fn media_types(&self) -> MediaTypes {
        let listed = self.args().iter().map(|word| &*word.text);
        MediaTypes::new(std::iter::once(&b"text/html"[..]).chain(listed))
    }
}
