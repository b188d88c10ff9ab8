//! PROPFIND: the properties of a resource, and of what is in it (RFC 4918 section 9.1).

use std::fs;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use super::files::{fail, mapped};
use super::props::{Resource, View, Wanted};
use super::xml::{self, Element, Name};
use super::{Answer, Depth, Settings, read_xml};
use crate::exchange::{Body, Exchange, LocalBoxFuture, Piece, ResponseStream};
use crate::http::Status;

/// How many resources are shown before others get their turn.
const BATCH: usize = 64;

/// Answers PROPFIND.
pub(super) async fn propfind(settings: &Settings, exchange: &mut Exchange) -> Answer {
    let asked = read_xml(exchange).await?;
    let wanted = asked.map_or(Ok(Wanted::All), |asked| wanted(&asked))?;
    let depth = match Depth::of(exchange, Depth::Infinity) {
        Depth::Zero => 0,
        Depth::One => 1,
        Depth::Infinity => usize::MAX,
        Depth::Invalid => return Err(Status::BAD_REQUEST),
    };
    let path = mapped(exchange)?;
    let first = Resource::find(path.clone(), exchange.path.clone())
        .map_err(|error| fail(exchange, "stat()", &path, &error, Status::NOT_FOUND))?;
    let view = View {
        wanted,
        core: Rc::clone(&exchange.location.core),
        locks: settings.locks.clone(),
    };
    let mut listing = Listing::new(view, first, depth);
    let start = listing.fill();
    let body = match listing.is_done() {
        true => Body::from(start),
        false => {
            listing.ready = Some(start);
            Body::Stream(Box::new(listing))
        }
    };
    Ok(xml::response(Status::MULTI_STATUS, body))
}

fn wanted(asked: &Element) -> Result<Wanted, Status> {
    if !asked.name.is_dav("propfind") {
        return Err(Status::BAD_REQUEST);
    }
    if let Some(names) = asked.child("prop") {
        let names: Vec<Name> = names.children().map(|child| child.name.clone()).collect();
        return Ok(Wanted::These(names));
    }
    if asked.child("propname").is_some() {
        return Ok(Wanted::Names);
    }
    // All live properties are shown, so there is nothing that `include` could add.
    match asked.child("allprop") {
        Some(_) => Ok(Wanted::All),
        None => Err(Status::BAD_REQUEST),
    }
}

/// The resources of a tree, shown as they are found, so that a large tree needs little memory.
struct Listing {
    view: View,
    /// What comes next: a path, its URI, and how deep to go from there.
    ahead: Vec<(PathBuf, Vec<u8>, usize)>,
    first: Option<(Resource, usize)>,
    /// What was made but not sent yet.
    ready: Option<Vec<u8>>,
    done: bool,
}

impl Listing {
    fn new(view: View, first: Resource, depth: usize) -> Listing {
        Listing {
            view,
            ahead: Vec::new(),
            first: Some((first, depth)),
            ready: None,
            done: false,
        }
    }

    fn is_done(&self) -> bool {
        self.done
    }

    /// The next part of the document.
    fn fill(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some((first, depth)) = self.first.take() {
            out.extend_from_slice(xml::HEADER);
            out.extend_from_slice(b"<D:multistatus xmlns:D=\"DAV:\">\n");
            self.show(&first, depth, &mut out);
        }
        for _ in 0..BATCH {
            let Some((path, uri, depth)) = self.ahead.pop() else {
                self.done = true;
                out.extend_from_slice(b"</D:multistatus>\n");
                break;
            };
            // What vanished meanwhile, or leads nowhere, is left out.
            if let Ok(resource) = Resource::find(path, uri) {
                self.show(&resource, depth, &mut out);
            }
        }
        out
    }

    fn show(&mut self, resource: &Resource, depth: usize, out: &mut Vec<u8>) {
        self.view.write(resource, out);
        if depth == 0 || !resource.known.is_dir() {
            return;
        }
        let entries = fs::read_dir(&resource.path).into_iter().flatten().flatten();
        for entry in entries {
            // Links are shown but not followed further, so that there is an end.
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            let depth = if is_link { 0 } else { depth - 1 };
            let uri = resource.child_uri(&entry.file_name());
            self.ahead.push((entry.path(), uri, depth));
        }
    }
}

impl ResponseStream for Listing {
    fn next(&mut self) -> LocalBoxFuture<'_, Option<io::Result<Piece>>> {
        Box::pin(async {
            let part = match self.ready.take() {
                Some(ready) => ready,
                None if self.done => return None,
                None => {
                    crate::event::yield_now().await;
                    self.fill()
                }
            };
            Some(Ok(Piece::Bytes(part.into())))
        })
    }
}
