//! Header fields of a response: an ordered list with lookups in any letter case.

use super::Text;

/// One header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name as it is sent; compared without regard to case.
    pub name: Text,
    /// The value, without surrounding white space.
    pub value: Text,
}

/// Header fields in the order they are sent; a name may occur more than once.
///
/// A response has a handful of fields, so a scan beats any table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    fields: Vec<Field>,
}

impl Headers {
    /// No fields, nothing allocated.
    pub const fn new() -> Headers {
        Headers { fields: Vec::new() }
    }

    /// The value of the first field with this name.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.fields
            .iter()
            .find(|field| is(field, name))
            .map(|field| field.value.as_bytes())
    }

    /// The values of all fields with this name, in order.
    pub fn get_all<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.fields
            .iter()
            .filter(move |field| is(field, name))
            .map(|field| field.value.as_bytes())
    }

    /// Whether there is a field with this name.
    pub fn contains(&self, name: &[u8]) -> bool {
        self.fields.iter().any(|field| is(field, name))
    }

    /// Adds a field behind all others, even if the name is there already.
    pub fn append(&mut self, name: impl Into<Text>, value: impl Into<Text>) {
        self.fields.push(Field {
            name: name.into(),
            value: value.into(),
        });
    }

    /// Makes this the only field with that name, in the place of the first there was.
    pub fn set(&mut self, name: impl Into<Text>, value: impl Into<Text>) {
        let new = Field {
            name: name.into(),
            value: value.into(),
        };
        let Some(first) = self.fields.iter().position(|field| is(field, &new.name)) else {
            self.fields.push(new);
            return;
        };
        let mut index = 0;
        self.fields.retain(|field| {
            index += 1;
            index <= first + 1 || !is(field, &new.name)
        });
        self.fields[first] = new;
    }

    /// Removes all fields with this name; says whether there was one.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        let before = self.fields.len();
        self.fields.retain(|field| !is(field, name));
        self.fields.len() != before
    }

    /// Keeps the fields for which `keep` says so.
    pub fn retain(&mut self, keep: impl FnMut(&Field) -> bool) {
        self.fields.retain(keep);
    }

    /// Removes all fields and keeps the memory.
    pub fn clear(&mut self) {
        self.fields.clear();
    }

    /// The fields in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Field> {
        self.fields.iter()
    }

    /// The fields in order, to be changed in place.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Field> {
        self.fields.iter_mut()
    }

    /// The number of fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = &'a Field;
    type IntoIter = std::slice::Iter<'a, Field>;

    fn into_iter(self) -> Self::IntoIter {
        self.fields.iter()
    }
}

fn is(field: &Field, name: &[u8]) -> bool {
    field.name.eq_ignore_ascii_case(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_and_values(headers: &Headers) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        headers
            .iter()
            .map(|field| (text(&field.name), text(&field.value)))
            .collect()
    }

    #[test]
    fn set_replaces_every_field_of_the_name() {
        let mut headers = Headers::new();
        headers.append("A", "1");
        headers.append("B", "2");
        headers.append("a", "3");
        headers.set("a", "4");
        headers.set("C", "5");
        let expected = [("a", "4"), ("B", "2"), ("C", "5")];
        assert_eq!(
            names_and_values(&headers),
            expected.map(|(n, v)| (n.into(), v.into()))
        );
    }

    #[test]
    fn lookups_ignore_case() {
        let mut headers = Headers::new();
        headers.append("Set-Cookie", "a");
        headers.append("set-cookie", "b");
        assert_eq!(headers.get(b"SET-COOKIE"), Some(&b"a"[..]));
        assert_eq!(headers.get_all(b"set-cookie").count(), 2);
        assert!(headers.remove(b"Set-cookie"));
        assert!(!headers.remove(b"Set-cookie"));
        assert!(headers.is_empty());
    }
}
