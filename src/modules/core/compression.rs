//! Which clients get compressed bodies, whatever compresses them.

use std::rc::Rc;

use super::{Row, Settings, flag, row};
use crate::config::context::HTTP_SERVER_LOCATION;
use crate::exchange::{Compression, Proxied};
use crate::http::Version;

const PROXIED: &[(&str, u32)] = &[
    ("off", Proxied::OFF.0),
    ("expired", Proxied::EXPIRED.0),
    ("no-cache", Proxied::NO_CACHE.0),
    ("no-store", Proxied::NO_STORE.0),
    ("private", Proxied::PRIVATE.0),
    ("no_last_modified", Proxied::NO_LAST_MODIFIED.0),
    ("no_etag", Proxied::NO_ETAG.0),
    ("auth", Proxied::AUTH.0),
    ("any", Proxied::ANY.0),
];

pub(super) const ROWS: &[Row] = &[
    flag("gzip_vary", HTTP_SERVER_LOCATION, "off")
        .doc("Sends \"Vary: Accept-Encoding\" with responses that other clients may get compressed.")
        .set(|s, d| d.flag().map(|on| rules(s).vary = on)),
    row("gzip_http_version", HTTP_SERVER_LOCATION)
        .syntax("1.0 | 1.1")
        .default("1.1")
        .doc("Sets the lowest HTTP version that compressed bodies are sent to.")
        .set(|s, d| {
            let versions = [("1.0", Version::Http10), ("1.1", Version::Http11)];
            rules(s).version = d.one_of(0, &versions)?;
            Ok(())
        }),
    row("gzip_proxied", HTTP_SERVER_LOCATION)
        .syntax("off | expired | no-cache | no-store | private | no_last_modified | no_etag | auth | any ...")
        .default("off")
        .at_least(1)
        .doc("Says which responses are compressed for requests that came through a proxy (\"Via\").")
        .set(|s, d| {
            rules(s).proxied = Proxied(d.bits_from(0, PROXIED)?);
            Ok(())
        }),
    row("gzip_disable", HTTP_SERVER_LOCATION)
        .syntax("regex ...")
        .at_least(1)
        .doc("Sends no compressed bodies to browsers whose \"User-Agent\" matches; \"msie6\" stands for MSIE 4 to 6.")
        .append(
            |s| {
                let rules = rules(s);
                (rules.disabled, rules.not_for_msie6) = (Vec::new(), false);
            },
            |s, d| {
                for i in 0..d.count() {
                    match d.arg(i) {
                        b"msie6" => rules(s).not_for_msie6 = true,
                        _ => rules(s).disabled.push(d.pattern(i, true)?),
                    }
                }
                Ok(())
            },
        ),
];

/// The rules, to be changed.
fn rules(settings: &mut Settings) -> &mut Compression {
    Rc::make_mut(&mut settings.edit().compression)
}
