//! Conditional requests: 304 for what the client has already, 412 for what it does not want.

use std::rc::Rc;

use crate::config::{Directive, Module};
use crate::exchange::{Body, Exchange, Filter, Location, Response};
use crate::http::conditional::{Conditions, Validators, Verdict, evaluate};
use crate::http::{KnownHeader, Status};

/// Compares validators; always there. `if_modified_since` is among the core's directives.
#[derive(Clone, Default)]
pub struct NotModified;

impl Module for NotModified {
    type Settings = Self;
    const NAME: &'static str = "not_modified";
    const DIRECTIVES: &'static [Directive<Self>] = &[];

    fn install(_: &Rc<Self>, location: &mut Location) {
        location.filters.push(Rc::new(NotModified));
    }
}

impl Filter for NotModified {
    fn filter(&self, exchange: &Exchange, mut response: Response) -> Response {
        if response.status != Status::OK {
            return response;
        }
        match verdict(exchange, &response) {
            Verdict::Proceed => response,
            Verdict::PreconditionFailed => Response::page(Status::PRECONDITION_FAILED),
            Verdict::NotModified => {
                response.status = Status::NOT_MODIFIED;
                response.content_type = None;
                response.ranges = false;
                response.headers.remove(b"Content-Encoding");
                response.body = Body::Empty;
                response
            }
        }
    }
}

fn verdict(exchange: &Exchange, response: &Response) -> Verdict {
    let request = &exchange.request;
    let conditions = Conditions {
        if_match: request.known(KnownHeader::IfMatch),
        if_none_match: request.known(KnownHeader::IfNoneMatch),
        if_modified_since: request.known(KnownHeader::IfModifiedSince),
        if_unmodified_since: request.known(KnownHeader::IfUnmodifiedSince),
    };
    let found = Validators {
        etag: response.etag.as_deref(),
        last_modified: response.last_modified,
    };
    evaluate(
        &conditions,
        &found,
        exchange.location.core.if_modified_since,
    )
}
