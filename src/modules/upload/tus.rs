//! tus 1.0: the core protocol and creation, creation-with-upload, creation-defer-length,
//! termination, checksum and expiration.

use super::digest::Check;
use super::failure::Failure;
use super::ietf::integer;
use super::names::clean;
use super::partial::{Partial, State};
use super::receive::field;
use super::resumable::{self, complete};
use super::store::Store;
use crate::exchange::{Exchange, Response};
use crate::http::{KnownHeader, Method, Status, base64, date};

/// The version of the protocol.
pub const VERSION: &str = "1.0.0";

/// What is there beyond its core.
pub const EXTENSIONS: &str =
    "creation,creation-with-upload,creation-defer-length,termination,checksum,expiration";

/// The media type of what is appended.
const MEDIA_TYPE: &[u8] = b"application/offset+octet-stream";

/// Whether the client speaks it.
pub fn is_spoken(exchange: &Exchange) -> bool {
    field(exchange, "Tus-Resumable").is_some()
}

/// Answers a request of this protocol.
pub async fn serve(exchange: &mut Exchange, store: &Store) -> Result<Response, Failure> {
    let outcome = match method(exchange) {
        Method::Options => return Ok(resumable::options(exchange, store)),
        _ if field(exchange, "Tus-Resumable") != Some(VERSION.as_bytes()) => {
            Err(Failure::silent(Status::PRECONDITION_FAILED).with("Tus-Version", VERSION))
        }
        method => act(exchange, store, method).await,
    };
    let mut response = outcome.map_err(|failure| failure.with("Tus-Resumable", VERSION))?;
    response.headers.set("Tus-Resumable", VERSION);
    Ok(response)
}

/// The method, which clients behind strange proxies put into a field of its own. `limit_except`
/// has seen the other one only, so it is asked again; a method it would treat otherwise is not acted by.
fn method(exchange: &Exchange) -> Method {
    let Some(name) = field(exchange, "X-HTTP-Method-Override") else {
        return exchange.method;
    };
    let method = Method::from_bytes(name);
    match &exchange.location.method_limit {
        Some(limit) if !limit.allowed.contains(&method) => exchange.method,
        _ => method,
    }
}

async fn act(exchange: &mut Exchange, store: &Store, method: Method) -> Result<Response, Failure> {
    let id = super::resource(exchange).map(str::to_owned);
    match (method, id) {
        (Method::Post, None) => create(exchange, store).await,
        (Method::Head, Some(id)) => {
            let partial = Partial::open(store, &id).await?;
            Ok(report(&partial))
        }
        (Method::Patch, Some(id)) => append(exchange, store, &id).await,
        (Method::Delete, Some(id)) => {
            Partial::open(store, &id).await?.remove();
            Ok(Response::new(Status::NO_CONTENT))
        }
        _ => Err(Failure::silent(Status::NOT_ALLOWED)),
    }
}

/// Creates an upload; its first bytes may come along.
async fn create(exchange: &mut Exchange, store: &Store) -> Result<Response, Failure> {
    let length = integer(exchange, "Upload-Length");
    let is_deferred = field(exchange, "Upload-Defer-Length") == Some(b"1");
    if length.is_some() == is_deferred {
        let message = "client began an upload without its length";
        return Err(Failure::of_client(Status::BAD_REQUEST, message));
    }
    let mut state = State {
        form: None,
        ..resumable::state(exchange)?
    };
    let metadata = field(exchange, "Upload-Metadata").and_then(|m| std::str::from_utf8(m).ok());
    if let Some(metadata) = metadata {
        state.name = name_of(metadata).or(state.name);
        state.metadata = Some(metadata.to_owned());
    }
    if let Some(name) = &state.name {
        store.check_name(name)?;
    }
    let mut partial = Partial::create(store, state)?;
    if let Some(length) = length {
        let set = partial.set_length(length);
        set.inspect_err(|_| partial.remove())?;
    }
    let location = resumable::url(exchange, &partial.id);
    let media_type = exchange.request.known(KnownHeader::ContentType);
    if media_type == Some(MEDIA_TYPE) {
        let check = check(exchange).inspect_err(|_| partial.remove())?;
        let appended = partial.append(exchange, check, None).await;
        // The client does not know yet where it could go on.
        appended.inspect_err(|_| partial.remove())?;
    }
    let mut response = Response::new(Status::CREATED);
    response.headers.append("Location", location);
    proceed(exchange, store, &mut partial, &mut response).await?;
    Ok(response)
}

/// The file's name in `Upload-Metadata`: pairs of a key and a value in base64.
fn name_of(metadata: &str) -> Option<String> {
    let mut pairs = metadata
        .split(',')
        .filter_map(|pair| pair.trim().split_once(' '));
    let (_, name) = pairs.find(|(key, _)| matches!(*key, "filename" | "name"))?;
    clean(&base64::decode(name.trim().as_bytes())?)
}

async fn append(exchange: &mut Exchange, store: &Store, id: &str) -> Result<Response, Failure> {
    if exchange.request.known(KnownHeader::ContentType) != Some(MEDIA_TYPE) {
        return Err(Failure::silent(Status::UNSUPPORTED_MEDIA_TYPE));
    }
    let check = check(exchange)?;
    let Some(offset) = integer(exchange, "Upload-Offset") else {
        let message = "client appended to an upload without saying where";
        return Err(Failure::of_client(Status::BAD_REQUEST, message));
    };
    let mut partial = Partial::open(store, id).await?;
    if offset != partial.offset || partial.is_finished() && !exchange.body.is_over() {
        let message = "client appended to an upload at a wrong offset";
        return Err(Failure::of_client(Status::CONFLICT, message));
    }
    if let Some(length) = integer(exchange, "Upload-Length") {
        partial.set_length(length)?;
    }
    if !partial.is_finished() {
        partial.append(exchange, check, None).await?;
    }
    let mut response = Response::new(Status::NO_CONTENT);
    proceed(exchange, store, &mut partial, &mut response).await?;
    Ok(response)
}

/// Stores the upload if it is whole, and says how far it is.
async fn proceed(
    exchange: &mut Exchange,
    store: &Store,
    partial: &mut Partial<'_>,
    response: &mut Response,
) -> Result<(), Failure> {
    let headers = &mut response.headers;
    headers.append("Upload-Offset", partial.offset.to_string());
    if partial.state.length == Some(partial.offset) {
        let whole = complete(exchange, store, partial).await?;
        if let Some(location) = whole.location {
            headers.append("Content-Location", location);
        }
        return Ok(());
    }
    headers.append("Upload-Expires", date::format(partial.expires().1).to_vec());
    Ok(())
}

fn report(partial: &Partial<'_>) -> Response {
    let mut response = Response::new(Status::OK);
    let headers = &mut response.headers;
    headers.append("Upload-Offset", partial.offset.to_string());
    match partial.state.length {
        Some(length) => headers.append("Upload-Length", length.to_string()),
        None => headers.append("Upload-Defer-Length", "1"),
    }
    if let Some(metadata) = &partial.state.metadata {
        headers.append("Upload-Metadata", metadata.clone());
    }
    if !partial.is_finished() {
        headers.append("Upload-Expires", date::format(partial.expires().1).to_vec());
    }
    headers.append("Cache-Control", "no-store");
    response
}

/// What `Upload-Checksum` says of the body; 400 for an algorithm nobody knows.
fn check(exchange: &Exchange) -> Result<Option<Check>, Failure> {
    let checksum = field(exchange, "Upload-Checksum").map(Check::of_tus);
    checksum.transpose().map_err(|()| {
        let message = "client sent an \"Upload-Checksum\" that can't be checked";
        Failure::of_client(Status::BAD_REQUEST, message)
    })
}
