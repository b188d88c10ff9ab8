//! PUT: a file is received whole, then takes its place in one go.

use std::fs;

use super::files::{Placement, carry_properties, mapped, place, require_folder};
use super::{Answer, Settings, complain, created, folder_access};
use crate::exchange::{Body, Exchange, Response, TempFile};
use crate::http::{KnownHeader, Status, date};
use crate::log::errno::Errno;
use crate::sys::errno;

/// Answers PUT (RFC 9110 section 9.3.4).
pub(super) async fn put(settings: &Settings, exchange: &mut Exchange) -> Answer {
    if exchange.path.last() == Some(&b'/') {
        complain(exchange, format_args!("cannot PUT to a collection"));
        return Err(Status::CONFLICT);
    }
    if exchange.request.known(KnownHeader::ContentRange).is_some() {
        complain(exchange, format_args!("PUT with range is unsupported"));
        return Err(Status::NOT_IMPLEMENTED);
    }
    let mut file = receive(exchange).await?;
    let path = mapped(exchange)?;
    let existing = fs::metadata(&path).ok();
    if existing.as_ref().is_some_and(fs::Metadata::is_dir) {
        let error = std::io::Error::from_raw_os_error(errno::EISDIR);
        let path = path.display();
        complain(
            exchange,
            format_args!("\"{path}\" could not be created {}", Errno(&error)),
        );
        return Err(Status::CONFLICT);
    }
    if settings.rfc4918 && !settings.create_full_put_path {
        require_folder(exchange, &path)?;
    }
    let how = Placement {
        access: Some(settings.access),
        folders: settings
            .create_full_put_path
            .then(|| folder_access(settings.access)),
        modified: exchange
            .request
            .known(KnownHeader::Date)
            .and_then(date::parse),
    };
    if existing.is_some() {
        carry_properties(exchange, &path, &file.path);
    }
    place(exchange, &file.path, &path, &how).await?;
    file.keep();
    Ok(match existing {
        Some(_) => Response::new(Status::NO_CONTENT),
        None => Response {
            body: Body::Empty,
            ..created(exchange)
        },
    })
}

/// The request's body in a file.
async fn receive(exchange: &mut Exchange) -> Result<TempFile, Status> {
    let announced = exchange.request.framing.content_length.is_some();
    if !announced && !exchange.body.is_pending() && exchange.body.buffered().is_none() {
        complain(exchange, format_args!("PUT request body must be in a file"));
        return Err(Status::INTERNAL_SERVER_ERROR);
    }
    let location = std::rc::Rc::clone(&exchange.location);
    let received = exchange.body.into_file(&location.core).await;
    received.map_err(|error| error.refuse(exchange))
}
