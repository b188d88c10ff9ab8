//! The PROXY protocol, versions 1 and 2, with which a load balancer announces the client.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The most bytes a header may take.
pub const MAX_HEADER: usize = 4096;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes of a version 2 header before the addresses.
const FIXED: usize = 16;

/// What the header said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyHeader {
    /// The client's address as text (`$proxy_protocol_addr`).
    pub source: String,
    /// The client's port (`$proxy_protocol_port`).
    pub source_port: u16,
    /// The address the client connected to (`$proxy_protocol_server_addr`).
    pub destination: String,
    /// The port the client connected to (`$proxy_protocol_server_port`).
    pub destination_port: u16,
    /// The type-length-value fields behind the addresses, as they came (version 2).
    pub tlvs: Vec<u8>,
}

/// The outcome of looking at what has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parse {
    /// All is well so far; the rest has not arrived.
    NeedMore,
    /// The header is complete.
    Done {
        /// Where it ends.
        consumed: usize,
        /// What it said; `None` if the balancer speaks for itself or of something other than TCP.
        header: Option<ProxyHeader>,
    },
}

/// The header is wrong; the connection is closed without an answer. The text is nginx's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyError(String);

impl ProxyError {
    /// What nginx writes to the error log, at level `error`.
    pub fn message(&self) -> &str {
        &self.0
    }
}

/// Parses the header at the start of `input`.
pub fn parse(input: &[u8]) -> Result<Parse, ProxyError> {
    if is_prefix(input, SIGNATURE) {
        return if input.len() < FIXED {
            Ok(Parse::NeedMore)
        } else {
            version_2(input)
        };
    }
    let line = memchr::memchr(b'\n', input).map(|at| &input[..=at]);
    match line {
        _ if !is_prefix(input, b"PROXY ") => Err(broken(input)),
        Some(line) => version_1(line).ok_or_else(|| broken(input)),
        None if input.len() >= MAX_HEADER => Err(broken(input)),
        None => Ok(Parse::NeedMore),
    }
}

/// Whether one is the beginning of the other.
fn is_prefix(input: &[u8], wanted: &[u8]) -> bool {
    input.iter().zip(wanted).all(|(a, b)| a == b)
}

fn broken(input: &[u8]) -> ProxyError {
    let end = memchr::memchr2(b'\r', b'\n', input).unwrap_or(input.len());
    ProxyError(format!(
        "broken header: \"{}\"",
        String::from_utf8_lossy(&input[..end])
    ))
}

fn version_1(line: &[u8]) -> Option<Parse> {
    let text = line.strip_prefix(b"PROXY ")?.strip_suffix(b"\r\n")?;
    let consumed = line.len();
    if text.starts_with(b"UNKNOWN") {
        return Some(Parse::Done {
            consumed,
            header: None,
        });
    }
    let addresses = text
        .strip_prefix(b"TCP4 ")
        .or_else(|| text.strip_prefix(b"TCP6 "))?;
    let mut words = addresses.split(|&byte| byte == b' ');
    let header = ProxyHeader {
        source: address(words.next()?)?,
        destination: address(words.next()?)?,
        source_port: port(words.next()?)?,
        destination_port: port(words.next()?)?,
        tlvs: Vec::new(),
    };
    words.next().is_none().then_some(Parse::Done {
        consumed,
        header: Some(header),
    })
}

/// An address as text. As in nginx only its bytes are looked at; who uses it parses it.
fn address(text: &[u8]) -> Option<String> {
    let plausible = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let valid = !text.is_empty() && text.iter().all(plausible);
    valid.then(|| String::from_utf8_lossy(text).into_owned())
}

fn port(text: &[u8]) -> Option<u16> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    digits
        .then(|| std::str::from_utf8(text).ok()?.parse().ok())
        .flatten()
}

fn version_2(input: &[u8]) -> Result<Parse, ProxyError> {
    let [.., version_command, family_transport, high, low] = input[..FIXED] else {
        return Ok(Parse::NeedMore);
    };
    let version = version_command >> 4;
    if version != 2 {
        return Err(ProxyError(format!(
            "unknown PROXY protocol version: {version}"
        )));
    }
    let consumed = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if consumed > MAX_HEADER {
        return Err(ProxyError("header is too large".into()));
    }
    let Some(body) = input.get(FIXED..consumed) else {
        return Ok(Parse::NeedMore);
    };
    let is_proxied_stream = version_command & 15 == 1 && family_transport & 15 == 1;
    let header = match family_transport >> 4 {
        1 if is_proxied_stream => {
            Some(header_of::<4>(body, |octets| Ipv4Addr::from(octets).into()))
        }
        2 if is_proxied_stream => Some(header_of::<16>(body, |octets| {
            Ipv6Addr::from(octets).into()
        })),
        _ => None,
    };
    match header {
        None => Ok(Parse::Done {
            consumed,
            header: None,
        }),
        Some(Some(header)) => Ok(Parse::Done {
            consumed,
            header: Some(header),
        }),
        Some(None) => Err(ProxyError("header is too short for its addresses".into())),
    }
}

/// The addresses, ports and fields of a version 2 header; `None` if they do not fit.
fn header_of<const N: usize>(body: &[u8], ip: fn([u8; N]) -> IpAddr) -> Option<ProxyHeader> {
    let (source, rest) = body.split_first_chunk::<N>()?;
    let (destination, rest) = rest.split_first_chunk::<N>()?;
    let (source_port, rest) = rest.split_first_chunk::<2>()?;
    let (destination_port, tlvs) = rest.split_first_chunk::<2>()?;
    Some(ProxyHeader {
        source: ip(*source).to_string(),
        destination: ip(*destination).to_string(),
        source_port: u16::from_be_bytes(*source_port),
        destination_port: u16::from_be_bytes(*destination_port),
        tlvs: tlvs.to_vec(),
    })
}

/// Appends a version 1 header that announces a connection.
pub fn write_v1(source: SocketAddr, destination: SocketAddr, out: &mut Vec<u8>) {
    let line = match (source, destination) {
        (SocketAddr::V4(_), SocketAddr::V4(_)) | (SocketAddr::V6(_), SocketAddr::V6(_)) => format!(
            "PROXY TCP{} {} {} {} {}\r\n",
            if source.is_ipv4() { 4 } else { 6 },
            source.ip(),
            destination.ip(),
            source.port(),
            destination.port()
        ),
        _ => "PROXY UNKNOWN\r\n".to_owned(),
    };
    out.extend_from_slice(line.as_bytes());
}

const SSL: u8 = 0x20;

/// Client flags and the result of verification, before the fields inside the SSL field.
const SSL_FIXED: usize = 5;

impl ProxyHeader {
    /// The field `$proxy_protocol_tlv_NAME` stands for: by name, by `0x` and its type, or with
    /// `ssl_` in front inside the SSL field.
    pub fn tlv(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        if let Some(inner) = name.strip_prefix("ssl_") {
            let ssl = find(&self.tlvs, SSL)?;
            let (fixed, fields) = ssl.split_at_checked(SSL_FIXED)?;
            if inner == "verify" {
                let verify = u32::from_be_bytes(*fixed.last_chunk()?);
                return Some(Cow::Owned(verify.to_string().into_bytes()));
            }
            return find(fields, tlv_type(inner, &SSL_NAMES)?).map(Cow::Borrowed);
        }
        find(&self.tlvs, tlv_type(name, &NAMES)?).map(Cow::Borrowed)
    }
}

const NAMES: [(&str, u8); 5] = [
    ("alpn", 1),
    ("authority", 2),
    ("unique_id", 5),
    ("ssl", SSL),
    ("netns", 0x30),
];

const SSL_NAMES: [(&str, u8); 5] = [
    ("version", 0x21),
    ("cn", 0x22),
    ("cipher", 0x23),
    ("sig_alg", 0x24),
    ("key_alg", 0x25),
];

fn tlv_type(name: &str, names: &[(&str, u8)]) -> Option<u8> {
    if let Some(number) = name.strip_prefix("0x") {
        return u8::from_str_radix(number, 16).ok();
    }
    names
        .iter()
        .find(|(known, _)| *known == name)
        .map(|&(_, number)| number)
}

/// The value of the first field of this type.
fn find(mut fields: &[u8], wanted: u8) -> Option<&[u8]> {
    loop {
        let (&[kind, high, low], rest) = fields.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
        if kind == wanted {
            return Some(value);
        }
        fields = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn v2(version_command: u8, family_transport: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u16).to_be_bytes();
        [
            SIGNATURE,
            &[version_command, family_transport],
            &length,
            body,
        ]
        .concat()
    }

    fn header(source: &str, sport: u16, destination: &str, dport: u16) -> ProxyHeader {
        ProxyHeader {
            source: source.into(),
            source_port: sport,
            destination: destination.into(),
            destination_port: dport,
            tlvs: Vec::new(),
        }
    }

    #[test]
    fn version_1_headers() {
        let cases = [
            (
                "PROXY TCP4 1.2.3.4 5.6.7.8 9 65535\r\n",
                Some(header("1.2.3.4", 9, "5.6.7.8", 65535)),
            ),
            (
                "PROXY TCP6 ::1 FE::2 1 2\r\n",
                Some(header("::1", 1, "FE::2", 2)),
            ),
            ("PROXY UNKNOWN\r\n", None),
            ("PROXY UNKNOWN what ever\r\n", None),
        ];
        for (text, header) in cases {
            let expected = Parse::Done {
                consumed: text.len(),
                header,
            };
            assert_eq!(
                parse(format!("{text}GET /").as_bytes()),
                Ok(expected),
                "{text:?}"
            );
        }
    }

    #[test]
    fn broken_headers() {
        for text in [
            "GET / HTTP/1.0\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 9 10\n",
            "PROXY TCP5 1.2.3.4 5.6.7.8 9 10\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 9 65536\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 9 -1\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 9\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 9 10 11\r\n",
            "PROXY TCP4 1.2.3.4 example 9 10\r\n",
            "PROXY \r\n",
        ] {
            let line = text.trim_end_matches(['\r', '\n']);
            let expected = ProxyError(format!("broken header: \"{line}\""));
            assert_eq!(parse(text.as_bytes()), Err(expected), "{text:?}");
        }
        assert!(parse(&[b"PROXY ", &[b'x'; MAX_HEADER][..]].concat()).is_err());
    }

    #[test]
    fn version_2_headers() {
        let v4 = [1, 2, 3, 4, 5, 6, 7, 8, 0, 80, 1, 0];
        let v6 = [&[0; 15][..], &[1], &[0; 15], &[2], &[0, 1, 0, 2]].concat();
        let cases = [
            (
                v2(0x21, 0x11, &v4),
                Some(header("1.2.3.4", 80, "5.6.7.8", 256)),
            ),
            (v2(0x21, 0x21, &v6), Some(header("::1", 1, "::2", 2))),
            (v2(0x20, 0x11, &v4), None),
            (v2(0x21, 0x12, &v4), None),
            (v2(0x21, 0x31, &[0; 216]), None),
            (v2(0x20, 0x00, &[]), None),
        ];
        for (input, header) in cases {
            let expected = Parse::Done {
                consumed: input.len(),
                header,
            };
            assert_eq!(parse(&[&input[..], b"GET"].concat()), Ok(expected));
        }
        let message = |input: &[u8]| parse(input).unwrap_err().message().to_owned();
        assert_eq!(
            message(&v2(0x11, 0x11, &v4)),
            "unknown PROXY protocol version: 1"
        );
        assert_eq!(
            message(&v2(0x21, 0x11, &[0; MAX_HEADER])),
            "header is too large"
        );
        assert!(parse(&v2(0x21, 0x11, &[1, 2, 3])).is_err());
    }

    #[test]
    fn fields_by_name_and_number() {
        let ssl = [&[1, 0, 0, 1, 0][..], b"\x22\0\x02cn"].concat();
        let tlvs = [
            b"\x01\0\x02h2\xee\0\0",
            &[SSL, 0, ssl.len() as u8][..],
            &ssl,
        ]
        .concat();
        let header = ProxyHeader {
            tlvs,
            ..ProxyHeader::default()
        };
        let cases = [
            ("alpn", Some(&b"h2"[..])),
            ("0x1", Some(b"h2")),
            ("0xee", Some(b"")),
            ("ssl", Some(&ssl)),
            ("ssl_cn", Some(b"cn")),
            ("ssl_0x22", Some(b"cn")),
            ("ssl_verify", Some(b"256")),
            ("ssl_cipher", None),
            ("authority", None),
            ("0x", None),
            ("what", None),
        ];
        for (name, value) in cases {
            assert_eq!(header.tlv(name).as_deref(), value, "{name}");
        }
    }

    #[test]
    fn every_beginning_of_a_header_needs_more() {
        let v4 = v2(0x21, 0x11, &[1, 2, 3, 4, 5, 6, 7, 8, 0, 80, 1, 0]);
        for whole in [&b"PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n"[..], &v4] {
            for end in 0..whole.len() {
                assert_eq!(parse(&whole[..end]), Ok(Parse::NeedMore), "{end}");
            }
        }
    }

    proptest! {
        #[test]
        fn parsing_undoes_writing(a: [u8; 4], b: [u8; 4], c: [u8; 16], d: [u8; 16], p: u16, q: u16) {
            for (source, destination) in
                [(IpAddr::from(a), IpAddr::from(b)), (IpAddr::from(c), IpAddr::from(d))]
            {
                let mut out = Vec::new();
                write_v1((source, p).into(), (destination, q).into(), &mut out);
                let expected = header(&source.to_string(), p, &destination.to_string(), q);
                let expected = Parse::Done { consumed: out.len(), header: Some(expected) };
                prop_assert_eq!(parse(&out), Ok(expected));
            }
        }

        #[test]
        fn any_bytes_are_survived(input: Vec<u8>) {
            let _ = parse(&input);
            let _ = parse(&v2(0x21, 0x11, &input));
            let _ = ProxyHeader { tlvs: input, ..ProxyHeader::default() }.tlv("ssl_cn");
        }
    }
}
