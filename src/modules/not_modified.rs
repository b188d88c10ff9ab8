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
    fn filter(&self, exchange: &Exchange, response: &mut Response) {
        if response.status != Status::OK {
            return;
        }
        let request = &exchange.request;
        let conditions = Conditions {
            if_match: request.known(KnownHeader::IfMatch),
            if_none_match: request.known(KnownHeader::IfNoneMatch),
            if_modified_since: request.known(KnownHeader::IfModifiedSince),
            if_unmodified_since: request.known(KnownHeader::IfUnmodifiedSince),
        };
        if conditions.is_empty() {
            return;
        }
        let found = Validators {
            etag: response.entity.etag.as_deref(),
            last_modified: response.entity.last_modified,
            date: response.entity.date(),
        };
        let mode = exchange.location.core.if_modified_since;
        match evaluate(&conditions, &found, mode) {
            Verdict::Proceed => {}
            Verdict::PreconditionFailed => {
                *response = Response::page(Status::PRECONDITION_FAILED);
            }
            Verdict::NotModified => {
                response.status = Status::NOT_MODIFIED;
                response.entity = response.entity.untyped();
                response.ranges = false;
                response.headers.remove(b"Content-Encoding");
                response.body = Body::Empty;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::tests::trial::{Site, field, status, text};

    #[test]
    fn conditions_are_weighed() {
        let site = Site::new(
            "location /exact { } location /off { if_modified_since off; } location /before { if_modified_since before; }",
        );
        for name in ["exact", "off", "before"] {
            site.write(name, "hello");
        }
        let response = site.get("/exact", &[]);
        let etag = String::from_utf8(response.entity.etag.clone().unwrap().to_vec()).unwrap();
        let same = String::from_utf8(
            crate::http::date::format(response.entity.last_modified.unwrap()).to_vec(),
        )
        .unwrap();
        let (early, late) = (
            "Mon, 28 Sep 1970 06:00:00 GMT",
            "Fri, 31 Dec 2100 00:00:00 GMT",
        );
        let cases = [
            ("/exact", "If-Modified-Since", same.as_str(), 304),
            ("/exact", "If-Modified-Since", early, 200),
            ("/exact", "If-Modified-Since", late, 200),
            ("/before", "If-Modified-Since", late, 304),
            ("/off", "If-Modified-Since", same.as_str(), 200),
            ("/exact", "If-None-Match", etag.as_str(), 304),
            ("/exact", "If-None-Match", "\"x\"", 200),
            ("/exact", "If-Match", etag.as_str(), 200),
            ("/exact", "If-Match", "\"x\"", 412),
            ("/exact", "If-Unmodified-Since", same.as_str(), 200),
            ("/exact", "If-Unmodified-Since", early, 412),
        ];
        for (target, name, value, expected) in cases {
            let response = site.get(target, &[&format!("{name}: {value}")]);
            assert_eq!(status(&response), expected, "{target} {name}: {value}");
        }
    }

    #[test]
    fn not_modified_keeps_the_validators_only() {
        let site = Site::new("add_header X y;");
        site.write("a", "hello");
        let response = site.get("/a", &["If-None-Match: *"]);
        assert_eq!((status(&response), text(&response).as_str()), (304, ""));
        assert!(
            response.entity.content_type.is_none()
                && response.entity.etag.is_some()
                && response.entity.last_modified.is_some()
        );
        assert_eq!(field(&response, "X"), Some("y"));
        assert_eq!(field(&response, "Accept-Ranges"), None);
    }

    #[test]
    fn a_failed_precondition_gets_a_page() {
        let site = Site::new(
            "error_page 412 /page; add_header X y; location = /built-in { error_page 404 /; }",
        );
        site.write("a", "hello");
        site.write("built-in", "hello");
        site.write("page", "the page");
        let response = site.get("/a", &["If-Match: x"]);
        assert_eq!(
            (status(&response), text(&response).as_str()),
            (412, "the page")
        );
        let response = site.get("/built-in", &["If-Match: x"]);
        assert_eq!(status(&response), 412);
        assert!(text(&response).contains("412 Precondition Failed"));
        assert_eq!(field(&response, "X"), None);
    }
}
