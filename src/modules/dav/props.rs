//! The properties of a resource: those the server knows, and those clients stored.

use std::fs::{File, Metadata};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::UNIX_EPOCH;

use super::dead::DeadProperties;
use super::files::canonical;
use super::lock::{write_active, write_href};
use super::locks::Locks;
use super::xml::{DAV, Name, write_empty};
use crate::exchange::{Core, Zone};
use crate::http::date;
use crate::http::entity::file_etag;
use crate::http::escape::escape_html;
use crate::sys::fs::{Space, space};

/// The properties the server knows (RFC 4918 section 15).
const LIVE: [&str; 9] = [
    "creationdate",
    "displayname",
    "getcontentlength",
    "getcontenttype",
    "getetag",
    "getlastmodified",
    "resourcetype",
    "supportedlock",
    "lockdiscovery",
];

/// Whether clients may not set a property: the server alone knows WebDAV's own.
pub(super) fn is_protected(name: &Name) -> bool {
    name.namespace == DAV
}

/// Which properties are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All there are.
    All,
    /// The names of all there are.
    Names,
    /// These.
    These(Vec<Name>),
}

/// What is shown of resources, and what is needed for it.
pub(super) struct View {
    pub wanted: Wanted,
    pub core: Rc<Core>,
    pub locks: Option<Rc<Zone<Locks>>>,
}

/// One file or folder.
pub(super) struct Resource {
    pub path: PathBuf,
    /// Decoded; that of a folder ends in a slash.
    pub uri: Vec<u8>,
    pub known: Metadata,
}

impl View {
    /// Writes the `response` element of one resource.
    pub(super) fn write(&self, resource: &Resource, out: &mut Vec<u8>) {
        out.extend_from_slice(b"<D:response><D:href>");
        write_href(&resource.uri, out);
        out.extend_from_slice(b"</D:href>");
        let dead = DeadProperties::read(&resource.path).unwrap_or_default();
        let mut missing = Vec::new();
        out.extend_from_slice(b"<D:propstat><D:prop>");
        match &self.wanted {
            Wanted::All => self.write_all(resource, &dead, out),
            Wanted::Names => self.write_names(resource, &dead, out),
            Wanted::These(names) => {
                missing.extend(names);
                missing.retain(|name| !self.write_one(resource, &dead, name, out));
            }
        }
        out.extend_from_slice(b"</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>");
        if !missing.is_empty() {
            out.extend_from_slice(b"<D:propstat><D:prop>");
            missing.iter().for_each(|name| write_empty(name, out));
            out.extend_from_slice(
                b"</D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat>",
            );
        }
        out.extend_from_slice(b"</D:response>\n");
    }

    fn write_all(&self, resource: &Resource, dead: &DeadProperties, out: &mut Vec<u8>) {
        for name in LIVE {
            self.write_live(resource, name, out);
        }
        dead.iter()
            .for_each(|(_, text)| out.extend_from_slice(text));
    }

    fn write_names(&self, resource: &Resource, dead: &DeadProperties, out: &mut Vec<u8>) {
        let mut scrap = Vec::new();
        for name in LIVE {
            if self.write_live(resource, name, &mut scrap) {
                write_empty(&Name::dav(name), out);
            }
        }
        dead.iter().for_each(|(name, _)| write_empty(name, out));
    }

    fn write_one(
        &self,
        resource: &Resource,
        dead: &DeadProperties,
        name: &Name,
        out: &mut Vec<u8>,
    ) -> bool {
        if let Some(text) = dead.get(name) {
            out.extend_from_slice(text);
            return true;
        }
        name.namespace == DAV && self.write_live(resource, &name.local, out)
    }

    /// Writes a property the server knows; `false` if the resource has none of that name.
    fn write_live(&self, resource: &Resource, name: &str, out: &mut Vec<u8>) -> bool {
        let mut value = Vec::new();
        if self.live(resource, name, &mut value).is_none() {
            return false;
        }
        out.extend_from_slice(format!("<D:{name}>").as_bytes());
        out.append(&mut value);
        out.extend_from_slice(format!("</D:{name}>").as_bytes());
        true
    }

    /// Appends the value of a property as XML.
    fn live(&self, resource: &Resource, name: &str, out: &mut Vec<u8>) -> Option<()> {
        let known = &resource.known;
        let only_file = || known.is_file().then_some(());
        match name {
            "creationdate" => {
                let created = known.created().ok()?.duration_since(UNIX_EPOCH).ok()?;
                let created = i64::try_from(created.as_secs()).ok()?;
                out.extend_from_slice(timestamp(created).as_bytes());
            }
            "displayname" => escape_html(display_name(&resource.uri).as_bytes(), out),
            "getcontentlength" => {
                only_file()?;
                out.extend_from_slice(known.len().to_string().as_bytes());
            }
            "getcontenttype" => {
                only_file()?;
                let types = &self.core.types;
                let found = types
                    .by_path(&resource.uri)
                    .unwrap_or(&self.core.default_type);
                escape_html(found, out);
            }
            "getetag" => {
                only_file()?;
                escape_html(&file_etag(known.mtime(), known.len()), out);
            }
            "getlastmodified" => out.extend_from_slice(&date::format(known.mtime())),
            "resourcetype" if known.is_dir() => out.extend_from_slice(b"<D:collection/>"),
            "resourcetype" => {}
            "supportedlock" => {
                self.locks.as_ref()?;
                out.extend_from_slice(SUPPORTED_LOCKS);
            }
            "lockdiscovery" => {
                let path = canonical(&resource.path);
                for lock in self.locks.as_ref()?.covering(&path) {
                    write_active(&lock, &resource.uri, &path, out);
                }
            }
            // Not among those shown unasked (RFC 4331 section 3).
            "quota-available-bytes" => {
                let space = resource.space()?;
                out.extend_from_slice(space.free.to_string().as_bytes());
            }
            "quota-used-bytes" => {
                let space = resource.space()?;
                out.extend_from_slice(space.used.to_string().as_bytes());
            }
            _ => return None,
        }
        Some(())
    }
}

const SUPPORTED_LOCKS: &[u8] = b"<D:lockentry><D:lockscope><D:exclusive/></D:lockscope>\
    <D:locktype><D:write/></D:locktype></D:lockentry>\
    <D:lockentry><D:lockscope><D:shared/></D:lockscope>\
    <D:locktype><D:write/></D:locktype></D:lockentry>";

/// The last element of a path; of the root, the slash.
fn display_name(uri: &[u8]) -> String {
    let trimmed = uri.strip_suffix(b"/").unwrap_or(uri);
    let name = trimmed.rsplit(|byte| *byte == b'/').next();
    match name {
        None | Some(b"") => "/".into(),
        Some(name) => String::from_utf8_lossy(name).into_owned(),
    }
}

/// A time as RFC 3339 writes it: `1994-11-06T08:49:37Z`.
fn timestamp(seconds: i64) -> String {
    let text = date::format(seconds);
    let text = String::from_utf8_lossy(&text);
    let months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let month = months.find(&text[8..11]).map_or(1, |at| at / 3 + 1);
    format!(
        "{}-{month:02}-{}T{}Z",
        &text[12..16],
        &text[5..7],
        &text[17..25]
    )
}

impl Resource {
    /// The resource at `path`, if there is one.
    pub(super) fn find(path: PathBuf, mut uri: Vec<u8>) -> std::io::Result<Resource> {
        let known = std::fs::metadata(&path)?;
        if known.is_dir() && uri.last() != Some(&b'/') {
            uri.push(b'/');
        }
        Ok(Resource { path, uri, known })
    }

    /// How much room a folder's file system has.
    fn space(&self) -> Option<Space> {
        let folder = File::open(&self.path)
            .ok()
            .filter(|_| self.known.is_dir())?;
        space(folder.as_fd()).ok()
    }

    /// The URI of something in this folder.
    pub(super) fn child_uri(&self, name: &std::ffi::OsStr) -> Vec<u8> {
        [&*self.uri, name.as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_names() {
        assert_eq!(timestamp(784_111_777), "1994-11-06T08:49:37Z");
        assert_eq!(timestamp(0), "1970-01-01T00:00:00Z");
        for (uri, name) in [("/", "/"), ("/a", "a"), ("/a/b/", "b")] {
            assert_eq!(display_name(uri.as_bytes()), name);
        }
    }
}
