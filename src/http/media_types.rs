//! Sets of media types, such as those a filter is for (`gzip_types`, `charset_types` …).

use std::rc::Rc;

/// Some media types, or all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaTypes {
    types: Rc<Vec<Box<[u8]>>>,
    all: bool,
}

impl MediaTypes {
    /// The types of a list in which `*` stands for all; letter case is ignored.
    pub fn new<'a>(list: impl IntoIterator<Item = &'a [u8]>) -> MediaTypes {
        let mut types = MediaTypes {
            types: Rc::default(),
            all: false,
        };
        for name in list {
            types.add(name);
        }
        types
    }

    /// Adds a type, or all of them (`*`); `false` if it is there already.
    pub fn add(&mut self, name: &[u8]) -> bool {
        self.all |= name == b"*";
        if !self.all && self.lists(name) {
            return false;
        }
        Rc::make_mut(&mut self.types).push(name.into());
        true
    }

    fn lists(&self, name: &[u8]) -> bool {
        let mut types = self.types.iter();
        types.any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Whether a response of this type is meant; with parameters it is another type.
    pub fn contains(&self, content_type: Option<&[u8]>) -> bool {
        self.all || content_type.is_some_and(|name| self.lists(name))
    }
}

/// What most filters are for unless told otherwise: `text/html`.
impl Default for MediaTypes {
    fn default() -> MediaTypes {
        MediaTypes::new([&b"text/html"[..]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_compared_without_case() {
        let html = MediaTypes::default();
        let mut all = MediaTypes::new([&b"text/x"[..]]);
        assert!(!all.add(b"Text/X") && all.add(b"*") && all.add(b"text/x"));
        let cases = [
            (Some("text/html"), true, true),
            (Some("Text/HTML"), true, true),
            (Some("text/html; charset=x"), false, true),
            (Some("text/htm"), false, true),
            (Some(""), false, true),
            (None, false, true),
        ];
        for (content_type, in_html, in_all) in cases {
            let content_type = content_type.map(str::as_bytes);
            assert_eq!(html.contains(content_type), in_html, "{content_type:?}");
            assert_eq!(all.contains(content_type), in_all, "{content_type:?}");
        }
    }
}
