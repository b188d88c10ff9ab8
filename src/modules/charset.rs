//! The charset of `Content-Type` (`charset`).
//!
//! Bodies are sent as they are: nothing is recoded.

use std::rc::Rc;

use crate::config::context::{HTTP_SERVER_LOCATION, HTTP_SERVER_LOCATION_IF};
use crate::config::{Directive, Module, directive};
use crate::exchange::{Exchange, Filter, Location, Response, Template};
use crate::http::Status;

/// Media types that get a charset unless `charset_types` says otherwise.
const TYPES: [&[u8]; 6] = [
    b"text/html",
    b"text/xml",
    b"text/plain",
    b"text/vnd.wap.wml",
    b"application/javascript",
    b"application/rss+xml",
];

/// Adds the charset to the media type of responses.
pub struct Charset;

/// What a block says of charsets.
#[derive(Clone)]
pub struct Settings {
    /// The name to add; none for `off`.
    charset: Option<Template>,
    /// The media types it is added to.
    types: Vec<Vec<u8>>,
    /// Whether it is added to every type (`*`).
    all: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            charset: None,
            types: TYPES.map(<[u8]>::to_vec).into(),
            all: false,
        }
    }
}

impl Module for Charset {
    type Settings = Settings;
    const NAME: &'static str = "charset";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        directive("charset")
            .syntax("charset | off")
            .default("off")
            .contexts(HTTP_SERVER_LOCATION_IF)
            .doc("Adds the charset to the Content-Type of responses that have none; the body is sent as it is.")
            .set(|settings, d| {
                settings.charset = match d.arg(0) {
                    b"off" => None,
                    _ => Some(d.template(0)?),
                };
                Ok(())
            }),
        directive("charset_types")
            .syntax("mime-type ...")
            .default("text/html text/xml text/plain text/vnd.wap.wml application/javascript application/rss+xml")
            .contexts(HTTP_SERVER_LOCATION)
            .at_least(1)
            .doc("The media types that get a charset; text/html always does, and * stands for all.")
            .set(|settings, d| {
                settings.all = d.args().iter().any(|word| *word.text == *b"*");
                settings.types = vec![b"text/html".to_vec()];
                settings.types.extend(d.args().iter().map(|word| word.text.to_ascii_lowercase()));
                Ok(())
            }),
    ];

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if settings.charset.is_some() {
            location.filters.push(Rc::clone(settings) as Rc<dyn Filter>);
        }
    }
}

impl Filter for Settings {
    fn filter(&self, exchange: &Exchange, mut response: Response) -> Response {
        let Some(charset) = &self.charset else {
            return response;
        };
        let wanted = |media_type: &[u8]| {
            self.all
                || self
                    .types
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(media_type))
        };
        // A redirect's charset would be taken for that of the page it leads to.
        let redirect = matches!(
            response.status,
            Status::MOVED_PERMANENTLY | Status::MOVED_TEMPORARILY
        );
        let lacks_one = response.charset.is_none() && !redirect;
        if lacks_one && response.content_type.as_deref().is_some_and(wanted) {
            response.charset = Some(charset.expand(exchange).into_owned().into());
        }
        response
    }
}
