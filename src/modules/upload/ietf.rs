//! Resumable uploads for HTTP: draft-ietf-httpbis-resumable-upload, interop version 9.
//!
//! Clients in the field still speak versions 6 to 8, which differ in nothing that is sent here.

use super::digest::{self, Check};
use super::failure::Failure;
use super::partial::Partial;
use super::receive::field;
use super::resumable::{self, complete, limits};
use super::store::Store;
use crate::exchange::{Exchange, Response};
use crate::http::{Headers, KnownHeader, Method, Status, Version};

/// The interop versions that are understood.
const VERSIONS: std::ops::RangeInclusive<u64> = 6..=9;

/// The media type of what is appended.
const MEDIA_TYPE: &[u8] = b"application/partial-upload";

/// Whether the client begins an upload that it would resume: it asks for that with
/// `Upload-Complete`, and if it means to send all at once, by knowing an interim response.
pub fn is_offered(exchange: &Exchange) -> bool {
    match boolean(exchange, "Upload-Complete") {
        Some(false) => true,
        Some(true) => version(exchange).is_some(),
        None => false,
    }
}

/// Answers a request of this protocol.
pub async fn serve(exchange: &mut Exchange, store: &Store) -> Result<Response, Failure> {
    let Some(id) = super::resource(exchange).map(str::to_owned) else {
        return match exchange.method {
            Method::Options => Ok(resumable::options(exchange, store)),
            _ => create(exchange, store).await,
        };
    };
    match exchange.method {
        Method::Options => Ok(resumable::options(exchange, store)),
        Method::Get | Method::Head => {
            let partial = Partial::open(store, &id).await?;
            Ok(report(exchange, store, &partial))
        }
        Method::Delete => {
            Partial::open(store, &id).await?.remove();
            Ok(Response::new(Status::NO_CONTENT))
        }
        Method::Patch => append(exchange, store, &id).await,
        _ => Err(Failure::silent(Status::NOT_ALLOWED)),
    }
}

/// Upload creation (section 4.2 of the draft).
async fn create(exchange: &mut Exchange, store: &Store) -> Result<Response, Failure> {
    let is_complete = boolean(exchange, "Upload-Complete") == Some(true);
    let mut state = resumable::state(exchange)?;
    if let Some(name) = &state.name {
        store.check_name(name)?;
    }
    state.sha256 = field(exchange, "Repr-Digest").and_then(digest::sha256_of_field);
    let mut partial = Partial::create(store, state)?;
    let begun = begin(exchange, &mut partial, is_complete);
    if let Err(failure) = begun {
        partial.remove();
        return Err(failure.with("Upload-Limit", limits(exchange, store, None)));
    }
    let location = resumable::url(exchange, &partial.id);
    let reports = announce(exchange, store, &partial, &location);
    let check = field(exchange, "Content-Digest").and_then(Check::of_digest_field);
    if let Err(failure) = partial.append(exchange, check, reports).await {
        // Nobody knows where to go on, or there is no room to keep it for that.
        if reports.is_none() || failure.status == Status::INSUFFICIENT_STORAGE {
            partial.remove();
        }
        return Err(checked(exchange, store, failure));
    }
    if is_complete {
        return finish(exchange, store, &mut partial).await;
    }
    let mut response = Response::new(Status::CREATED);
    response.headers.append("Location", location);
    describe(&mut response.headers, exchange, store, &partial);
    Ok(response)
}

/// Notes the lengths that the request announces, which must agree.
fn begin(exchange: &Exchange, partial: &mut Partial<'_>, is_complete: bool) -> Result<(), Failure> {
    if let Some(length) = integer(exchange, "Upload-Length") {
        partial.set_length(length)?;
    }
    match exchange.request.framing.content_length {
        Some(length) if is_complete => partial.set_length(partial.offset.saturating_add(length)),
        None if is_complete && exchange.body.is_over() => partial.set_length(partial.offset),
        _ => Ok(()),
    }
}

/// Tells where the upload can be resumed before it comes, if the client would understand: if it
/// speaks an interop version.
fn announce(
    exchange: &mut Exchange,
    store: &Store,
    partial: &Partial<'_>,
    location: &[u8],
) -> Option<u64> {
    let version = version(exchange)?;
    let mut headers = Headers::new();
    headers.append("Location", location.to_vec());
    headers.append("Upload-Draft-Interop-Version", version.to_string());
    headers.append("Upload-Limit", limits(exchange, store, Some(partial)));
    exchange
        .body
        .inform(Status::UPLOAD_RESUMPTION_SUPPORTED, &headers);
    Some(version)
}

/// Upload append (section 4.4 of the draft).
async fn append(exchange: &mut Exchange, store: &Store, id: &str) -> Result<Response, Failure> {
    let content_type = exchange.request.known(KnownHeader::ContentType);
    if content_type.is_none_or(|value| !value.eq_ignore_ascii_case(MEDIA_TYPE)) {
        let refused = Failure::silent(Status::UNSUPPORTED_MEDIA_TYPE);
        return Err(refused.with("Accept-Patch", MEDIA_TYPE));
    }
    let offset = integer(exchange, "Upload-Offset");
    let is_complete = boolean(exchange, "Upload-Complete");
    let (Some(offset), Some(is_complete)) = (offset, is_complete) else {
        let message = "client appended to an upload without saying where";
        return Err(Failure::of_client(Status::BAD_REQUEST, message));
    };
    let mut partial = Partial::open(store, id).await?;
    let is_repeated = partial.is_finished() && is_complete && exchange.body.is_over();
    if offset != partial.offset || partial.is_finished() && !is_repeated {
        let known = partial.offset.to_string();
        return Err(misplaced(offset, partial.offset)
            .with("Upload-Offset", known)
            .with("Upload-Complete", "?0"));
    }
    if is_repeated {
        return finish(exchange, store, &mut partial).await;
    }
    begin(exchange, &mut partial, is_complete)
        .map_err(|failure| failure.with("Upload-Complete", "?0"))?;
    let check = field(exchange, "Content-Digest").and_then(Check::of_digest_field);
    let reports = version(exchange);
    partial
        .append(exchange, check, reports)
        .await
        .map_err(|failure| checked(exchange, store, failure))?;
    if is_complete {
        return finish(exchange, store, &mut partial).await;
    }
    let mut response = Response::new(Status::NO_CONTENT);
    describe(&mut response.headers, exchange, store, &partial);
    Ok(response)
}

/// An append at a wrong offset, or to an upload that is complete.
fn misplaced(provided: u64, expected: u64) -> Failure {
    if provided == expected {
        let message = "client appended to an upload that is complete";
        let title = "the upload is already completed";
        return Failure::of_client(Status::CONFLICT, message).with_problem(
            "completed-upload",
            title,
            &[],
        );
    }
    let message = "client appended to an upload at a wrong offset";
    let title = "offset from request does not match offset of resource";
    let offsets = [("expected-offset", expected), ("provided-offset", provided)];
    Failure::of_client(Status::CONFLICT, message).with_problem(
        "mismatching-upload-offset",
        title,
        &offsets,
    )
}

/// The answer to the whole upload, marked as such.
async fn finish(
    exchange: &mut Exchange,
    store: &Store,
    partial: &mut Partial<'_>,
) -> Result<Response, Failure> {
    let outcome = complete(exchange, store, partial).await;
    let mut response = outcome.map_err(|failure| failure.with("Upload-Complete", "?1"))?;
    response.headers.append("Upload-Complete", "?1");
    response
        .headers
        .append("Upload-Offset", partial.offset.to_string());
    Ok(response)
}

/// Offset retrieval (section 4.3 of the draft).
fn report(exchange: &Exchange, store: &Store, partial: &Partial<'_>) -> Response {
    let mut response = Response::new(Status::NO_CONTENT);
    describe(&mut response.headers, exchange, store, partial);
    if let Some(length) = partial.state.length {
        response.headers.append("Upload-Length", length.to_string());
    }
    response.headers.append("Cache-Control", "no-store");
    response
}

fn describe(headers: &mut Headers, exchange: &Exchange, store: &Store, partial: &Partial<'_>) {
    let is_complete = if partial.is_finished() { "?1" } else { "?0" };
    headers.append("Upload-Complete", is_complete);
    headers.append("Upload-Offset", partial.offset.to_string());
    headers.append("Upload-Limit", limits(exchange, store, Some(partial)));
}

/// An append that failed: this protocol has no status of its own for a wrong digest, and tells
/// limits to those who exceed them.
fn checked(exchange: &Exchange, store: &Store, mut failure: Failure) -> Failure {
    match failure.status {
        Status::CHECKSUM_MISMATCH => failure.status = Status::BAD_REQUEST,
        Status::REQUEST_ENTITY_TOO_LARGE => {
            let limits = limits(exchange, store, None);
            failure = failure.with("Upload-Limit", limits);
        }
        _ => {}
    }
    failure.with("Upload-Complete", "?0")
}

/// The interop version, if client and server share one and interim responses can be sent.
fn version(exchange: &Exchange) -> Option<u64> {
    let version = integer(exchange, "Upload-Draft-Interop-Version")?;
    let known = VERSIONS.contains(&version) && exchange.request.version() >= Version::Http11;
    known.then_some(version)
}

/// A structured field that is an integer (RFC 9651 section 3.3.1), not negative.
pub fn integer(exchange: &Exchange, name: &str) -> Option<u64> {
    let item = bare_item(field(exchange, name)?);
    let is_integer = (1..=15).contains(&item.len()) && item.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(item).ok().filter(|_| is_integer)?;
    text.parse().ok()
}

/// A structured field that is a boolean (RFC 9651 section 3.3.6).
fn boolean(exchange: &Exchange, name: &str) -> Option<bool> {
    match bare_item(field(exchange, name)?) {
        b"?1" => Some(true),
        b"?0" => Some(false),
        _ => None,
    }
}

/// An item without its parameters.
fn bare_item(value: &[u8]) -> &[u8] {
    let end = memchr::memchr(b';', value).unwrap_or(value.len());
    value[..end].trim_ascii()
}
