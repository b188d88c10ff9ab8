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
    let (name, port) = split_port(host)?;
    if !name.starts_with(b"[") && !name.iter().all(|&byte| is_host_byte(byte) || byte == b'%') {
        return Err(InvalidHost);
    }
    if name.windows(2).any(|pair| pair == b"..") {
        return Err(InvalidHost);
    }
    let name = name.strip_suffix(b".").unwrap_or(name);
    if name.is_empty() {
        return Err(InvalidHost);
    }
    let name = match name.iter().any(u8::is_ascii_uppercase) {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(name),
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

fn split_port(host: &[u8]) -> Result<(&[u8], Option<u16>), InvalidHost> {
    let end = if host.first() == Some(&b'[') {
        let bracket = memchr::memchr(b']', host).ok_or(InvalidHost)?;
        let address = &host[1..bracket];
        if !address
            .iter()
            .all(|&byte| is_host_byte(byte) || byte == b':')
        {
            return Err(InvalidHost);
        }
        bracket + 1
    } else {
        memchr::memchr(b':', host).unwrap_or(host.len())
    };
    match &host[end..] {
        [] => Ok((host, None)),
        [b':', digits @ ..] => Ok((&host[..end], port(digits)?)),
        _ => Err(InvalidHost),
    }
}

fn port(digits: &[u8]) -> Result<Option<u16>, InvalidHost> {
    let mut port = None;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Err(InvalidHost);
        }
        let tens = port.unwrap_or(0u16).checked_mul(10);
        let value = tens.and_then(|tens| tens.checked_add(u16::from(digit - b'0')));
        port = Some(value.ok_or(InvalidHost)?);
    }
    Ok(port)
}

/// Unreserved bytes and sub-delimiters (RFC 3986 sections 2.2 and 2.3).
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

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
