//! What both protocols for interrupted uploads have in common.
//!
//! An unfinished upload is a resource at the URL the upload began at, with its number as an
//! argument: whatever location the first request reached, the later ones reach too.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::answer;
use super::digest::{self, Sha};
use super::failure::Failure;
use super::partial::{Answer, Partial, State};
use super::receive::{self, Content, Naming, Part, Sorter};
use super::store::{Store, Temporary};
use crate::event;
use crate::exchange::{Exchange, Response};
use crate::http::{KnownHeader, Method, Status};

/// How much of a file is read at once.
const READ: usize = 128 << 10;

/// What is to become of an upload that the request begins.
pub fn state(exchange: &Exchange) -> Result<State, Failure> {
    let naming = Naming::of(exchange);
    if naming.is_path {
        let message = "the URI names a folder, and uploads make none";
        return Err(Failure::of_client(Status::CONFLICT, message));
    }
    let content_type = exchange.request.known(KnownHeader::ContentType);
    let content_type = content_type.and_then(|value| std::str::from_utf8(value).ok());
    let form = content_type.filter(|value| {
        let form = b"multipart/form-data";
        let start = value.as_bytes().get(..form.len());
        exchange.method == Method::Post && start.is_some_and(|s| s.eq_ignore_ascii_case(form))
    });
    Ok(State {
        name: naming.name,
        form: form.map(str::to_owned),
        wants_digest: digest::is_wanted(exchange),
        ..State::default()
    })
}

/// The URL of an unfinished upload.
pub fn url(exchange: &Exchange, id: &str) -> Vec<u8> {
    let target = exchange.request.target();
    let join = if target.contains(&b'?') { "&" } else { "?" };
    [target, join.as_bytes(), b"upload=", id.as_bytes()].concat()
}

/// `Upload-Limit`, for an upload or for any.
pub fn limits(exchange: &Exchange, store: &Store, partial: Option<&Partial<'_>>) -> String {
    let core = &exchange.location.core;
    let mut limits = Vec::new();
    if store.settings.max_file_size > 0 {
        limits.push(format!("max-size={}", store.settings.max_file_size));
    }
    if core.client_max_body_size > 0 {
        limits.push(format!("max-append-size={}", core.client_max_body_size));
    }
    let age = match partial {
        Some(partial) => partial.expires().0,
        None => store.settings.expires.as_secs(),
    };
    limits.push(format!("max-age={age}"));
    limits.join(", ")
}

/// What clients of either protocol learn by OPTIONS.
pub fn options(exchange: &Exchange, store: &Store) -> Response {
    let mut response = Response::new(Status::NO_CONTENT);
    let headers = &mut response.headers;
    headers.append("Allow", "OPTIONS, GET, HEAD, POST, PUT, PATCH, DELETE");
    headers.append(
        "Accept-Patch",
        "application/partial-upload, application/offset+octet-stream",
    );
    headers.append("Upload-Limit", limits(exchange, store, None));
    headers.append("Tus-Resumable", super::tus::VERSION);
    headers.append("Tus-Version", super::tus::VERSION);
    headers.append("Tus-Extension", super::tus::EXTENSIONS);
    headers.append("Tus-Checksum-Algorithm", "sha1,sha256");
    if store.settings.max_file_size > 0 {
        headers.append("Tus-Max-Size", store.settings.max_file_size.to_string());
    }
    response
}

/// The lengths that a client tells do not agree with each other or with what it sends.
pub fn inconsistent(message: &str) -> Failure {
    Failure::of_client(Status::BAD_REQUEST, message).with_problem(
        "inconsistent-upload-length",
        "inconsistent length values for upload",
        &[],
    )
}

/// Stores an upload that is whole, and gives the answer the first request would have got had it
/// brought everything. A form is sorted into its parts only now.
pub async fn complete(
    exchange: &mut Exchange,
    store: &Store,
    partial: &mut Partial<'_>,
) -> Result<Response, Failure> {
    if let Some(answer) = &partial.state.answer {
        return Ok(replay(answer));
    }
    if partial
        .state
        .length
        .is_some_and(|length| length != partial.offset)
    {
        let message = "client completed an upload that is shorter than its length";
        return Err(inconsistent(message));
    }
    let naming = Naming {
        name: partial.state.name.clone(),
        is_path: false,
    };
    let size = partial.offset;
    let outcome = match whole(store, partial).await {
        Ok(parts) => store.commit(parts, &naming).await,
        Err(failure) => Err(failure),
    };
    let stored = outcome.inspect_err(|_| partial.remove())?;
    let wants = partial.state.wants_digest;
    let response = answer::stored(exchange, store, &stored, wants);
    partial.finish(answer_of(&response, size))?;
    Ok(response)
}

/// The parts of a whole upload.
async fn whole(store: &Store, partial: &mut Partial<'_>) -> Result<Vec<Part>, Failure> {
    let size = partial.offset;
    let (mut file, path, digest) = partial.take_content()?;
    let reread = |error| Failure::of_file("reading", &path, &error);
    if let Some(form) = &partial.state.form {
        let mut sorter = Sorter::new(store, Some(form.as_bytes())).await?;
        sorter.prepare(size).await?;
        let sorted = each_piece(&mut file, size, |piece| sorter.take(piece)).await;
        let _ = std::fs::remove_file(&path);
        sorted.map_err(reread)??;
        return sorter.finish();
    }
    let digest = match digest {
        Some(digest) => digest,
        None => {
            let mut digest = Sha::default();
            let hashed = each_piece(&mut file, size, |piece| {
                digest.update(piece);
                Ok(())
            });
            hashed.await.map_err(reread)??;
            digest
        }
    };
    let expected = partial.state.sha256.as_deref();
    let holds = expected.is_none_or(|expected| expected == digest.clone().finish());
    let file = Temporary::adopt(file, path, size, digest);
    if !holds {
        let message = "an upload is not what its \"Repr-Digest\" says";
        return Err(Failure::of_client(Status::BAD_REQUEST, message));
    }
    Ok(vec![Part {
        field: None,
        content: Content::File {
            name: None,
            content_type: None,
            file,
        },
    }])
}

/// Hands a file's content to `take`, giving others their turn in between.
async fn each_piece(
    file: &mut File,
    size: u64,
    mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> std::io::Result<Result<(), Failure>> {
    file.seek(SeekFrom::Start(0))?;
    let mut buffer = vec![0; READ];
    let mut left = size;
    while left > 0 {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Err(receive::cut_short());
        }
        if let Err(failure) = take(&buffer[..read]) {
            return Ok(Err(failure));
        }
        left = left.saturating_sub(read as u64);
        event::yield_now().await;
    }
    Ok(Ok(()))
}

fn answer_of(response: &Response, size: u64) -> Answer {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let body = match &response.body {
        crate::exchange::Body::Bytes(bytes) => text(bytes),
        _ => String::new(),
    };
    Answer {
        status: response.status.as_u16(),
        location: response.location.as_deref().map(text).unwrap_or_default(),
        body,
        size,
        digest: response.headers.get_all(b"Repr-Digest").next().map(text),
    }
}

/// The answer once more, for a client that did not hear it.
fn replay(answer: &Answer) -> Response {
    let status = Status::from_u16(answer.status).unwrap_or_default();
    let location = answer.location.clone().into_bytes();
    let mut response = Response {
        location: (!location.is_empty()).then(|| location.into()),
        ..Response::bytes(status, "application/json", answer.body.clone())
    };
    if let Some(digest) = &answer.digest {
        response.headers.append("Repr-Digest", digest.clone());
    }
    response
}
