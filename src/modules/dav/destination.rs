//! `Destination` and `Overwrite`: where COPY and MOVE go (RFC 4918 sections 10.3 and 10.6).

use std::path::PathBuf;

use super::files::path_of;
use super::{Settings, complain};
use crate::exchange::{Alias, Exchange};
use crate::http::escape::{Unescape, unescape};
use crate::http::{KnownHeader, Status};

/// Where a request wants something to go.
pub(super) struct Destination {
    /// The header's value.
    pub text: String,
    /// Its decoded path.
    pub path: Vec<u8>,
    /// Whether what is there may be replaced.
    pub overwrite: bool,
}

impl Destination {
    /// Reads the request's headers.
    ///
    /// # Errors
    /// 400 if there is no destination on this host, 409 if one of source and destination is a
    /// collection and the other is not.
    pub(super) fn of(settings: &Settings, exchange: &Exchange) -> Result<Destination, Status> {
        let Some(value) = exchange.request.known(KnownHeader::Destination) else {
            complain(
                exchange,
                format_args!("client sent no \"Destination\" header"),
            );
            return Err(Status::BAD_REQUEST);
        };
        let text = String::from_utf8_lossy(value).into_owned();
        let target = target(settings, exchange, value, &text)?;
        let path = decode(exchange, target).ok_or_else(|| invalid(exchange, &text))?;
        let is_folder = |path: &[u8]| path.last() == Some(&b'/');
        if is_folder(&exchange.path) != is_folder(value) && !settings.rfc4918 {
            let uri = String::from_utf8_lossy(&exchange.path);
            complain(
                exchange,
                format_args!(
                    "both URI \"{uri}\" and \"Destination\" URI \"{text}\" should be either collections or non-collections"
                ),
            );
            return Err(Status::CONFLICT);
        }
        if matches!(&exchange.location.core.alias, Alias::Prefix(name) if path.len() < name.len()) {
            return Err(invalid(exchange, &text));
        }
        Ok(Destination {
            text,
            path,
            overwrite: true,
        })
    }

    /// Reads `Overwrite` as well.
    ///
    /// # Errors
    /// 400 if it is neither `T` nor `F`.
    pub(super) fn with_overwrite(mut self, exchange: &Exchange) -> Result<Destination, Status> {
        self.overwrite = match exchange.request.known(KnownHeader::Overwrite) {
            None | Some(b"T" | b"t") => true,
            Some(b"F" | b"f") => false,
            Some(other) => {
                let value = String::from_utf8_lossy(other);
                complain(
                    exchange,
                    format_args!("client sent invalid \"Overwrite\" header: \"{value}\""),
                );
                return Err(Status::BAD_REQUEST);
            }
        };
        Ok(self)
    }

    /// The file the destination stands for.
    pub(super) fn mapped(&self, exchange: &Exchange) -> Result<PathBuf, Status> {
        map_other(exchange, &self.path)
    }
}

/// The file that another path than the exchange's stands for: `root` or `alias` is that of the
/// request itself, wherever the path lies.
pub(super) fn map_other(exchange: &Exchange, path: &[u8]) -> Result<PathBuf, Status> {
    if let Alias::Prefix(name) = &exchange.location.core.alias {
        let mut file = exchange.document_root();
        file.extend_from_slice(path.get(name.len()..).unwrap_or_default());
        return Ok(path_of(file.into()));
    }
    match exchange.map(path) {
        Ok(file) => Ok(path_of(file.into())),
        Err(_) => Err(Status::INTERNAL_SERVER_ERROR),
    }
}

fn invalid(exchange: &Exchange, text: &str) -> Status {
    complain(
        exchange,
        format_args!("client sent invalid \"Destination\" header: \"{text}\""),
    );
    Status::BAD_REQUEST
}

/// The destination's path and arguments, once scheme and host are known to be the request's own.
///
/// Where RFC 4918 counts, the scheme may be the one that clients use in front of a proxy, and the
/// host is written in whatever case.
fn target<'a>(
    settings: &Settings,
    exchange: &Exchange,
    value: &'a [u8],
    text: &str,
) -> Result<&'a [u8], Status> {
    if value.first() == Some(&b'/') {
        return Ok(value);
    }
    let host = &exchange.request.host;
    if host.is_empty() {
        complain(exchange, format_args!("client sent no \"Host\" header"));
        return Err(Status::BAD_REQUEST);
    }
    let strict = settings.rfc4918;
    let secure = value.strip_prefix(b"https://").filter(|_| strict);
    let Some(rest) = value.strip_prefix(b"http://").or(secure) else {
        return Err(invalid(exchange, text));
    };
    let same = |found: &[u8]| match strict {
        true => found.eq_ignore_ascii_case(host),
        false => found == &**host,
    };
    let Some((_, rest)) = rest
        .split_at_checked(host.len())
        .filter(|(found, _)| same(found))
    else {
        complain(
            exchange,
            format_args!(
                "\"Destination\" URI \"{text}\" is handled by different repository than the source URI"
            ),
        );
        return Err(Status::BAD_REQUEST);
    };
    let slash = memchr::memchr(b'/', rest).ok_or_else(|| invalid(exchange, text))?;
    Ok(&rest[slash..])
}

/// The decoded path of a target; `None` if it leads upwards or holds a NUL.
fn decode(exchange: &Exchange, target: &[u8]) -> Option<Vec<u8>> {
    let end = memchr::memchr(b'?', target).unwrap_or(target.len());
    let raw = &target[..end];
    let mut path = Vec::with_capacity(raw.len());
    unescape(raw, Unescape::All, &mut path);
    if is_unsafe(raw) || is_unsafe(&path) {
        let target = String::from_utf8_lossy(target);
        complain(
            exchange,
            format_args!("unsafe URI \"{target}\" was detected"),
        );
        return None;
    }
    Some(path)
}

/// Whether a path has an element `..` or a NUL.
fn is_unsafe(path: &[u8]) -> bool {
    path.is_empty()
        || path.contains(&0)
        || path.split(|byte| *byte == b'/').any(|part| part == b"..")
}
