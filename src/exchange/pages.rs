//! The page a client sees for a status that no `error_page` covers.

use std::cell::RefCell;
use std::rc::Rc;

use super::ServerTokens;
use crate::http::{Entity, Status};

/// Up to the title. The page asks for nothing from elsewhere, so it works whatever is broken; it is
/// light or dark as the reader prefers, and readable on a telephone.
const HEAD: &str = concat!(
    "<!doctype html>\n<html lang=en>\n",
    "<meta name=viewport content=width=device-width>\n",
    "<meta name=color-scheme content=\"light dark\">\n",
    "<title>",
);

/// From the title to the heading.
const HEADING: &str = "</title>\n<h1>";

/// A page, and what responses say of it.
#[derive(Clone)]
pub struct Page {
    /// The page.
    pub text: Rc<[u8]>,
    /// Its description.
    pub entity: Entity,
}

type Made = (Status, ServerTokens, Option<Page>);

thread_local! {
    /// The pages made so far: few, since a server uses few statuses.
    static PAGES: RefCell<Vec<Made>> = const { RefCell::new(Vec::new()) };
}

/// The page for `status`, made once, as [`error_page`] makes it; `tokens` say whether it names the
/// software.
pub fn of(status: Status, tokens: ServerTokens) -> Option<Page> {
    PAGES.with_borrow_mut(|pages| {
        let is = |made: &&Made| made.0 == status && made.1 == tokens;
        if let Some((.., page)) = pages.iter().find(is) {
            return page.clone();
        }
        let signature = match tokens {
            ServerTokens::On => Some(crate::NAME_AND_VERSION),
            ServerTokens::Build => Some(crate::NAME_AND_BUILD),
            ServerTokens::Unset | ServerTokens::Off => None,
        };
        let page = error_page(status, signature).map(|text| Page {
            entity: Entity::common("text/html", text.len() as u64),
            text: text.into(),
        });
        pages.push((status, tokens, page.clone()));
        page
    })
}

/// The page for `status`, as HTML; `None` if it has none, such as a success and 304.
///
/// `signature` names the software at the foot of the page and is left out unless given
/// (`server_tokens`). It must be fit for HTML as it is.
pub fn error_page(status: Status, signature: Option<&str>) -> Option<Vec<u8>> {
    let (shown, text) = wording(status)?;
    let signature = signature
        .map(|name| format!("<p>{name}</p>\n"))
        .unwrap_or_default();
    let page = format!("{HEAD}{shown} {text}{HEADING}{shown} {text}</h1>\n{signature}");
    Some(page.into_bytes())
}

/// What the page calls `status`: the code the client gets and a text. nginx's own codes are refusals of
/// a bad request, told apart by the text alone; for a few others its page and its status line differ.
fn wording(status: Status) -> Option<(u16, &'static str)> {
    Some(match status.as_u16() {
        ..300 | 304 => return None,
        302 => (302, "Found"),
        401 => (401, "Authorization Required"),
        494 => (400, "Request Header Or Cookie Too Large"),
        495 => (400, "The SSL certificate error"),
        496 => (400, "No required SSL certificate was sent"),
        497 => (400, "The plain HTTP request was sent to HTTPS port"),
        498 => (404, "Not Found"),
        code => (
            code,
            Some(status.reason()).filter(|reason| !reason.is_empty())?,
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::error_page;
    use crate::http::Status;

    fn page(status: u16, signature: Option<&str>) -> String {
        let page = error_page(Status(status), signature);
        String::from_utf8(page.unwrap_or_default()).unwrap()
    }

    #[test]
    fn names_the_status() {
        for (status, text) in [
            (404, "404 Not Found"),
            (503, "503 Service Temporarily Unavailable"),
            (302, "302 Found"),
            (401, "401 Authorization Required"),
            (494, "400 Request Header Or Cookie Too Large"),
            (497, "400 The plain HTTP request was sent to HTTPS port"),
            (498, "404 Not Found"),
        ] {
            let page = page(status, None);
            assert!(page.contains(&format!("<title>{text}</title>")), "{page}");
            assert!(page.contains(&format!("<h1>{text}</h1>")), "{page}");
        }
        for status in [200, 204, 304, 418, 499] {
            assert_eq!(page(status, None), "", "{status}");
        }
    }

    #[test]
    fn signs_only_when_asked() {
        assert!(!page(404, None).to_lowercase().contains("rowhouse"));
        assert!(page(404, Some("rowhouse/1.2.3")).contains("<p>rowhouse/1.2.3</p>"));
    }

    #[test]
    fn stays_small() {
        let page = page(497, Some("rowhouse/100.100.100 (a build)"));
        assert!(page.len() < 300, "{} bytes", page.len());
    }
}
