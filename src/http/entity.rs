//! What the head of a response says of its body: type, charset, time of modification and tag.

use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use super::{Text, date, decimal, hex};

/// The description of a body. Clones share it until one of them is changed, so that of a file is
/// made once and serves many responses.
#[derive(Clone, Debug, Default)]
pub struct Entity(Option<Rc<Description>>);

/// What an [`Entity`] says.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// `Content-Type`, without the charset.
    pub content_type: Option<Text>,
    /// The charset added to the content type.
    pub charset: Option<Text>,
    /// `Last-Modified` as seconds since 1970.
    pub last_modified: Option<i64>,
    /// `ETag`, quoted.
    pub etag: Option<Text>,
    /// The time as it is sent, where it was worth keeping. Any change drops this and the next two.
    date: Option<[u8; 29]>,
    /// What a head says of all this, where it was worth keeping.
    lines: Option<Lines>,
    /// The same without a type.
    untyped: Option<Entity>,
}

/// Lines of a head, made once for many responses.
#[derive(Clone, Debug)]
struct Lines {
    /// The length that they name, if any.
    length: Option<u64>,
    text: Rc<[u8]>,
}

const NOTHING: &Description = &Description {
    content_type: None,
    charset: None,
    last_modified: None,
    etag: None,
    date: None,
    lines: None,
    untyped: None,
};

impl Entity {
    /// Nothing is said.
    pub const NONE: Entity = Entity(None);

    /// A body of which no more is known than its type.
    pub fn typed(content_type: impl Into<Text>) -> Entity {
        Entity::from(Description {
            content_type: Some(content_type.into()),
            ..Description::default()
        })
    }

    /// A body of `length` bytes that many responses have, of which no more is known than its type.
    pub fn common(content_type: impl Into<Text>, length: u64) -> Entity {
        let description = Description {
            content_type: Some(content_type.into()),
            ..Description::default()
        };
        Entity::from(description.with_lines(Some(length)))
    }

    /// A file; `tagged` says whether it has an entity tag.
    pub fn of_file(content_type: Option<Text>, mtime: i64, size: u64, tagged: bool) -> Entity {
        let untyped = Description {
            last_modified: Some(mtime),
            etag: tagged.then(|| file_etag(mtime, size)),
            date: Some(date::format(mtime)),
            ..Description::default()
        };
        let typed = Description {
            content_type,
            untyped: Some(Entity::from(untyped.clone().with_lines(None))),
            ..untyped
        };
        Entity::from(typed.with_lines(Some(size)))
    }

    /// The same without a type, for a response that has no body.
    pub fn untyped(&self) -> Entity {
        self.untyped.clone().unwrap_or_else(|| {
            let mut untyped = self.clone();
            untyped.content_type = None;
            untyped
        })
    }
}

impl Description {
    /// The value of `Last-Modified`.
    pub fn date(&self) -> Option<[u8; 29]> {
        self.date.or_else(|| self.last_modified.map(date::format))
    }

    /// Appends what a head says of the body before it comes to other things: `Content-Type`,
    /// `Content-Length` unless there is no `length`, and `Last-Modified` if it is `dated`.
    pub fn append(&self, length: Option<u64>, dated: bool, out: &mut Vec<u8>) {
        let dated = dated && self.last_modified.is_some();
        let kept = self.lines.as_ref();
        match kept.filter(|kept| kept.length == length && dated == self.last_modified.is_some()) {
            Some(kept) => out.extend_from_slice(&kept.text),
            None => self.compose(length, dated, out),
        }
    }

    fn compose(&self, length: Option<u64>, dated: bool, out: &mut Vec<u8>) {
        if let Some(content_type) = &self.content_type {
            out.extend_from_slice(b"Content-Type: ");
            out.extend_from_slice(content_type);
            if let Some(charset) = &self.charset {
                out.extend_from_slice(b"; charset=");
                out.extend_from_slice(charset);
            }
            out.extend_from_slice(b"\r\n");
        }
        if let Some(length) = length {
            out.extend_from_slice(b"Content-Length: ");
            decimal::append_number(length, out);
            out.extend_from_slice(b"\r\n");
        }
        if let Some(date) = self.date().filter(|_| dated) {
            out.extend_from_slice(b"Last-Modified: ");
            out.extend_from_slice(&date);
            out.extend_from_slice(b"\r\n");
        }
    }

    /// The same with its lines kept, for responses with a body of that length.
    fn with_lines(mut self, length: Option<u64>) -> Description {
        let mut text = Vec::new();
        self.compose(length, true, &mut text);
        let text = text.into();
        self.lines = Some(Lines { length, text });
        self
    }
}

/// The entity tag of a file: when it was modified and how long it is, in hexadecimal.
pub fn file_etag(mtime: i64, size: u64) -> Text {
    let mut tag = Vec::with_capacity(2 * 16 + 3);
    tag.push(b'"');
    hex::append_number(mtime.cast_unsigned(), &mut tag);
    tag.push(b'-');
    hex::append_number(size, &mut tag);
    tag.push(b'"');
    Text::Shared(tag.into())
}

impl From<Description> for Entity {
    fn from(description: Description) -> Entity {
        Entity(Some(Rc::new(description)))
    }
}

impl Deref for Entity {
    type Target = Description;

    fn deref(&self) -> &Description {
        self.0.as_deref().unwrap_or(NOTHING)
    }
}

impl DerefMut for Entity {
    fn deref_mut(&mut self) -> &mut Description {
        let description = Rc::make_mut(self.0.get_or_insert_default());
        description.date = None;
        description.lines = None;
        description.untyped = None;
        description
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_tags() {
        let cases = [
            (0, 0, "\"0-0\""),
            (1, 16, "\"1-10\""),
            (784_111_777, 1000, "\"2ebc98a1-3e8\""),
            (-1, u64::MAX, "\"ffffffffffffffff-ffffffffffffffff\""),
        ];
        for (mtime, size, expected) in cases {
            assert_eq!(file_etag(mtime, size), expected);
        }
    }

    #[test]
    fn a_change_concerns_one_clone_only() {
        let file = Entity::of_file(Some("text/html".into()), 784_111_777, 1000, true);
        let mut other = file.clone();
        other.last_modified = Some(0);
        assert_eq!(file.date(), Some(*b"Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(other.date(), Some(*b"Thu, 01 Jan 1970 00:00:00 GMT"));
        assert_eq!(other.untyped().last_modified, Some(0));
        let untyped = file.untyped();
        assert_eq!((&untyped.content_type, &untyped.etag), (&None, &file.etag));
        assert_eq!(file.content_type, Some("text/html".into()));
        assert_eq!(Entity::default().date(), None);
    }

    #[test]
    fn lines_of_heads() {
        let lines = |entity: &Entity, length, dated| {
            let mut out = Vec::new();
            entity.append(length, dated, &mut out);
            String::from_utf8(out).unwrap()
        };
        let time = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
        let typed = "Content-Type: a/b\r\n";
        let file = Entity::of_file(Some("a/b".into()), 784_111_777, 10, true);
        let whole = format!("{typed}Content-Length: 10\r\n{time}");
        assert_eq!(lines(&file, Some(10), true), whole);
        let part = format!("{typed}Content-Length: 9\r\n{time}");
        assert_eq!(lines(&file, Some(9), true), part);
        assert_eq!(lines(&file, None, true), format!("{typed}{time}"));
        let undated = format!("{typed}Content-Length: 10\r\n");
        assert_eq!(lines(&file, Some(10), false), undated);
        assert_eq!(lines(&file.untyped(), None, true), time);
        let mut other = file.clone();
        other.charset = Some("c".into());
        let other = lines(&other, Some(10), false);
        assert_eq!(
            other,
            "Content-Type: a/b; charset=c\r\nContent-Length: 10\r\n"
        );
        let page = Entity::common("a/b", 10);
        assert_eq!(lines(&page, Some(10), false), undated);
        assert_eq!(lines(&Entity::NONE, None, true), "");
    }
}
