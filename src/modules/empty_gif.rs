//! `empty_gif`: a transparent picture of one pixel, from memory.

use std::rc::Rc;

use crate::config::context::LOCATION;
use crate::config::{Contexts, Directive, Module, directive, shared_with_if};
use crate::exchange::{Exchange, Handler, Location, Phase, Response, Step};
use crate::http::{Method, Status};

/// Answers with the picture.
pub struct EmptyGif;

/// Whether a block does.
#[derive(Clone, Default)]
pub struct Settings {
    on: bool,
}

/// GIF89a: one transparent pixel.
const PICTURE: &[u8] = b"GIF89a\x01\0\x01\0\x80\x01\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\x01\0,\
\0\0\0\0\x01\0\x01\0\0\x02\x02L\x01\0;";

/// When the picture is said to have been made: before anything else on the web.
const MADE: i64 = 23_349_600;

impl Module for EmptyGif {
    type Settings = Settings;
    const NAME: &'static str = "empty_gif";
    const DIRECTIVES: &'static [Directive<Settings>] = &[directive("empty_gif")
        .contexts(LOCATION)
        .none()
        .doc("Answers with a transparent picture of one pixel.")
        .set(|settings, _| {
            settings.on = true;
            Ok(())
        })];

    fn inherit(parent: &Rc<Settings>, child: Contexts) -> Rc<Settings> {
        shared_with_if(parent, child)
    }

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if settings.on {
            location.add_handler(Phase::Content, Rc::new(Picture));
        }
    }
}

struct Picture;

impl Handler for Picture {
    fn handle<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        if !matches!(exchange.method, Method::Get | Method::Head) {
            return Step::status(Status::NOT_ALLOWED);
        }
        let mut response = Response::bytes(Status::OK, "image/gif", PICTURE.to_vec());
        response.entity.last_modified = Some(MADE);
        Step::Respond(response)
    }
}

#[cfg(test)]
mod tests {
    use crate::exchange::Body;
    use crate::modules::tests::trial::{Site, status};

    #[test]
    fn the_picture() {
        let site = Site::new("location /a { empty_gif; location /a/b { } if ($arg_x) { } }");
        for target in ["/a", "/a?x=1", "/a/"] {
            let response = site.get(target, &[]);
            assert!(matches!(&response.body, Body::Bytes(bytes) if bytes.len() == 43));
        }
        assert_eq!(status(&site.get("/a/b", &[])), 404);
        assert_eq!(status(&site.ask("POST", "/a", &[])), 405);
        let fresh = ["If-Modified-Since: Mon, 28 Sep 1970 06:00:00 GMT"];
        assert_eq!(status(&site.get("/a", &fresh)), 304);
    }
}
