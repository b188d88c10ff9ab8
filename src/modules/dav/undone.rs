//! What of a folder could not be removed or copied, and how clients hear of it: in a 207
//! multi-status (RFC 4918 section 13).

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Answer;
use super::lock::write_href;
use super::xml;
use crate::http::Status;

/// How many failures are told; more would help nobody.
const MOST: usize = 1000;

/// Why something was not done, or not all of it.
#[derive(Debug, Default)]
pub(super) struct Undone {
    /// The status where one must do.
    status: Status,
    /// URIs of what is inside, and what was wrong with them.
    parts: Vec<(Vec<u8>, Status)>,
}

impl From<Status> for Undone {
    fn from(status: Status) -> Undone {
        let parts = Vec::new();
        Undone { status, parts }
    }
}

impl Undone {
    /// The answer; only one that follows the standard (`strict`) tells all.
    pub(super) fn answer(self, strict: bool) -> Answer {
        if !strict || self.parts.is_empty() {
            return Err(self.status);
        }
        let mut out = xml::HEADER.to_vec();
        out.extend_from_slice(b"<D:multistatus xmlns:D=\"DAV:\">\n");
        for (uri, status) in &self.parts {
            out.extend_from_slice(b"<D:response><D:href>");
            write_href(uri, &mut out);
            let (code, reason) = (status.as_u16(), status.reason());
            let tail =
                format!("</D:href><D:status>HTTP/1.1 {code} {reason}</D:status></D:response>\n");
            out.extend_from_slice(tail.as_bytes());
        }
        out.extend_from_slice(b"</D:multistatus>\n");
        Ok(xml::response(Status::MULTI_STATUS, out))
    }
}

/// What failed inside a folder.
#[derive(Debug, Default)]
pub(super) struct Failures(Vec<(PathBuf, Status)>);

impl Failures {
    /// Whether nothing failed.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes one, unless it only follows from another, further up or further down.
    pub(super) fn add(&mut self, path: &Path, status: Status) {
        let mut known = self.0.iter();
        let follows = known.any(|(other, _)| other.starts_with(path) || path.starts_with(other));
        if !follows && self.0.len() < MOST {
            self.0.push((path.to_owned(), status));
        }
    }

    /// What turned out not to matter.
    pub(super) fn forget(&mut self, path: &Path) {
        self.0.retain(|(other, _)| other != path);
    }

    /// As a reason why `folder`, at `uri`, could not be dealt with; `status` where one must do.
    pub(super) fn within(self, folder: &Path, uri: &[u8], status: Status) -> Undone {
        let base = uri.strip_suffix(b"/").unwrap_or(uri);
        let parts = self.0.into_iter().filter_map(|(path, status)| {
            let inner = path.strip_prefix(folder).ok()?;
            Some(([base, b"/", inner.as_os_str().as_bytes()].concat(), status))
        });
        Undone {
            status,
            parts: parts.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_from_another_is_not_told() {
        let mut failures = Failures::default();
        failures.add(Path::new("/f/a/b"), Status::FORBIDDEN);
        failures.add(Path::new("/f/a"), Status::INTERNAL_SERVER_ERROR);
        failures.add(Path::new("/f/c"), Status::FORBIDDEN);
        failures.add(Path::new("/f/c/d"), Status::NOT_FOUND);
        failures.add(Path::new("/f/e"), Status::FORBIDDEN);
        failures.forget(Path::new("/f/e"));
        let undone = failures.within(Path::new("/f"), b"/dav/f/", Status::INTERNAL_SERVER_ERROR);
        let expected = [
            (b"/dav/f/a/b".to_vec(), Status::FORBIDDEN),
            (b"/dav/f/c".to_vec(), Status::FORBIDDEN),
        ];
        assert_eq!(undone.parts, expected);
        assert!(undone.answer(false).is_err());
    }

    #[test]
    fn one_status_is_no_multi_status() {
        let undone = Undone::from(Status::FORBIDDEN);
        assert_eq!(undone.answer(true).err(), Some(Status::FORBIDDEN));
    }
}
