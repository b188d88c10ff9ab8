//! Variables of the client's connection: addresses, the PROXY protocol, TCP.

use std::io::Write;
use std::net::IpAddr;

use super::{Found, decimal, filled, port, row, seconds, text};
use crate::exchange::{Exchange, Variable};
use crate::net::address::Address;
use crate::proto::proxy_protocol::ProxyHeader;
use crate::sys::socket::{self, TcpInfo};

pub(super) const ROWS: &[Variable] = &[
    row("remote_addr", "The client's address.", |exchange, out| {
        address(exchange.client(), out)
    }),
    row("remote_port", "The client's port.", |exchange, out| {
        port(exchange.client().port(), out)
    }),
    row(
        "binary_remote_addr",
        "The client's address in binary: 4 bytes for IPv4, 16 for IPv6.",
        |exchange, out| text(&exchange.client().binary(), out),
    ),
    row(
        "server_addr",
        "The address the client connected to.",
        |exchange, out| address(exchange.connection.local(), out),
    ),
    row(
        "server_port",
        "The port the client connected to.",
        |exchange, out| port(exchange.connection.local().port(), out),
    ),
    row("scheme", "`http` or `https`.", |_, out| text(b"http", out)),
    row(
        "https",
        "`on` if the client speaks TLS, else empty.",
        |_, out| text(b"", out),
    ),
    row(
        "connection",
        "The connection's serial number.",
        |exchange, out| decimal(exchange.connection.number, out),
    ),
    row(
        "connection_requests",
        "How many requests came on the connection so far, this one included.",
        |exchange, out| decimal(exchange.connection.requests(), out),
    ),
    row(
        "connection_time",
        "Seconds since the connection was accepted, with milliseconds.",
        |exchange, out| seconds(exchange.connection.age(), out),
    ),
    row(
        "pipe",
        "`p` if the request came before the one ahead of it was answered, else `.`.",
        |exchange, out| text(if exchange.pipelined { b"p" } else { b"." }, out),
    ),
    row(
        "proxy_protocol_addr",
        "The client's address as the PROXY protocol tells it.",
        |exchange, out| filled(proxy(exchange)?.source.as_bytes(), out),
    ),
    row(
        "proxy_protocol_port",
        "The client's port as the PROXY protocol tells it.",
        |exchange, out| port(Some(proxy(exchange)?.source_port), out),
    ),
    row(
        "proxy_protocol_server_addr",
        "The server's address as the PROXY protocol tells it.",
        |exchange, out| filled(proxy(exchange)?.destination.as_bytes(), out),
    ),
    row(
        "proxy_protocol_server_port",
        "The server's port as the PROXY protocol tells it.",
        |exchange, out| port(Some(proxy(exchange)?.destination_port), out),
    ),
    Variable::family(
        "proxy_protocol_tlv_",
        "A field of the PROXY protocol, by name, such as `authority`, or by type, such as `0x02`.",
        |exchange, name, out| {
            let name = std::str::from_utf8(name).ok()?;
            text(&proxy(exchange)?.tlv(name)?, out)
        },
    ),
    row(
        "tcpinfo_rtt",
        "The connection's round-trip time in microseconds.",
        |exchange, out| decimal(tcp(exchange)?.rtt.into(), out),
    ),
    row(
        "tcpinfo_rttvar",
        "How much the round-trip time varies, in microseconds.",
        |exchange, out| decimal(tcp(exchange)?.rttvar.into(), out),
    ),
    row(
        "tcpinfo_snd_cwnd",
        "The congestion window in segments.",
        |exchange, out| decimal(tcp(exchange)?.snd_cwnd.into(), out),
    ),
    row(
        "tcpinfo_rcv_space",
        "The receive window in bytes.",
        |exchange, out| decimal(tcp(exchange)?.rcv_space.into(), out),
    ),
];

/// An address without its port. IPv4 addresses, which every log line has, are written by hand.
pub(super) fn address(address: &Address, out: &mut Vec<u8>) -> Found {
    match address.ip() {
        Some(IpAddr::V4(ip)) => text(dotted(ip.octets(), &mut [0; 16]), out),
        Some(IpAddr::V6(ip)) => write!(out, "{ip}").ok(),
        None => write!(out, "{address}").ok(),
    }
}

/// Four numbers with a dot behind each but the last, put at the end of `room`.
fn dotted(octets: [u8; 4], room: &mut [u8; 16]) -> &[u8] {
    let mut start = room.len();
    let mut put = |byte| {
        start -= 1;
        room[start] = byte;
    };
    for octet in octets.into_iter().rev() {
        put(b'.');
        put(b'0' + octet % 10);
        if octet >= 10 {
            put(b'0' + octet / 10 % 10);
        }
        if octet >= 100 {
            put(b'0' + octet / 100);
        }
    }
    &room[start..room.len() - 1]
}

/// What the PROXY protocol said, unless that was nothing (`UNKNOWN`, `LOCAL`).
fn proxy(exchange: &Exchange) -> Option<&ProxyHeader> {
    let header = exchange.connection.proxy()?;
    (!header.source.is_empty()).then_some(header)
}

fn tcp(exchange: &Exchange) -> Option<TcpInfo> {
    socket::tcp_info(exchange.connection.io.fd()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_no_port() {
        for (source, expected) in [
            ("127.0.0.1:80", "127.0.0.1"),
            ("10.20.255.0:1", "10.20.255.0"),
            ("[::1]:80", "::1"),
        ] {
            let mut out = Vec::new();
            address(&Address::Inet(source.parse().unwrap()), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
        let mut out = Vec::new();
        address(&Address::Unix(b"/a".to_vec()), &mut out);
        assert_eq!(out, b"unix:/a");
    }
}
