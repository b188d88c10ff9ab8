//! PROPPATCH: dead properties are set and removed, all or none (RFC 4918 section 9.2).

use std::path::Path;

use super::dead::DeadProperties;
use super::files::{fail, log_failure, mapped};
use super::lock::write_href;
use super::props::is_protected;
use super::xml::{self, Element, Name, write_empty};
use super::{Answer, read_xml};
use crate::exchange::Exchange;
use crate::http::Status;
use crate::log::level::Level;
use crate::sys::errno;

/// Answers PROPPATCH.
pub(super) async fn proppatch(exchange: &mut Exchange) -> Answer {
    let asked = read_xml(exchange).await?;
    let asked = asked.filter(|asked| asked.name.is_dav("propertyupdate"));
    let asked = asked.ok_or(Status::BAD_REQUEST)?;
    let path = mapped(exchange)?;
    std::fs::metadata(&path)
        .map_err(|error| fail(exchange, "stat()", &path, &error, Status::NOT_FOUND))?;
    let changes = changes(&asked);
    let protected = changes.iter().any(|(_, what)| is_protected(&what.name));
    let stored = match protected {
        true => Err("403 Forbidden"),
        false => apply(exchange, &path, &changes),
    };
    let mut out = xml::HEADER.to_vec();
    out.extend_from_slice(b"<D:multistatus xmlns:D=\"DAV:\"><D:response><D:href>");
    write_href(&exchange.path, &mut out);
    out.extend_from_slice(b"</D:href>");
    for (_, what) in &changes {
        let status = match stored {
            Ok(()) => "200 OK",
            // What could have been done depends on what could not.
            Err(_) if protected && !is_protected(&what.name) => "424 Failed Dependency",
            Err(status) => status,
        };
        write_status(&what.name, status, &mut out);
    }
    out.extend_from_slice(b"</D:response></D:multistatus>\n");
    Ok(xml::response(Status::MULTI_STATUS, out))
}

/// The properties to set (`true`) and to remove, in their order.
fn changes(asked: &Element) -> Vec<(bool, &Element)> {
    let mut changes = Vec::new();
    for change in asked.children() {
        let set = change.name.is_dav("set");
        if !set && !change.name.is_dav("remove") {
            continue;
        }
        let named = change.child("prop").into_iter().flat_map(Element::children);
        changes.extend(named.map(|property| (set, property)));
    }
    changes
}

/// Stores the changes; the status of all of them if that is impossible.
fn apply(
    exchange: &Exchange,
    path: &Path,
    changes: &[(bool, &Element)],
) -> Result<(), &'static str> {
    let failed = |error: std::io::Error| {
        log_failure(exchange, Level::Error, "setxattr()", path, &error);
        match error.raw_os_error() {
            Some(errno::ENOSPC | errno::E2BIG | errno::EDQUOT) => "507 Insufficient Storage",
            Some(errno::EOPNOTSUPP | errno::EACCES | errno::EPERM) => "403 Forbidden",
            _ => "500 Internal Server Error",
        }
    };
    let mut properties = DeadProperties::read(path).map_err(failed)?;
    for (set, property) in changes {
        match set {
            true => properties.set(property),
            false => properties.remove(&property.name),
        }
    }
    properties.write(path).map_err(failed)
}

fn write_status(name: &Name, status: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"<D:propstat><D:prop>");
    write_empty(name, out);
    let status = format!("</D:prop><D:status>HTTP/1.1 {status}</D:status></D:propstat>");
    out.extend_from_slice(status.as_bytes());
}
