//! OPTIONS: what can be done here (RFC 9110 section 9.3.7, RFC 4918 section 18).

use super::Settings;
use crate::exchange::Response;
use crate::http::{Method, Status};

/// Answers OPTIONS.
pub(super) fn options(settings: &Settings) -> Response {
    let methods = settings.methods | settings.ext_methods;
    let mut allowed = vec!["GET", "HEAD"];
    let named = Method::NAMED.iter();
    let dav = named.filter(|method| methods & method.bit() != 0);
    allowed.extend(dav.map(|method| method.as_str()));
    let locks = settings.locks.is_some() && methods & Method::Lock.bit() != 0;
    let mut response = Response::new(Status::OK);
    response
        .headers
        .append("DAV", if locks { "1, 2" } else { "1" });
    response.headers.append("Allow", allowed.join(", "));
    // Windows asks for it before it mounts anything.
    response.headers.append("MS-Author-Via", "DAV");
    response
}
