//! What the head of a response says of its body: type, charset, time of modification and tag.

use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use super::{Text, date, hex};

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
    /// The time as it is sent, where it was worth keeping. Any change drops this and the next.
    date: Option<[u8; 29]>,
    /// The same without a type.
    untyped: Option<Entity>,
}

const NOTHING: &Description = &Description {
    content_type: None,
    charset: None,
    last_modified: None,
    etag: None,
    date: None,
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

    /// A file; `tagged` says whether it has an entity tag.
    pub fn of_file(content_type: Option<Text>, mtime: i64, size: u64, tagged: bool) -> Entity {
        let untyped = Description {
            last_modified: Some(mtime),
            etag: tagged.then(|| file_etag(mtime, size)),
            date: Some(date::format(mtime)),
            ..Description::default()
        };
        Entity::from(Description {
            content_type,
            untyped: Some(Entity::from(untyped.clone())),
            ..untyped
        })
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
}
