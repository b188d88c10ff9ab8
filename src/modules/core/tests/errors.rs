//! Error pages and error logs.

use super::{core, location};
use crate::exchange::Core;
use crate::http::Status;
use crate::log::level::{LEVELS, Level};
use crate::modules::fixture::{found, found_in_server};

/// A block's error pages: code, what it is replaced by, target and arguments.
fn error_pages(core: &Core) -> Vec<String> {
    let pages = core.error_pages.iter();
    let shown = pages.map(|page| {
        let codes: Vec<_> = page.statuses.iter().map(Status::to_string).collect();
        let overwrite = match page.overwrite {
            None => String::new(),
            Some(None) => "=".to_owned(),
            Some(Some(status)) => format!("={status}"),
        };
        let target = String::from_utf8_lossy(page.target.literal().unwrap_or(b"$"));
        let args = String::from_utf8_lossy(&page.args);
        format!("{} {overwrite} {target} {args}", codes.join(","))
    });
    shown.collect()
}

#[test]
fn pages_for_errors() {
    for (text, expected) in [
        ("error_page 404 /a;", &["404  /a "][..]),
        ("error_page 404 = @a;", &["404 = @a "]),
        (
            "error_page 404 500 =200 /a?b=c;",
            &["404 =200 /a b=c", "500 =200 /a b=c"],
        ),
        ("error_page 404 =0 http://a/?b;", &["404 = http://a/?b "]),
        ("error_page 497 404 /a;", &["497 =400 /a ", "404  /a "]),
        ("error_page 494 =200 /a;", &["494 =200 /a "]),
        (
            "error_page 404 /$1?a; error_page 405 /b;",
            &["404  $ ", "405  /b "],
        ),
    ] {
        assert_eq!(error_pages(&core(text)), expected, "{text}");
    }
    let replaced = location("error_page 404 /a; location / { error_page 500 /b; }");
    assert_eq!(error_pages(&replaced), ["500  /b "]);
    let inherited = location("error_page 404 /a; location / { }");
    assert_eq!(error_pages(&inherited), ["404  /a "]);
    for (text, expected) in [
        ("=200 /a", "invalid value \"=200\""),
        ("404 =x /a", "invalid value \"=x\""),
        ("499 /a", "invalid value \"499\""),
        ("x /a", "invalid value \"x\""),
        ("200 /a", "value \"200\" must be between 300 and 599"),
        ("600 /a", "value \"600\" must be between 300 and 599"),
        ("404 /$", "invalid variable name"),
    ] {
        assert_eq!(
            found_in_server(&format!("error_page {text};")),
            [expected],
            "{text}"
        );
    }
}

#[test]
fn error_logs() {
    let level = |core: &Core| {
        let levels = LEVELS.into_iter().rev();
        levels
            .into_iter()
            .find(|level| core.error_log.enabled(*level))
    };
    for (text, file, expected) in [
        ("error_log a warn;", Some("/srv/a"), Level::Warn),
        ("error_log /a;", Some("/a"), Level::Error),
        ("error_log stderr info;", None, Level::Info),
        ("error_log stderr debug_http;", None, Level::Debug),
        (
            "error_log stderr crit; error_log b notice;",
            Some("/srv/b"),
            Level::Notice,
        ),
        ("error_log memory:32k debug;", None, Level::Debug),
        ("error_log syslog:server=127.0.0.1 warn;", None, Level::Warn),
    ] {
        let core = core(text);
        let path = core.error_log.file().map(|file| file.path().to_owned());
        assert_eq!(path.as_deref(), file.map(std::path::Path::new), "{text}");
        assert_eq!(level(&core), Some(expected), "{text}");
    }
    let inner = location("error_log a; location / { error_log b alert; }");
    assert_eq!(level(&inner), Some(Level::Alert));
    for (text, expected) in [
        ("a loud", "invalid log level \"loud\""),
        ("a warn info", "duplicate log level \"info\""),
        ("memory:1k", "invalid buffer size \"1k\""),
        ("syslog:tag=a", "no syslog server specified"),
    ] {
        assert_eq!(
            found(&format!("error_log {text}; events {{ }}")),
            [expected],
            "{text}"
        );
    }
}
