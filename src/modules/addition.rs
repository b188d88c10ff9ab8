//! `add_before_body` and `add_after_body`: what other URIs respond with, around bodies.

use std::rc::Rc;

use crate::config::context::HTTP_SERVER_LOCATION;
use crate::config::{Directive, Module, directive};
use crate::exchange::{Body, Exchange, Filter, Location, Response};
use crate::http::{MediaTypes, Status};

/// Adds to bodies.
pub struct Addition;

/// What a block adds; empty URIs add nothing.
#[derive(Clone, Default)]
pub struct Settings {
    before: Rc<[u8]>,
    after: Rc<[u8]>,
    types: MediaTypes,
}

impl Module for Addition {
    type Settings = Settings;
    const NAME: &'static str = "addition";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        directive("add_before_body")
            .syntax("uri")
            .contexts(HTTP_SERVER_LOCATION)
            .doc("Sends what a request for the URI responds with before each body; an empty URI sends nothing.")
            .set(|s, d| {
                s.before = d.arg(0).into();
                Ok(())
            }),
        directive("add_after_body")
            .syntax("uri")
            .contexts(HTTP_SERVER_LOCATION)
            .doc("Sends what a request for the URI responds with after each body; an empty URI sends nothing.")
            .set(|s, d| {
                s.after = d.arg(0).into();
                Ok(())
            }),
        directive("addition_types")
            .syntax("mime-type ...")
            .default("text/html")
            .contexts(HTTP_SERVER_LOCATION)
            .at_least(1)
            .doc("Lists the media types of bodies that are added to; text/html always is one, and * stands for all.")
            .repeat(|s, d| {
                d.media_types(&mut s.types);
                Ok(())
            }),
    ];

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if !settings.before.is_empty() || !settings.after.is_empty() {
            location.filters.push(Rc::clone(settings) as Rc<dyn Filter>);
        }
    }
}

impl Filter for Settings {
    fn filter(&self, exchange: &Exchange, response: &mut Response) {
        let is_for = self.types.contains(response.entity.content_type.as_deref());
        if response.status != Status::OK || !is_for {
            return;
        }
        let body = std::mem::take(&mut response.body);
        let parts = [
            part(exchange, &self.before),
            body,
            part(exchange, &self.after),
        ];
        response.body = Body::chain(parts);
        response.forbid_ranges();
        response.weaken_etag();
    }
}

/// What the URI will respond with.
fn part(exchange: &Exchange, uri: &[u8]) -> Body {
    if uri.is_empty() {
        return Body::Empty;
    }
    let sub = exchange.subrequest(uri.to_vec(), Vec::new());
    sub.map_or(Body::Empty, Exchange::body_of_subrequest)
}

#[cfg(test)]
mod tests {
    use crate::modules::tests::trial::{Site, bytes, field};

    #[test]
    fn bodies_are_added_to() {
        let site = Site::new(
            "default_type text/html; gzip off;
             location /b { add_before_body /before; return 200 body; }
             location /a { add_after_body /after; return 200 body; }
             location /ab { add_before_body /before; add_after_body /after; return 200 body; }
             location /status { add_after_body /after; return 202 body; }
             location /plain { add_after_body /after; default_type text/plain; return 200 body; }
             location /types { add_after_body /after; addition_types text/plain; default_type text/plain; return 200 body; }
             location /self { add_after_body /self; return 200 self; }
             location /own { ssi on; sub_filter before later; add_before_body /before; return 200 'before<!--#echo var=\"uri\" -->'; }
             location /error { add_after_body /nothing; return 200 body; }
             location /off { add_before_body /before; location /off/ { add_before_body ''; return 200 body; } }
             location /file { add_before_body /before; add_after_body /after; }
             location = /before { return 200 $uri; }
             location = /after { return 200 after; }",
        );
        site.write("file", &"x".repeat(100_000));
        let cases = [
            ("/b", "/beforebody"),
            ("/a", "bodyafter"),
            ("/ab", "/beforebodyafter"),
            ("/status", "body"),
            ("/plain", "body"),
            ("/types", "bodyafter"),
            ("/self", "selfself"),
            ("/off/", "body"),
            ("/own", "/beforelater/own"),
        ];
        for (target, expected) in cases {
            let body = bytes(&mut site.get(target, &[]));
            assert_eq!(String::from_utf8_lossy(&body), expected, "{target}");
        }
        let body = bytes(&mut site.get("/error", &[]));
        assert!(body.starts_with(b"body<!doctype html>"));
        let mut response = site.get("/file", &["Range: bytes=0-1"]);
        assert_eq!(field(&response, "Accept-Ranges"), None);
        assert!(response.entity.etag.as_ref().unwrap().starts_with(b"W/"));
        let body = bytes(&mut response);
        assert!(body.starts_with(b"/beforex") && body.ends_with(b"xafter"));
        assert_eq!(body.len(), 100_000 + 7 + 5);
    }
}
