//! Bytes that are either part of the program, shared, or owned.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

/// The bytes of a header name or value, of a MIME type and the like.
///
/// Cloning copies only what is owned, so a value that many responses carry is made `Shared` once.
#[derive(Clone)]
pub enum Text {
    /// Part of the program.
    Static(&'static [u8]),
    /// Made once, used by many.
    Shared(Rc<[u8]>),
    /// Made for this place only.
    Owned(Vec<u8>),
}

impl Text {
    /// No bytes at all.
    pub const EMPTY: Text = Text::Static(b"");

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Text::Static(bytes) => bytes,
            Text::Shared(bytes) => bytes,
            Text::Owned(bytes) => bytes,
        }
    }
}

impl Default for Text {
    fn default() -> Text {
        Text::EMPTY
    }
}

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Text) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text {}

impl PartialEq<[u8]> for Text {
    fn eq(&self, other: &[u8]) -> bool {
        self.as_bytes() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(self), f)
    }
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Text {
        Text::Static(text.as_bytes())
    }
}

impl From<&'static [u8]> for Text {
    fn from(bytes: &'static [u8]) -> Text {
        Text::Static(bytes)
    }
}

impl From<Rc<[u8]>> for Text {
    fn from(bytes: Rc<[u8]>) -> Text {
        Text::Shared(bytes)
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Text {
        Text::Owned(bytes)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text::Owned(text.into_bytes())
    }
}

impl From<Cow<'static, [u8]>> for Text {
    fn from(bytes: Cow<'static, [u8]>) -> Text {
        match bytes {
            Cow::Borrowed(bytes) => Text::Static(bytes),
            Cow::Owned(bytes) => Text::Owned(bytes),
        }
    }
}
