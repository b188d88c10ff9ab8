//! LOCK and UNLOCK, and how locks are shown (RFC 4918 sections 9.10, 9.11 and 15.8).

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::files::{canonical, fail, mapped, path_of};
use super::guard::{self, Change};
use super::locks::{Lock, Locks, Refused, Token};
use super::xml::{self, Element};
use super::{Answer, Depth, Settings, complain, read_xml};
use crate::exchange::{Exchange, Response, Zone};
use crate::http::Status;
use crate::http::escape::{Escape, escape, escape_html};
use crate::log::level::Level;
use crate::sys::errno;

/// Answers LOCK.
pub(super) async fn lock(settings: &Settings, exchange: &mut Exchange) -> Answer {
    let Some(zone) = &settings.locks else {
        return Err(Status::NOT_ALLOWED);
    };
    let asked = read_xml(exchange).await?;
    let path = path_of(canonical(&mapped(exchange)?));
    let Some(asked) = asked else {
        return refresh(exchange, zone, &path);
    };
    let shared = scope(&asked)?;
    let deep = match Depth::of(exchange, Depth::Infinity) {
        Depth::Infinity => true,
        Depth::Zero => false,
        Depth::One | Depth::Invalid => return Err(Status::BAD_REQUEST),
    };
    let missing = !path.exists();
    check_place(exchange, zone, &path, missing)?;
    let mut owner = Vec::new();
    if let Some(element) = asked.child("owner") {
        element.write_content(&mut owner);
    }
    let bytes = path.as_os_str().as_bytes().to_vec();
    let lock = zone
        .take(bytes, owner, deep, shared)
        .map_err(|refused| refuse(exchange, zone, &refused))?;
    let made = match missing {
        true => create(settings, exchange, &path),
        false => Ok(Status::OK),
    };
    let status = made.inspect_err(|_| zone.forget(|other| other.token == lock.token))?;
    let mut response = discovery(exchange, &lock, status);
    let token = format!("<{}>", lock.token);
    response.headers.append("Lock-Token", token.into_bytes());
    Ok(response)
}

/// Whether a shared lock is asked for.
fn scope(asked: &Element) -> Result<bool, Status> {
    let scope = asked.child("lockscope").filter(|_| {
        let kind = asked.child("locktype");
        asked.name.is_dav("lockinfo") && kind.is_some_and(|kind| kind.child("write").is_some())
    });
    let scope = scope.ok_or(Status::BAD_REQUEST)?;
    match (scope.child("shared"), scope.child("exclusive")) {
        (Some(_), None) => Ok(true),
        (None, Some(_)) => Ok(false),
        _ => Err(Status::BAD_REQUEST),
    }
}

/// What does not exist yet is made by being locked, in a folder that must exist and may change.
fn check_place(
    exchange: &Exchange,
    zone: &Zone<Locks>,
    path: &Path,
    missing: bool,
) -> Result<(), Status> {
    guard::submitted(exchange, zone, path)?;
    if !missing {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(path);
    if exchange.path.last() == Some(&b'/') || !folder.is_dir() {
        complain(
            exchange,
            format_args!(
                "\"{}\" can't be locked: there is no such folder",
                path.display()
            ),
        );
        return Err(Status::CONFLICT);
    }
    guard::check(exchange, zone, path, &[(folder, Change::Content)])
}

fn refuse(exchange: &Exchange, zone: &Zone<Locks>, refused: &Refused) -> Status {
    match refused {
        Refused::Conflict => {
            complain(exchange, format_args!("the lock conflicts with another"));
            Status::LOCKED
        }
        Refused::NoRoom => {
            let name = String::from_utf8_lossy(zone.name());
            exchange.log(
                Level::Crit,
                format_args!("could not allocate a lock in zone \"{name}\""),
            );
            Status::INSUFFICIENT_STORAGE
        }
    }
}

/// Makes an empty file, unless someone else was faster.
fn create(settings: &Settings, exchange: &Exchange, path: &Path) -> Result<Status, Status> {
    let made = File::options()
        .write(true)
        .create_new(true)
        .mode(settings.access)
        .open(path);
    match made {
        Ok(_) => Ok(Status::CREATED),
        Err(error) if error.raw_os_error() == Some(errno::EEXIST) => Ok(Status::OK),
        Err(error) => Err(fail(exchange, "open()", path, &error, Status::CONFLICT)),
    }
}

/// A LOCK without a body lets a lock last longer.
fn refresh(exchange: &Exchange, zone: &Zone<Locks>, path: &Path) -> Answer {
    if guard::header(exchange).is_none() {
        return Err(Status::BAD_REQUEST);
    }
    let tokens = guard::submitted(exchange, zone, path)?;
    let locks = zone.covering(path.as_os_str().as_bytes());
    let lock = locks.iter().find(|lock| tokens.contains(&lock.token));
    let lock = lock.and_then(|lock| zone.refresh(lock.token));
    let lock = lock.ok_or(Status::PRECONDITION_FAILED)?;
    Ok(discovery(exchange, &lock, Status::OK))
}

/// Answers UNLOCK.
pub(super) fn unlock(settings: &Settings, exchange: &Exchange) -> Answer {
    let Some(zone) = &settings.locks else {
        return Err(Status::NOT_ALLOWED);
    };
    let mut headers = exchange.request.headers();
    let value = headers.find(|(name, _)| name.eq_ignore_ascii_case(b"Lock-Token"));
    let text = value
        .and_then(|(_, value)| value.trim_ascii().strip_prefix(b"<"))
        .and_then(|value| value.strip_suffix(b">"));
    let Some(text) = text else {
        complain(
            exchange,
            format_args!("client sent no valid \"Lock-Token\" header"),
        );
        return Err(Status::BAD_REQUEST);
    };
    let token = Token::parse(text).ok_or(Status::CONFLICT)?;
    let locks = zone.covering(&canonical(&mapped(exchange)?));
    if !locks.iter().any(|lock| lock.token == token) {
        return Err(Status::CONFLICT);
    }
    zone.forget(|lock| lock.token == token);
    Ok(Response::new(Status::NO_CONTENT))
}

/// A response that shows the lock.
fn discovery(exchange: &Exchange, lock: &Lock, status: Status) -> Response {
    let mut body = xml::HEADER.to_vec();
    body.extend_from_slice(b"<D:prop xmlns:D=\"DAV:\"><D:lockdiscovery>");
    let path = mapped(exchange).map_or(Vec::new(), |path| canonical(&path));
    write_active(lock, &exchange.path, &path, &mut body);
    body.extend_from_slice(b"</D:lockdiscovery></D:prop>\n");
    xml::response(status, body)
}

/// Writes one `activelock`; `uri` and `path` are those of a resource it covers.
pub(super) fn write_active(lock: &Lock, uri: &[u8], path: &[u8], out: &mut Vec<u8>) {
    let scope = if lock.shared { "shared" } else { "exclusive" };
    let depth = if lock.deep { "infinity" } else { "0" };
    let head = format!(
        "<D:activelock><D:locktype><D:write/></D:locktype><D:lockscope><D:{scope}/></D:lockscope>\
         <D:depth>{depth}</D:depth><D:owner>"
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(&lock.owner);
    let tail = format!(
        "</D:owner><D:timeout>Second-{}</D:timeout><D:locktoken><D:href>{}</D:href></D:locktoken>\
         <D:lockroot><D:href>",
        lock.remaining(),
        lock.token
    );
    out.extend_from_slice(tail.as_bytes());
    write_href(root(uri, path, &lock.path), out);
    out.extend_from_slice(b"</D:href></D:lockroot></D:activelock>");
}

/// The URI of the file `locked`, a folder above `path` or that itself.
fn root<'a>(uri: &'a [u8], path: &[u8], locked: &[u8]) -> &'a [u8] {
    let below = path.get(locked.len()..).unwrap_or_default();
    let mut root = uri;
    for _ in below.iter().filter(|byte| **byte == b'/') {
        let trimmed = root.strip_suffix(b"/").unwrap_or(root);
        let slash = memchr::memrchr(b'/', trimmed).map_or(0, |at| at + 1);
        root = &root[..slash];
    }
    root
}

/// Writes a path as a URI reference in XML.
pub(super) fn write_href(path: &[u8], out: &mut Vec<u8>) {
    let mut escaped = Vec::with_capacity(path.len());
    escape(path, Escape::Uri, &mut escaped);
    escape_html(&escaped, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_a_lock_is_as_far_up_as_its_file() {
        for (uri, path, locked, expected) in [
            ("/dav/a/b/", "/srv/a/b", "/srv/a/b", "/dav/a/b/"),
            ("/dav/a/b", "/srv/a/b", "/srv/a", "/dav/a/"),
            ("/dav/a/b/", "/srv/a/b", "/srv/a", "/dav/a/"),
            ("/dav/a/b", "/srv/a/b", "/srv", "/dav/"),
        ] {
            let found = root(uri.as_bytes(), path.as_bytes(), locked.as_bytes());
            assert_eq!(found, expected.as_bytes(), "{uri} {locked}");
        }
    }
}
