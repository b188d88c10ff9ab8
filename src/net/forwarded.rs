//! Who a proxy says it speaks for: addresses in `X-Forwarded-For` and its like.

use std::net::{IpAddr, SocketAddr};

use super::address::{parse_ipv4, parse_ipv6, parse_port};

/// The client that a trusted proxy names in `fields`, the values of its header fields in order;
/// its port is 0 if none is named. `None` if there is no address.
///
/// The last address counts. With `recursive`, the one before it counts while it is itself that of
/// a proxy that `is_trusted`.
pub fn client(
    fields: &[&[u8]],
    recursive: bool,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> Option<SocketAddr> {
    let mut found = None;
    for field in fields.iter().rev() {
        let mut left = *field;
        loop {
            let (rest, address) = last_word(left);
            let Some(address) = parse(address) else {
                return found;
            };
            found = Some(address);
            if !recursive || !is_trusted(address.ip()) {
                return found;
            }
            match rest {
                Some(rest) => left = rest,
                None => break,
            }
        }
    }
    found
}

/// The last of the words that commas and spaces separate, and what precedes it.
fn last_word(text: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let is_gap = |byte: &u8| matches!(byte, b' ' | b',');
    let end = text
        .iter()
        .rposition(|byte| !is_gap(byte))
        .map_or(0, |at| at + 1);
    match text[..end].iter().rposition(is_gap) {
        Some(gap) => (Some(&text[..gap]), &text[gap + 1..end]),
        None => (None, &text[..end]),
    }
}

/// An address with or without a port.
fn parse(text: &[u8]) -> Option<SocketAddr> {
    let plain = |text: &[u8]| {
        let v4 = parse_ipv4(text).map(IpAddr::V4);
        v4.or_else(|| parse_ipv6(text).map(IpAddr::V6))
    };
    if let Some(ip) = plain(text) {
        return Some(SocketAddr::new(ip, 0));
    }
    let (host, port) = match text.strip_prefix(b"[") {
        Some(rest) => {
            let end = memchr::memchr(b']', rest)?;
            (&rest[..end], &rest[end + 1..])
        }
        None => text.split_at(memchr::memchr(b':', text)?),
    };
    let ip = plain(host)?;
    match port {
        [] => Some(SocketAddr::new(ip, 0)),
        [b':', port @ ..] => Some(SocketAddr::new(ip, parse_port(port).ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_address_that_is_no_proxy_counts() {
        for (fields, recursive, expected) in [
            (&["1.1.1.1"][..], false, Some("1.1.1.1:0")),
            (&["1.1.1.1, 2.2.2.2"], false, Some("2.2.2.2:0")),
            (&["1.1.1.1", "2.2.2.2:80 , "], false, Some("2.2.2.2:80")),
            (&["1.1.1.1, 10.0.0.1,10.0.0.2"], true, Some("1.1.1.1:0")),
            (&["1.1.1.1", "10.0.0.1"], true, Some("1.1.1.1:0")),
            (&["x, 10.0.0.1"], true, Some("10.0.0.1:0")),
            (&["10.0.0.3, 10.0.0.1"], true, Some("10.0.0.3:0")),
            (&["::1"], false, Some("[::1]:0")),
            (&["[::1]:9"], false, Some("[::1]:9")),
            (&["[::1]"], false, Some("[::1]:0")),
            (&["[::1]9"], false, None),
            (&["[::1"], false, None),
            (&["1.1.1.1:0"], false, None),
            (&["1.1.1.1:"], false, None),
            (&["x"], false, None),
            (&[""], false, None),
            (&["1.1.1.1:x"], false, None),
        ] {
            let fields: Vec<_> = fields.iter().map(|field| field.as_bytes()).collect();
            let found = client(&fields, recursive, |ip| ip.to_string().starts_with("10."));
            let found = found.map(|address| address.to_string());
            assert_eq!(found.as_deref(), expected, "{fields:?}");
        }
    }
}
