//! `return`: an answer from the configuration.

use std::rc::Rc;

use crate::config::{Mistake, Use, units};
use crate::exchange::{Body, Exchange, Response, Template};
use crate::http::{Entity, Status, Text};

/// The answer one `return` gives.
pub struct Return {
    status: Status,
    /// The body, or where a redirect leads.
    text: Template,
}

impl Return {
    /// Reads the arguments: `code`, `code text`, `code URL` or `URL`.
    ///
    /// # Errors
    /// `invalid return code`.
    pub fn parse(d: &Use<'_>) -> Result<Rc<Return>, Mistake> {
        Return::read(d).map(Rc::new)
    }

    fn read(d: &Use<'_>) -> Result<Return, Mistake> {
        let first = d.arg(0);
        let code = units::number(first).and_then(|code| u16::try_from(code).ok());
        match code.filter(|code| *code <= 999) {
            Some(code) if d.count() == 1 => Ok(Return {
                status: Status(code),
                text: Template::default(),
            }),
            Some(code) => Ok(Return {
                status: Status(code),
                text: d.template(1)?,
            }),
            None if d.count() == 1 && is_url(first) => Ok(Return {
                status: Status::MOVED_TEMPORARILY,
                text: d.template(0)?,
            }),
            None => Err(d.mistake(0, format!("invalid return code \"{}\"", d.lossy(0)))),
        }
    }

    /// The response for `exchange`.
    pub fn respond(&self, exchange: &Exchange) -> Response {
        let status = self.status;
        if is_redirect(status) {
            return Response::redirect(status, self.text.value(exchange));
        }
        // An error without a text of its own gets the page that `error_page` says.
        if status >= Status::BAD_REQUEST && self.text.is_empty() {
            return Response::page(status);
        }
        let text = match self.text.shared() {
            Some(text) => Text::Shared(text),
            None => {
                let mut started = Response::new(status);
                let expand = || self.text.expand(exchange).into_owned();
                exchange.speaking_of(&mut started, expand).into()
            }
        };
        let mut response = Response::new(status);
        if status != Status::NO_CONTENT
            && let Some(media_type) = exchange.terms().media_type()
        {
            response.entity = Entity::typed(Rc::clone(media_type));
        }
        response.body = Body::Bytes(text);
        response
    }
}

fn is_url(argument: &[u8]) -> bool {
    let schemes: [&[u8]; 3] = [b"http://", b"https://", b"$scheme"];
    schemes.iter().any(|scheme| argument.starts_with(scheme))
}

/// Whether the text is where to go rather than what to say.
fn is_redirect(status: Status) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

#[cfg(test)]
mod tests {
    use crate::modules::tests::trial::{Site, status, text};

    #[test]
    fn answers() {
        let site = Site::new(
            "default_type x/y;
             location /a { return 200 \"you asked $uri\"; }
             location /b { return 404; }
             location /c { return 404 \"not here\"; }
             location /d { return 204; }
             location /e { return 301 /a?$args; }
             location /f { return http://host$uri; }
             location /g { return 444; }
             location /h.html { return 200 html; }
             location /i { return 403 ''; error_page 403 /a; }
             location /j { return 404 text; error_page 404 /a; }",
        );
        let cases = [
            ("/a", 200, "you asked /a", Some("x/y")),
            ("/b", 404, "page", Some("text/html")),
            ("/c", 404, "not here", Some("x/y")),
            ("/d", 204, "", None),
            ("/e?x", 301, "page", Some("text/html")),
            ("/f", 302, "page", Some("text/html")),
            ("/g", 444, "page", None),
            ("/h.html", 200, "html", Some("text/html")),
            ("/i", 403, "you asked /a", Some("x/y")),
            ("/j", 404, "text", Some("x/y")),
        ];
        for (target, expected, body, content_type) in cases {
            let response = site.get(target, &[]);
            assert_eq!(status(&response), expected, "{target}");
            assert!(
                body == "page" || text(&response) == body,
                "{target}: {}",
                text(&response)
            );
            assert_eq!(
                response.entity.content_type.as_deref(),
                content_type.map(str::as_bytes),
                "{target}"
            );
        }
        assert_eq!(site.get("/e?x", &[]).location, Some("/a?x".into()));
        assert_eq!(site.get("/f", &[]).location, Some("http://host/f".into()));
    }

    #[test]
    fn a_server_answers_before_its_locations() {
        let site = Site::new("return 200 server; location / { return 200 location; }");
        assert_eq!(text(&site.get("/", &[])), "server");
    }
}
