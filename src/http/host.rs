//! The host a request names: in its `Host` header or an absolute-form target.

use std::borrow::Cow;

/// A host as names are compared with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host<'a> {
    /// The name or address in lower case, without a final dot; IPv6 addresses keep their brackets.
    pub name: Cow<'a, [u8]>,
    /// The port behind the colon; `None` if there is no digit.
    pub port: Option<u16>,
}

/// The host is empty, has a byte that may not be in it, two dots in a row, an open bracket, or a
/// port beyond 65535. The request is answered with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidHost;

/// Checks `name[:port]` and brings the name into the form in which names are compared.
pub fn parse(host: &[u8]) -> Result<Host<'_>, InvalidHost> {
    let is_address = host.first() == Some(&b'[');
    let (length, kinds) = match is_address {
        true => address(host)?,
        false => name(host),
    };
    let port = match &host[length..] {
        [] => None,
        [b':', digits @ ..] => port(digits)?,
        _ => return Err(InvalidHost),
    };
    if !is_address && kinds & (OTHER | TWO_DOTS | BRACKET) != 0 {
        return Err(InvalidHost);
    }
    let name = &host[..length];
    let name = name.strip_suffix(b".").unwrap_or(name);
    if name.is_empty() {
        return Err(InvalidHost);
    }
    let name = match kinds & UPPER_CASE {
        0 => Cow::Borrowed(name),
        _ => Cow::Owned(name.to_ascii_lowercase()),
    };
    Ok(Host { name, port })
}

/// Whether the host may stand in a request.
pub fn is_valid(host: &[u8]) -> bool {
    parse(host).is_ok()
}

/// Replaces the content of `out` by the normal form of the name; gives the port.
pub fn normalise(host: &[u8], out: &mut Vec<u8>) -> Result<Option<u16>, InvalidHost> {
    let host = parse(host)?;
    out.clear();
    out.extend_from_slice(&host.name);
    Ok(host.port)
}

/// The length of a name in front of a port, and which kinds of bytes are in it.
fn name(host: &[u8]) -> (usize, u8) {
    let (mut at, mut kinds) = (0, 0);
    while let Some(&byte) = host.get(at) {
        match KINDS[usize::from(byte)] {
            0 => {}
            COLON => break,
            DOT if host.get(at + 1) == Some(&b'.') => kinds |= TWO_DOTS,
            kind => kinds |= kind,
        }
        at += 1;
    }
    (at, kinds)
}

/// As [`name`], of an address in brackets.
fn address(host: &[u8]) -> Result<(usize, u8), InvalidHost> {
    let bracket = memchr::memchr(b']', host).ok_or(InvalidHost)?;
    let inside = &host[1..bracket];
    let kind = |byte: &u8| KINDS[usize::from(*byte)];
    let kinds = inside.iter().fold(0, |kinds, byte| kinds | kind(byte));
    if kinds & (OTHER | PERCENT | BRACKET) != 0 || memchr::memmem::find(inside, b"..").is_some() {
        return Err(InvalidHost);
    }
    Ok((bracket + 1, kinds))
}

fn port(digits: &[u8]) -> Result<Option<u16>, InvalidHost> {
    let mut port = 0;
    for byte in digits {
        let digit = u32::from(byte.wrapping_sub(b'0'));
        port = port * 10 + digit;
        if digit > 9 || port > u32::from(u16::MAX) {
            return Err(InvalidHost);
        }
    }
    Ok((!digits.is_empty()).then_some(port as u16))
}

const UPPER_CASE: u8 = 1;
const PERCENT: u8 = 2;
const COLON: u8 = 4;
const BRACKET: u8 = 8;
/// What may stand in no host.
const OTHER: u8 = 16;
const DOT: u8 = 32;
/// One behind the other.
const TWO_DOTS: u8 = 64;

/// The kind of each byte; 0 for the other unreserved bytes and sub-delimiters (RFC 3986 sections
/// 2.2 and 2.3).
static KINDS: [u8; 256] = {
    let mut kinds = [OTHER; 256];
    let mut byte = 0;
    while byte < kinds.len() {
        kinds[byte] = match byte as u8 {
            b'A'..=b'Z' => UPPER_CASE,
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => 0,
            b'.' => DOT,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => 0,
            b'%' => PERCENT,
            b':' => COLON,
            b'[' | b']' => BRACKET,
            _ => OTHER,
        };
        byte += 1;
    }
    kinds
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_hosts() {
        let cases = [
            ("localhost", "localhost", None),
            ("Example.ORG", "example.org", None),
            ("example.org.", "example.org", None),
            ("example.org.:8080", "example.org", Some(8080)),
            ("a:", "a", None),
            ("a:0065535", "a", Some(65535)),
            ("[::1]", "[::1]", None),
            ("[FE80::1]:80", "[fe80::1]", Some(80)),
            ("[v1.a]", "[v1.a]", None),
            ("a_b~!$&'()*+,;=%41", "a_b~!$&'()*+,;=%41", None),
            (".a", ".a", None),
        ];
        for (text, name, port) in cases {
            let expected = Host {
                name: Cow::Borrowed(name.as_bytes()),
                port,
            };
            assert_eq!(parse(text.as_bytes()), Ok(expected), "{text}");
        }
    }

    #[test]
    fn bad_hosts() {
        for text in [
            "", ".", ":80", "a..b", "a..", "a/b", "a b", "a\0", "a@b", "a\\b", "a[b", "[::1",
            "[::1]a", "[::1]:x", "[a..b]", "[%41]", "a:65536", "a:999999", "a:8x", "a:8:8",
            "\u{e4}",
        ] {
            assert_eq!(parse(text.as_bytes()), Err(InvalidHost), "{text:?}");
        }
    }
}
