//! `secure_link`: whether a link is one that was given out, and still good.

use std::rc::Rc;

use md5::{Digest, Md5};

use crate::config::context::HTTP_SERVER_LOCATION;
use crate::config::{Contexts, Directive, Finish, Module, Outcome, directive};
use crate::event;
use crate::exchange::{Evaluate, Exchange, Location, Template, Variable};
use crate::http::base64;

/// Checks links.
pub struct SecureLink;

/// How a block's links are checked.
#[derive(Clone, Default)]
pub struct Settings {
    /// Digest and expiry as the link has them, separated by a comma.
    link: Option<Template>,
    /// What the digest is of.
    md5: Option<Template>,
    /// The older form: the digest is part of the path.
    secret: Option<Rc<[u8]>>,
    /// Which of them the block itself has: the new form, the old one.
    own: (bool, bool),
}

impl Module for SecureLink {
    type Settings = Settings;
    const NAME: &'static str = "secure_link";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        directive("secure_link")
            .syntax("expression")
            .contexts(HTTP_SERVER_LOCATION)
            .doc("Says where a link has its digest and, behind a comma, the time it expires.")
            .set(|settings, d| {
                settings.link = Some(d.template(0)?);
                settings.own.0 = true;
                Ok(())
            }),
        directive("secure_link_md5")
            .syntax("expression")
            .contexts(HTTP_SERVER_LOCATION)
            .doc("Says what the digest of a link must be of: a secret, and what is not to be changed.")
            .set(|settings, d| {
                settings.md5 = Some(d.template(0)?);
                settings.own.0 = true;
                Ok(())
            }),
        directive("secure_link_secret")
            .syntax("word")
            .contexts(HTTP_SERVER_LOCATION)
            .doc("Checks links of the form /prefix/digest/link with this secret.")
            .set(|settings, d| {
                settings.secret = Some(d.arg(0).into());
                settings.own.1 = true;
                Ok(())
            }),
    ];
    const VARIABLES: &'static [Variable] = &[
        Variable::local(
            "secure_link",
            "`1` for a good link, `0` for an expired one; with a secret, the link itself.",
        ),
        Variable::local(
            "secure_link_expires",
            "When the link expires, as the link says.",
        ),
    ];

    fn inherit(parent: &Rc<Settings>, _: Contexts) -> Rc<Settings> {
        let mut settings = Rc::clone(parent);
        if settings.own != (false, false) {
            Rc::make_mut(&mut settings).own = (false, false);
        }
        settings
    }

    fn finish(settings: &mut Rc<Settings>, block: &mut Finish<'_>) -> Outcome {
        match settings.own {
            (true, true) => Err(block.mistake(
                "\"secure_link_secret\" cannot be mixed with \"secure_link\" and \"secure_link_md5\"",
            )),
            // Each form takes the place of the other.
            (true, false) => {
                Rc::make_mut(settings).secret = None;
                Ok(())
            }
            (false, true) => {
                let settings = Rc::make_mut(settings);
                (settings.link, settings.md5) = (None, None);
                Ok(())
            }
            (false, false) => Ok(()),
        }
    }

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if settings.secret.is_some() || settings.link.is_some() {
            let link = Rc::new(Link(Rc::clone(settings)));
            location.values.push(("secure_link", link));
            let expires = Rc::new(Expires(Rc::clone(settings)));
            location.values.push(("secure_link_expires", expires));
        }
    }
}

struct Link(Rc<Settings>);

struct Expires(Rc<Settings>);

impl Evaluate for Link {
    fn evaluate(&self, exchange: &Exchange, out: &mut Vec<u8>) -> Option<()> {
        if let Some(secret) = &self.0.secret {
            out.extend_from_slice(secret_link(exchange.request.target(), secret)?);
            return Some(());
        }
        let text = self.0.link.as_ref()?.expand(exchange);
        let (digest, expires) = split(&text)?;
        if digest.len() > 24 {
            return None;
        }
        let content = self.0.md5.as_ref()?.expand(exchange);
        if !equal(&base64::decode_url(digest)?, &Md5::digest(&content)) {
            return None;
        }
        let expired = expires.is_some_and(|(time, _)| time < event::unix_time().0);
        out.push(if expired { b'0' } else { b'1' });
        Some(())
    }
}

impl Evaluate for Expires {
    fn evaluate(&self, exchange: &Exchange, out: &mut Vec<u8>) -> Option<()> {
        let text = self.0.link.as_ref()?.expand(exchange);
        let (_, expires) = split(&text)?;
        out.extend_from_slice(expires?.1);
        Some(())
    }
}

/// A time and its text.
type Time<'a> = (i64, &'a [u8]);

/// The digest and the time behind the comma; `None` if that is none.
fn split(text: &[u8]) -> Option<(&[u8], Option<Time<'_>>)> {
    let Some(comma) = memchr::memchr(b',', text) else {
        return Some((text, None));
    };
    let digits = &text[comma + 1..];
    let is_number = digits.iter().all(u8::is_ascii_digit);
    let time = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
    let time = time.parse().ok().filter(|time| *time > 0)?;
    Some((&text[..comma], Some((time, digits))))
}

/// The link in `/prefix/digest/link`, if the digest is that of link and secret.
fn secret_link<'a>(target: &'a [u8], secret: &[u8]) -> Option<&'a [u8]> {
    let mut parts = target.get(1..)?.splitn(3, |byte| *byte == b'/').skip(1);
    let (digest, link) = (parts.next()?, parts.next()?);
    if digest.len() != 32 || link.is_empty() {
        return None;
    }
    let mut given = [0; 16];
    for (byte, digits) in given.iter_mut().zip(digest.as_chunks::<2>().0) {
        let digits = std::str::from_utf8(digits)
            .ok()
            .filter(|_| digits.is_ascii())?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    let mut md5 = Md5::new();
    md5.update(link);
    md5.update(secret);
    equal(&given, &md5.finalize()).then_some(link)
}

/// Whether two digests are the same, in a time that does not tell where they differ.
fn equal(one: &[u8], other: &[u8]) -> bool {
    let differing = one.iter().zip(other).fold(0, |bits, (a, b)| bits | (a ^ b));
    one.len() == other.len() && std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::fixture::found_in_server;
    use crate::modules::tests::trial::{Site, text};

    fn digest(content: &str) -> String {
        let encoded = base64::encode(&Md5::digest(content));
        encoded.replace('+', "-").replace('/', "_").replace('=', "")
    }

    #[test]
    fn links_with_arguments() {
        let site = Site::new(
            "secure_link $arg_md5,$arg_e; secure_link_md5 \"$arg_e$uri secret\";
             location / { return 200 \"$secure_link|$secure_link_expires\"; }
             location /plain { secure_link $arg_md5; secure_link_md5 $uri; return 200 \"$secure_link\"; }
             location /p { secure_link_secret s; return 200 \"$secure_link\"; }",
        );
        let good = digest("9999999999/x secret");
        let old = digest("1/x secret");
        let plain = digest("/plain");
        let hex: String = Md5::digest("file?as")
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        for (target, expected) in [
            (format!("/x?md5={good}&e=9999999999"), "1|9999999999"),
            (format!("/x?md5={old}&e=1"), "0|1"),
            (format!("/x?md5={old}&e=2"), "|2"),
            (format!("/x?md5={good}"), "|"),
            (format!("/x?md5={good}&e=0"), "|"),
            (format!("/plain?md5={plain}"), "1"),
            (format!("/plain?md5={plain}aaa"), ""),
            (format!("/p/{hex}/file?a"), "file?a"),
            (format!("/p/{hex}/file"), ""),
            (format!("/p/{hex}"), ""),
            ("/p/x/y".to_owned(), ""),
        ] {
            assert_eq!(text(&site.get(&target, &[])), expected, "{target}");
        }
    }

    #[test]
    fn forms_are_not_mixed() {
        let both = "secure_link_secret s; secure_link $uri;";
        assert_eq!(found_in_server(both).len(), 1);
    }
}
