//! Media types by file name extension (`types`).

use std::collections::HashMap;
use std::rc::Rc;

use foldhash::fast::RandomState;

/// Extensions, in lower case, and the media types they stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MimeTypes {
    types: HashMap<Box<[u8]>, Rc<[u8]>, RandomState>,
}

impl MimeTypes {
    /// A table that knows nothing.
    pub fn empty() -> MimeTypes {
        MimeTypes {
            types: HashMap::default(),
        }
    }

    /// Adds an extension, in any letter case; gives the type it stood for before.
    pub fn insert(&mut self, extension: &[u8], media_type: Rc<[u8]>) -> Option<Rc<[u8]>> {
        self.types
            .insert(extension.to_ascii_lowercase().into(), media_type)
    }

    /// The type an extension stands for, in any letter case.
    pub fn by_extension(&self, extension: &[u8]) -> Option<&Rc<[u8]>> {
        if extension.iter().any(u8::is_ascii_uppercase) {
            return self.types.get(extension.to_ascii_lowercase().as_slice());
        }
        self.types.get(extension)
    }

    /// The type the extension of a path stands for.
    pub fn by_path(&self, path: &[u8]) -> Option<&Rc<[u8]>> {
        self.by_extension(extension(path)?)
    }

    /// The number of extensions.
    pub fn len(&self) -> usize {
        self.types.len()
    }

    /// Whether there are no extensions.
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }
}

/// The three types known without a `types` block.
impl Default for MimeTypes {
    fn default() -> MimeTypes {
        let mut types = MimeTypes::empty();
        types.insert(b"html", Rc::from(&b"text/html"[..]));
        types.insert(b"gif", Rc::from(&b"image/gif"[..]));
        types.insert(b"jpg", Rc::from(&b"image/jpeg"[..]));
        types
    }
}

/// What follows the last dot of the last segment, unless the dot is its first byte.
pub fn extension(path: &[u8]) -> Option<&[u8]> {
    let at = path.iter().rposition(|&byte| matches!(byte, b'.' | b'/'))?;
    let in_name = path[at] == b'.' && at > 1 && path[at - 1] != b'/';
    in_name.then(|| &path[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions() {
        let cases = [
            ("/a.html", Some("html")),
            ("/a.tar.gz", Some("gz")),
            ("/a.b/c", None),
            ("/.htaccess", None),
            ("/a/.b", None),
            ("/a.", Some("")),
            ("/", None),
            ("", None),
        ];
        for (path, expected) in cases {
            assert_eq!(
                extension(path.as_bytes()),
                expected.map(str::as_bytes),
                "{path}"
            );
        }
    }

    #[test]
    fn types_are_found_in_any_case() {
        let mut types = MimeTypes::default();
        assert_eq!(
            types.by_path(b"/a.JPG").map(|t| &t[..]),
            Some(&b"image/jpeg"[..])
        );
        assert_eq!(types.by_path(b"/a.txt"), None);
        assert_eq!(types.insert(b"TXT", Rc::from(&b"text/plain"[..])), None);
        assert_eq!(
            types.by_extension(b"txt").map(|t| &t[..]),
            Some(&b"text/plain"[..])
        );
        assert!(types.insert(b"txt", Rc::from(&b"text/x"[..])).is_some());
    }
}
