//! Dead properties: what clients store with a resource and the server does not understand
//! (RFC 4918 section 4.2). They live in one extended attribute of the file.

use std::ffi::CStr;
use std::io;
use std::path::Path;

use super::xml::{Element, Name};
use crate::sys::{errno, xattr};

/// The attribute that holds all properties of a file, so that a change is of all or nothing.
const ATTRIBUTE: &CStr = c"user.rowhouse.dav";

/// The dead properties of one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DeadProperties(Vec<(Name, Vec<u8>)>);

impl DeadProperties {
    /// Reads those of a file; where there can be none there are none.
    pub(super) fn read(path: &Path) -> io::Result<DeadProperties> {
        match xattr::get(path, ATTRIBUTE) {
            Ok(stored) => Ok(DeadProperties::decode(&stored.unwrap_or_default())),
            Err(error) if error.raw_os_error() == Some(errno::EOPNOTSUPP) => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Stores them with a file.
    ///
    /// # Errors
    /// The file system keeps none, or not so much.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        match self.0.is_empty() {
            true => xattr::remove(path, ATTRIBUTE),
            false => xattr::set(path, ATTRIBUTE, &self.encode()),
        }
    }

    /// The name and the whole element of each.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Name, &[u8])> {
        self.0.iter().map(|(name, text)| (name, &**text))
    }

    /// The element of the property `name`.
    pub(super) fn get(&self, name: &Name) -> Option<&[u8]> {
        let mut all = self.iter();
        all.find(|(known, _)| *known == name).map(|(_, text)| text)
    }

    /// Sets or replaces a property.
    pub(super) fn set(&mut self, property: &Element) {
        self.remove(&property.name);
        let mut text = Vec::new();
        property.write(&mut text);
        self.0.push((property.name.clone(), text));
    }

    /// Removes a property, if it is there.
    pub(super) fn remove(&mut self, name: &Name) {
        self.0.retain(|(known, _)| known != name);
    }

    /// Namespace, name and element of each, every one ended by a NUL, which no XML can hold.
    fn encode(&self) -> Vec<u8> {
        let mut stored = Vec::new();
        for (name, text) in self.iter() {
            for part in [name.namespace.as_bytes(), name.local.as_bytes(), text] {
                stored.extend_from_slice(part);
                stored.push(0);
            }
        }
        stored
    }

    fn decode(stored: &[u8]) -> DeadProperties {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let parts: Vec<&[u8]> = stored.split(|byte| *byte == 0).collect();
        let all = parts.chunks_exact(3).map(|part| {
            let (namespace, local) = (text(part[0]), text(part[1]));
            (Name { namespace, local }, part[2].to_vec())
        });
        DeadProperties(all.collect())
    }
}

/// Gives a copy or a successor of a file its dead properties; one without any is left alone.
pub(super) fn carry(from: &Path, to: &Path) -> io::Result<()> {
    let properties = DeadProperties::read(from)?;
    match properties.0.is_empty() {
        true => Ok(()),
        false => properties.write(to),
    }
}

#[cfg(test)]
mod tests {
    use super::super::xml::parse;
    use super::*;

    #[test]
    fn they_survive_being_stored() {
        let mut properties = DeadProperties::default();
        for text in ["<a xmlns='x'>1</a>", "<a/>", "<a xmlns='x'>2<b/></a>"] {
            properties.set(&parse(text.as_bytes()).unwrap());
        }
        let stored = properties.encode();
        assert_eq!(DeadProperties::decode(&stored), properties);
        let name = parse(b"<a xmlns='x'/>").unwrap().name;
        assert_eq!(
            properties.get(&name),
            Some(&b"<a xmlns=\"x\">2<b/></a>"[..])
        );
        properties.remove(&name);
        assert_eq!(properties.iter().count(), 1);
        assert_eq!(DeadProperties::decode(b""), DeadProperties::default());
    }
}
