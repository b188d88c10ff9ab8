//! MKCOL: a new folder.

use super::files::{fail, mapped, without_slash};
use super::{Answer, Settings, complain, created, folder_access, has_body};
use crate::exchange::Exchange;
use crate::http::Status;
use crate::sys::fs::mkdir;

/// Answers MKCOL (RFC 4918 section 9.3).
pub(super) fn mkcol(settings: &Settings, exchange: &Exchange) -> Answer {
    if has_body(exchange) {
        complain(exchange, format_args!("MKCOL with body is unsupported"));
        return Err(Status::UNSUPPORTED_MEDIA_TYPE);
    }
    if exchange.path.last() != Some(&b'/') && !settings.rfc4918 {
        complain(exchange, format_args!("MKCOL can create a collection only"));
        return Err(Status::CONFLICT);
    }
    let path = mapped(exchange)?;
    let path = without_slash(&path);
    match mkdir(path, folder_access(settings.access)) {
        Ok(()) => Ok(created(exchange)),
        Err(error) => Err(fail(exchange, "mkdir()", path, &error, Status::CONFLICT)),
    }
}
