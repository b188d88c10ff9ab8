//! Which clients get compressed bodies, whatever compresses them: `gzip_http_version`,
//! `gzip_proxied`, `gzip_disable` and `gzip_vary`.

use std::rc::Rc;

use super::{Exchange, Response};
use crate::event;
use crate::http::{KnownHeader, Pattern, Version, coding, date};

/// The rules of a location.
#[derive(Clone)]
pub struct Compression {
    /// Tells caches that bodies differ by client (`gzip_vary`).
    pub vary: bool,
    /// The lowest version that gets compressed bodies (`gzip_http_version`).
    pub version: Version,
    /// Which responses are compressed for proxies (`gzip_proxied`).
    pub proxied: Proxied,
    /// Browsers that get none (`gzip_disable`).
    pub disabled: Vec<Rc<Pattern>>,
    /// `gzip_disable msie6`.
    pub not_for_msie6: bool,
}

impl Default for Compression {
    fn default() -> Compression {
        Compression {
            vary: false,
            version: Version::Http11,
            proxied: Proxied::OFF,
            disabled: Vec::new(),
            not_for_msie6: false,
        }
    }
}

/// What makes a response one to compress for proxies, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proxied(pub u32);

#[allow(missing_docs)] // Each is the parameter of `gzip_proxied` of the same name.
impl Proxied {
    pub const OFF: Proxied = Proxied(1);
    pub const EXPIRED: Proxied = Proxied(1 << 1);
    pub const NO_CACHE: Proxied = Proxied(1 << 2);
    pub const NO_STORE: Proxied = Proxied(1 << 3);
    pub const PRIVATE: Proxied = Proxied(1 << 4);
    pub const NO_LAST_MODIFIED: Proxied = Proxied(1 << 5);
    pub const NO_ETAG: Proxied = Proxied(1 << 6);
    pub const AUTH: Proxied = Proxied(1 << 7);
    pub const ANY: Proxied = Proxied(1 << 8);

    fn has(self, bit: Proxied) -> bool {
        self.0 & bit.0 != 0
    }

    /// Whether `response`, to a request that came through a proxy, is one to compress.
    fn allows(self, exchange: &Exchange, response: &Response) -> bool {
        if self.has(Proxied::OFF) {
            return false;
        }
        let authorized = exchange.request.known(KnownHeader::Authorization).is_some();
        if self.has(Proxied::ANY) || authorized && self.has(Proxied::AUTH) {
            return true;
        }
        if let Some(expires) = response.headers.get(b"Expires") {
            return self.has(Proxied::EXPIRED) && has_expired(expires, response);
        }
        if response.headers.contains(b"Cache-Control") {
            let directives = [
                (Proxied::NO_CACHE, &b"no-cache"[..]),
                (Proxied::NO_STORE, b"no-store"),
                (Proxied::PRIVATE, b"private"),
            ];
            return directives
                .iter()
                .any(|(bit, name)| self.has(*bit) && is_told(name, response));
        }
        !(self.has(Proxied::NO_LAST_MODIFIED) && response.entity.last_modified.is_some()
            || self.has(Proxied::NO_ETAG) && response.entity.etag.is_some())
    }
}

fn has_expired(expires: &[u8], response: &Response) -> bool {
    let date = match response.headers.get(b"Date") {
        Some(date) => date::parse(date),
        None => Some(event::unix_time().0),
    };
    matches!((date::parse(expires), date), (Some(expires), Some(date)) if expires < date)
}

/// Whether `Cache-Control` has the directive.
fn is_told(directive: &[u8], response: &Response) -> bool {
    let fields = response.headers.get_all(b"Cache-Control");
    fields
        .flat_map(|value| value.split(|byte| *byte == b','))
        .any(|word| word.trim_ascii().eq_ignore_ascii_case(directive))
}

impl Exchange {
    /// How much the client likes bodies in `coding`, in thousandths; 0 if it does not take them.
    /// Those of subrequests are never compressed.
    pub fn accepts_coding(&self, coding: &[u8]) -> u16 {
        match self.request.known(KnownHeader::AcceptEncoding) {
            Some(accepted) if self.depth == 0 => coding::quality(accepted, coding),
            _ => 0,
        }
    }

    /// As [`Exchange::accepts_coding`] for gzip, 0 also if the location's rules keep the client or
    /// `response` from it.
    pub fn accepts_gzip(&self, response: &Response) -> u16 {
        match self.accepts_coding(b"gzip") {
            quality if quality > 0 && self.may_compress(response) => quality,
            _ => 0,
        }
    }

    fn may_compress(&self, response: &Response) -> bool {
        let rules = &self.location.core.compression;
        let through_proxy = self.request.known(KnownHeader::Via).is_some();
        self.request.version() >= rules.version
            && (!through_proxy || rules.proxied.allows(self, response))
            && !self.is_disabled(rules)
    }

    /// Whether the browser is one that gets no compressed bodies.
    fn is_disabled(&self, rules: &Compression) -> bool {
        let agent = self.request.known(KnownHeader::UserAgent);
        agent.is_some_and(|agent| {
            rules.not_for_msie6 && is_msie6(agent)
                || rules.disabled.iter().any(|pattern| pattern.is_match(agent))
        })
    }
}

/// Whether the browser is one of those that can't decompress.
fn is_msie6(agent: &[u8]) -> bool {
    let Some(at) = memchr::memmem::find(agent, b"MSIE ") else {
        return false;
    };
    let has = |text: &[u8], word: &[u8]| memchr::memmem::find(text, word).is_some();
    let old = match &agent[at + 5..] {
        [b'4' | b'5', b'.', _, ..] => true,
        [b'6', b'.', _, rest @ ..] => !has(rest, b"SV1"),
        _ => false,
    };
    old && !has(agent, b"Opera")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_that_cannot_decompress() {
        let cases = [
            ("Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)", true),
            ("Mozilla/4.0 (compatible; MSIE 5.5; Windows)", true),
            (
                "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)",
                false,
            ),
            ("Mozilla/4.0 (compatible; MSIE 7.0; Windows)", false),
            ("Mozilla/4.0 (compatible; MSIE 6.0; X) Opera 9", false),
            ("MSIE 6.", false),
            ("", false),
        ];
        for (agent, expected) in cases {
            assert_eq!(is_msie6(agent.as_bytes()), expected, "{agent}");
        }
    }
}
