//! Addresses as configurations write them: `80`, `*:80`, `[::]:80`, `localhost:8080`, `unix:/path`.

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStringExt;
use std::str;

use crate::log::syslog;
use crate::sys::resolve;
pub use crate::sys::socket::Addr as Address;

/// The longest path a Unix socket's address holds, in bytes.
const MAX_UNIX_PATH: usize = 107;

/// The port of `listen` addresses that name none.
const HTTP_PORT: u16 = 80;

/// The port of syslog servers (RFC 5426, section 3.3).
const SYSLOG_PORT: u16 = 514;

/// What is wrong with an address: shown in nginx's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // Each variant is its message.
pub enum AddressError {
    NoUnixPath,
    UnixPathTooLong,
    InvalidHost,
    InvalidPort,
    InvalidPortRange,
    InvalidIpv6,
    NoHost,
    HostNotFound,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoUnixPath => "no path in the unix domain socket",
            Self::UnixPathTooLong => "too long path in the unix domain socket",
            Self::InvalidHost => "invalid host",
            Self::InvalidPort => "invalid port",
            Self::InvalidPortRange => "invalid port range",
            Self::InvalidIpv6 => "invalid IPv6 address",
            Self::NoHost => "no host",
            Self::HostNotFound => "host not found",
        })
    }
}

impl std::error::Error for AddressError {}

/// Whom an address names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    /// An IP address.
    Ip(IpAddr),
    /// A name that must be resolved.
    Name(&'a [u8]),
    /// A socket in the file system. It has no port.
    Unix(&'a [u8]),
}

/// An address taken apart, with nothing resolved yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint<'a> {
    /// Whom it names.
    pub host: Host<'a>,
    /// The port, if it is written down.
    pub port: Option<u16>,
    /// The last port, where a range is written (`listen 80-82`).
    last_port: Option<u16>,
}

impl<'a> Endpoint<'a> {
    /// Takes `host:port`, `host`, `[IPv6]:port` or `unix:path` apart.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &'a [u8]) -> Result<Self, AddressError> {
        parse_unix(text).unwrap_or_else(|| parse_inet(text, false))
    }

    /// The same for `listen`, where the host may be `*` or missing, and ports may be a range.
    fn parse_listen(text: &'a [u8]) -> Result<Self, AddressError> {
        if let Some(unix) = parse_unix(text) {
            return unix;
        }
        let any = Host::Ip(Ipv4Addr::UNSPECIFIED.into());
        match parse_ports(text, true) {
            Ok((port, last_port)) => Ok(Self {
                host: any,
                port: Some(port),
                last_port,
            }),
            // Digits that are no port are not a name either.
            Err(fault)
                if text
                    .iter()
                    .all(|&byte| byte.is_ascii_digit() || byte == b'-')
                    && !text.is_empty() =>
            {
                Err(fault)
            }
            Err(_) => parse_inet(text, true),
        }
    }

    /// Its addresses: one, or several for a name that has several; `default_port` stands in for
    /// a port that is not written down. A name makes the caller wait for the system's resolver.
    ///
    /// # Errors
    /// [`AddressError::HostNotFound`].
    pub fn resolve(&self, default_port: u16) -> Result<Vec<Address>, AddressError> {
        let hosts = match self.host {
            Host::Unix(path) => return Ok(vec![Address::Unix(path.to_vec())]),
            Host::Ip(ip) => vec![ip],
            Host::Name(name) => {
                let name = str::from_utf8(name).map_err(|_| AddressError::HostNotFound)?;
                resolve::host_addresses(name).map_err(|_| AddressError::HostNotFound)?
            }
        };
        let port = self.port.unwrap_or(default_port);
        let ports = port..=self.last_port.unwrap_or(port);
        let address = |ip: IpAddr, port| Address::Inet(SocketAddr::new(ip, port));
        Ok(hosts
            .into_iter()
            .flat_map(|ip| ports.clone().map(move |port| address(ip, port)))
            .collect())
    }
}

/// The addresses of a `listen` directive, each once.
///
/// # Errors
/// What is wrong with it; nginx's message goes on with `in "TEXT" of the "listen" directive`.
pub fn listen_addresses(text: &[u8]) -> Result<Vec<Address>, AddressError> {
    let mut addresses = Endpoint::parse_listen(text)?.resolve(HTTP_PORT)?;
    if addresses.len() > 1 {
        let mut seen = std::collections::HashSet::new();
        addresses.retain(|address| seen.insert(address.clone()));
    }
    Ok(addresses)
}

/// The server of a `syslog:` log, for [`syslog::Parameters::parse`].
///
/// # Errors
/// What is wrong with it.
pub fn syslog_server(text: &str) -> Result<syslog::Server, String> {
    let resolved =
        Endpoint::parse(text.as_bytes()).and_then(|endpoint| endpoint.resolve(SYSLOG_PORT));
    let first = resolved
        .map_err(|fault| fault.to_string())?
        .into_iter()
        .next();
    match first.ok_or("host not found")? {
        Address::Inet(address) => Ok(syslog::Server::Udp(address)),
        Address::Unix(path) => Ok(syslog::Server::Unix(OsString::from_vec(path).into())),
    }
}

/// `unix:path`; `None` if it is something else.
fn parse_unix(text: &[u8]) -> Option<Result<Endpoint<'_>, AddressError>> {
    let (scheme, path) = text.split_at_checked(5)?;
    if !scheme.eq_ignore_ascii_case(b"unix:") {
        return None;
    }
    Some(match path.len() {
        0 => Err(AddressError::NoUnixPath),
        1..=MAX_UNIX_PATH => Ok(Endpoint {
            host: Host::Unix(path),
            port: None,
            last_port: None,
        }),
        _ => Err(AddressError::UnixPathTooLong),
    })
}

fn parse_inet(text: &[u8], listen: bool) -> Result<Endpoint<'_>, AddressError> {
    let (host, port) = split_port(text)?;
    if host.is_empty() {
        return Err(AddressError::NoHost);
    }
    let (port, last_port) = match port {
        Some(port) => parse_ports(port, listen).map(|(port, last)| (Some(port), last))?,
        None => (None, None),
    };
    let host = match host {
        b"*" if listen => Host::Ip(Ipv4Addr::UNSPECIFIED.into()),
        [b'[', v6 @ .., b']'] => Host::Ip(parse_ipv6(v6).ok_or(AddressError::InvalidIpv6)?.into()),
        _ => parse_ipv4(host).map_or(Host::Name(host), |v4| Host::Ip(v4.into())),
    };
    Ok(Endpoint {
        host,
        port,
        last_port,
    })
}

/// Splits at the colon before the port; an IPv6 address keeps its brackets.
fn split_port(text: &[u8]) -> Result<(&[u8], Option<&[u8]>), AddressError> {
    if text.iter().any(|byte| b"/?".contains(byte)) {
        return Err(AddressError::InvalidHost);
    }
    let host_end = if text.first() == Some(&b'[') {
        let bracket = memchr::memchr(b']', text).ok_or(AddressError::InvalidHost)?;
        if bracket == 1 {
            return Err(AddressError::NoHost);
        }
        bracket + 1
    } else {
        memchr::memchr(b':', text).unwrap_or(text.len())
    };
    match text.split_at(host_end) {
        (host, []) => Ok((host, None)),
        (host, [b':', port @ ..]) => Ok((host, Some(port))),
        _ => Err(AddressError::InvalidHost),
    }
}

/// A port, or for `listen` a range of them.
fn parse_ports(text: &[u8], listen: bool) -> Result<(u16, Option<u16>), AddressError> {
    let Some(dash) = memchr::memchr(b'-', text).filter(|_| listen) else {
        return Ok((parse_port(text)?, None));
    };
    let (first, last) = (parse_port(&text[..dash])?, parse_port(&text[dash + 1..])?);
    if first > last {
        Err(AddressError::InvalidPortRange)
    } else {
        Ok((first, Some(last)))
    }
}

/// 1 to 65535, in digits only.
pub(super) fn parse_port(text: &[u8]) -> Result<u16, AddressError> {
    let digits = text.iter().all(u8::is_ascii_digit);
    let port = str::from_utf8(text)
        .ok()
        .filter(|_| digits)
        .and_then(|text| text.parse().ok());
    port.filter(|&port| port != 0)
        .ok_or(AddressError::InvalidPort)
}

/// Four decimal numbers, which unlike in Rust may begin with zeroes.
pub(super) fn parse_ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split(|&byte| byte == b'.');
    for octet in &mut octets {
        let part = parts.next().filter(|part| !part.is_empty())?;
        for digit in part {
            let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
            *octet = u8::checked_mul(*octet, 10)?.checked_add(digit)?;
        }
    }
    parts.next().is_none().then(|| octets.into())
}

pub(super) fn parse_ipv6(text: &[u8]) -> Option<Ipv6Addr> {
    str::from_utf8(text).ok()?.parse().ok()
}

/// An address in the binary form of `$binary_remote_addr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Binary {
    bytes: [u8; 16],
    length: u8,
}

impl std::ops::Deref for Binary {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl Binary {
    fn new(source: &[u8]) -> Self {
        let mut bytes = [0; 16];
        bytes[..source.len()].copy_from_slice(source);
        Self {
            bytes,
            length: source.len() as u8,
        }
    }
}

/// What variables and tables ask of an address.
impl Address {
    /// Without its port, as `$remote_addr` and `$server_addr` show it; `unix:` and the path for
    /// a Unix socket, of which a client has none.
    pub fn host_text(&self) -> String {
        match self.ip() {
            Some(ip) => ip.to_string(),
            None => self.to_string(),
        }
    }

    /// The IP address, unless it is a Unix socket.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Inet(address) => Some(address.ip()),
            Self::Unix(_) => None,
        }
    }

    /// The port, unless it is a Unix socket.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Inet(address) => Some(address.port()),
            Self::Unix(_) => None,
        }
    }

    /// Four or sixteen bytes in network order; `unix:` for a Unix socket.
    pub fn binary(&self) -> Binary {
        match self.ip() {
            Some(IpAddr::V4(v4)) => Binary::new(&v4.octets()),
            Some(IpAddr::V6(v6)) => Binary::new(&v6.octets()),
            None => Binary::new(b"unix:"),
        }
    }

    /// Whether it stands for all addresses of its family (`*:80`, `[::]:80`).
    pub fn is_wildcard(&self) -> bool {
        self.ip().is_some_and(|ip| ip.is_unspecified())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(text: &str) -> Result<String, String> {
        let addresses = listen_addresses(text.as_bytes()).map_err(|fault| fault.to_string())?;
        Ok(addresses
            .iter()
            .map(Address::to_string)
            .collect::<Vec<_>>()
            .join(" "))
    }

    #[test]
    fn listen_addresses_are_nginxs() {
        let long = format!("unix:{}", "x".repeat(108));
        for (text, expected) in [
            ("80", Ok("0.0.0.0:80")),
            ("*:8080", Ok("0.0.0.0:8080")),
            ("*", Ok("0.0.0.0:80")),
            ("127.0.0.1", Ok("127.0.0.1:80")),
            ("127.0.0.01:81", Ok("127.0.0.1:81")),
            ("[::]:80", Ok("[::]:80")),
            ("[::1]", Ok("[::1]:80")),
            ("unix:/run/s", Ok("unix:/run/s")),
            ("UNIX:s", Ok("unix:s")),
            ("8000-8002", Ok("0.0.0.0:8000 0.0.0.0:8001 0.0.0.0:8002")),
            ("127.0.0.1:1-2", Ok("127.0.0.1:1 127.0.0.1:2")),
            ("[::1]:1-1", Ok("[::1]:1")),
            ("0", Err("invalid port")),
            ("65536", Err("invalid port")),
            ("127.0.0.1:", Err("invalid port")),
            ("127.0.0.1:x", Err("invalid port")),
            ("127.0.0.1:+8", Err("invalid port")),
            ("82-80", Err("invalid port range")),
            ("unix:", Err("no path in the unix domain socket")),
            (&long, Err("too long path in the unix domain socket")),
            ("[::1", Err("invalid host")),
            ("[::1]x", Err("invalid host")),
            ("[]:80", Err("no host")),
            ("[:1]:80", Err("invalid IPv6 address")),
            (":80", Err("no host")),
            ("", Err("no host")),
            ("a/b", Err("invalid host")),
            ("256.0.0.1:80.", Err("invalid port")),
            ("no such name:80", Err("host not found")),
        ] {
            assert_eq!(
                listen(text),
                expected.map(str::to_owned).map_err(str::to_owned),
                "{text}"
            );
        }
    }

    #[test]
    fn endpoints() {
        let name = |host, port| Endpoint {
            host,
            port,
            last_port: None,
        };
        for (text, expected) in [
            ("backend", Ok(name(Host::Name(b"backend"), None))),
            ("backend:81", Ok(name(Host::Name(b"backend"), Some(81)))),
            (
                "10.0.0.1:81",
                Ok(name(Host::Ip([10, 0, 0, 1].into()), Some(81))),
            ),
            ("*:81", Ok(name(Host::Name(b"*"), Some(81)))),
            ("81", Ok(name(Host::Name(b"81"), None))),
            ("a:80-81", Err(AddressError::InvalidPort)),
            ("a:80/x", Err(AddressError::InvalidHost)),
        ] {
            assert_eq!(Endpoint::parse(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn syslog_servers_have_a_port_of_their_own() {
        assert_eq!(
            syslog_server("127.0.0.1"),
            Ok(syslog::Server::Udp(([127, 0, 0, 1], 514).into()))
        );
        assert_eq!(
            syslog_server("unix:/dev/log"),
            Ok(syslog::Server::Unix("/dev/log".into()))
        );
        assert_eq!(syslog_server("127.0.0.1:0"), Err("invalid port".to_owned()));
    }

    #[test]
    fn what_variables_show() {
        let v4 = Address::Inet(([1, 2, 3, 4], 80).into());
        let v6 = Address::Inet(SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 80));
        let unix = Address::Unix(Vec::new());
        assert_eq!(
            (v4.host_text(), v4.binary().to_vec()),
            ("1.2.3.4".into(), vec![1, 2, 3, 4])
        );
        assert_eq!((v6.host_text(), v6.binary().len()), ("::1".into(), 16));
        assert_eq!(
            (unix.host_text(), unix.binary().to_vec()),
            ("unix:".into(), b"unix:".to_vec())
        );
        assert!(!v4.is_wildcard() && listen_addresses(b"[::]:80").unwrap()[0].is_wildcard());
    }
}
