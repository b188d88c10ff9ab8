//! What must hold before something is changed: the `If` header, and that whoever changes what is
//! locked knows the lock (RFC 4918 section 7).

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::complain;
use super::condition::If;
use super::locks::{Lock, Locks, Token, is_below};
use crate::exchange::{Exchange, Zone};
use crate::http::conditional::{Conditions, IfModifiedSince, Validators, Verdict, evaluate};
use crate::http::entity::file_etag;
use crate::http::{KnownHeader, Status};

/// What a request changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The content or the properties of a resource.
    Content,
    /// A resource comes into being: its folder changes as well.
    Creation,
    /// A resource goes, with all below it.
    Removal,
    /// A resource and all below it are replaced.
    Replacement,
}

/// The `If` header's value.
pub(super) fn header(exchange: &Exchange) -> Option<&[u8]> {
    let mut headers = exchange.request.headers();
    headers
        .find(|(name, _)| name.eq_ignore_ascii_case(b"If"))
        .map(|(_, value)| value)
}

/// Checks that a request may change these files; `own` is the one its URI names.
///
/// # Errors
/// 400 for a wrong `If`, 412 for one that does not hold, 423 for what is locked by somebody else.
pub(super) fn check(
    exchange: &Exchange,
    zone: &Zone<Locks>,
    own: &Path,
    changes: &[(&Path, Change)],
) -> Result<(), Status> {
    let tokens = submitted(exchange, zone, own)?;
    for (path, change) in changes {
        if !permits(zone, &tokens, path, *change) {
            let path = path.display();
            complain(exchange, format_args!("\"{path}\" is locked"));
            return Err(Status::LOCKED);
        }
    }
    Ok(())
}

/// Checks what a change is conditional on (RFC 9110 section 13.1), so that nobody overwrites what
/// somebody else has just written.
///
/// # Errors
/// 412 if `If-Match`, `If-None-Match` or `If-Unmodified-Since` does not hold.
pub(super) fn check_validators(exchange: &Exchange, path: &Path) -> Result<(), Status> {
    let request = &exchange.request;
    let conditions = Conditions {
        if_match: request.known(KnownHeader::IfMatch),
        if_none_match: request.known(KnownHeader::IfNoneMatch),
        if_modified_since: None,
        if_unmodified_since: request.known(KnownHeader::IfUnmodifiedSince),
    };
    let verdict = match fs::metadata(path) {
        Ok(known) => {
            let tag = file_etag(known.mtime(), known.len());
            let found = Validators {
                etag: Some(&tag),
                last_modified: Some(known.mtime()),
                date: None,
            };
            evaluate(&conditions, &found, IfModifiedSince::Off)
        }
        Err(_) if conditions.if_match.is_some() => Verdict::PreconditionFailed,
        Err(_) => Verdict::Proceed,
    };
    match verdict {
        Verdict::Proceed => Ok(()),
        _ => Err(Status::PRECONDITION_FAILED),
    }
}

/// The tokens the client knows, if what it demands holds.
pub(super) fn submitted(
    exchange: &Exchange,
    zone: &Zone<Locks>,
    own: &Path,
) -> Result<Vec<Token>, Status> {
    let Some(value) = header(exchange) else {
        return Ok(Vec::new());
    };
    let Ok(condition) = If::parse(value) else {
        let value = String::from_utf8_lossy(value);
        complain(
            exchange,
            format_args!("client sent invalid \"If\" header: \"{value}\""),
        );
        return Err(Status::BAD_REQUEST);
    };
    match condition.holds(exchange, zone, own) {
        true => Ok(condition.tokens()),
        false => Err(Status::PRECONDITION_FAILED),
    }
}

fn permits(zone: &Zone<Locks>, tokens: &[Token], path: &Path, change: Change) -> bool {
    let bytes = path.as_os_str().as_bytes();
    let known = |lock: &Lock| tokens.contains(&lock.token);
    // One of several shared locks is enough.
    let open = |locks: Vec<Lock>| locks.is_empty() || locks.iter().any(known);
    let folder = || path.parent().unwrap_or(path).as_os_str().as_bytes();
    let own = || open(zone.covering(bytes));
    let around = || open(zone.covering(folder()));
    let below = || {
        zone.select(|lock| is_below(&lock.path, bytes))
            .iter()
            .all(known)
    };
    match change {
        Change::Content => own(),
        Change::Creation => own() && around(),
        Change::Replacement => own() && below(),
        Change::Removal => own() && around() && below(),
    }
}
