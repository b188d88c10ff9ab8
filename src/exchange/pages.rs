//! The page a client sees for a status that no `error_page` covers.

use crate::http::Status;

/// Everything before the title. It asks for nothing from elsewhere, so it works whatever is broken.
const HEAD: &str = "<!doctype html>\n<html lang=\"en\">\n<head><title>";

/// From the title to the heading: light or dark as the reader prefers, readable on a telephone.
const STYLE: &str = concat!(
    "</title>\n",
    "<meta name=\"viewport\" content=\"width=device-width\">\n",
    "<style>\n",
    ":root{color-scheme:light dark}\n",
    "body{display:grid;place-content:center;min-height:90vh;margin:5vh 8vw;",
    "font:1.2rem/1.5 system-ui,sans-serif;",
    "background:light-dark(#faf8f5,#1b1a19);color:light-dark(#2b2622,#e8e3dc)}\n",
    "h1{font-size:1.5em;font-weight:500;margin:0}\n",
    "b{display:block;font-size:min(8rem,30vw);font-weight:800;line-height:1;",
    "letter-spacing:-.04em;color:light-dark(#b4472e,#f0896b)}\n",
    "p{margin:2em 0 0;font-size:.8em;opacity:.7}\n",
    "</style>\n",
    "</head>\n<body><main>\n<h1><b>",
);

/// The page for `status`, as HTML; `None` if it has none, such as a success and 304.
///
/// `signature` names the software at the foot of the page and is left out unless given
/// (`server_tokens`). It must be fit for HTML as it is.
pub fn error_page(status: Status, signature: Option<&str>) -> Option<Vec<u8>> {
    let (shown, text) = wording(status)?;
    let signature = signature
        .map(|name| format!("<p>{name}</p>\n"))
        .unwrap_or_default();
    let end = "</main></body>\n</html>\n";
    Some(
        format!("{HEAD}{shown} {text}{STYLE}{shown}</b> {text}</h1>\n{signature}{end}")
            .into_bytes(),
    )
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
            assert!(page.contains(&text.replacen(' ', "</b> ", 1)), "{page}");
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
        assert!(page.len() < 1000, "{} bytes", page.len());
    }
}
