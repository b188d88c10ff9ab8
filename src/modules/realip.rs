//! `set_real_ip_from`: who the client is where proxies stand in front of the server.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use super::variables;
use crate::config::context::HTTP_SERVER_LOCATION;
use crate::config::{Directive, Mistake, Module, Outcome, Use, directive};
use crate::exchange::{Exchange, Handler, Location, Phase, Step, Variable};
use crate::http::KnownHeader;
use crate::net::address::{Address, AddressError};
use crate::net::cidr::Cidr;
use crate::net::forwarded;
use crate::sys::resolve;

/// Takes the client's address from what trusted proxies say.
pub struct RealIp;

/// What one block says.
#[derive(Clone, Default)]
pub struct Settings {
    trusted: Trusted,
    source: Source,
    recursive: bool,
}

/// Whose word counts.
#[derive(Clone, Default)]
struct Trusted {
    networks: Vec<Cidr>,
    /// Whether peers on Unix sockets are.
    unix: bool,
}

/// Where the address stands.
#[derive(Clone, Default)]
enum Source {
    /// In the last field of a well-known name.
    #[default]
    XRealIp,
    /// In all of them.
    XForwardedFor,
    /// In what the PROXY protocol said.
    ProxyProtocol,
    /// In the first field of a name.
    Field(Box<[u8]>),
}

impl Module for RealIp {
    type Settings = Settings;
    const NAME: &'static str = "realip";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        directive("set_real_ip_from")
            .syntax("address | CIDR | host | unix:")
            .contexts(HTTP_SERVER_LOCATION)
            .doc("Trusts a proxy to say who the client is: one address, a network, a host's addresses, Unix sockets.")
            .append(|settings| settings.trusted = Trusted::default(), trust),
        directive("real_ip_header")
            .syntax("field | X-Real-IP | X-Forwarded-For | proxy_protocol")
            .default("X-Real-IP")
            .contexts(HTTP_SERVER_LOCATION)
            .doc("Names the header field in which trusted proxies say who the client is.")
            .set(|settings, d| {
                settings.source = match d.arg(0) {
                    b"X-Real-IP" => Source::XRealIp,
                    b"X-Forwarded-For" => Source::XForwardedFor,
                    b"proxy_protocol" => Source::ProxyProtocol,
                    name => Source::Field(name.into()),
                };
                Ok(())
            }),
        directive("real_ip_recursive")
            .syntax("on | off")
            .default("off")
            .contexts(HTTP_SERVER_LOCATION)
            .flag()
            .doc("Looks in a list of addresses for the last that is no trusted proxy, not just at its end.")
            .set(|settings, d| {
                settings.recursive = d.flag()?;
                Ok(())
            }),
    ];
    const VARIABLES: &'static [Variable] = &[
        Variable::plain(
            "realip_remote_addr",
            "The address of the connection's other end, whoever the client is.",
            |exchange, out| variables::address(&exchange.connection.peer, out),
        ),
        Variable::plain(
            "realip_remote_port",
            "The port of the connection's other end, whoever the client is.",
            |exchange, out| variables::port(exchange.connection.peer.port(), out),
        ),
    ];

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if settings.trusted.unix || !settings.trusted.networks.is_empty() {
            // A server's settings hold from the start, those of a location when it is found.
            for phase in [Phase::PostRead, Phase::Preaccess] {
                location.add_handler(phase, Rc::clone(settings) as Rc<dyn Handler>);
            }
        }
    }
}

fn trust(settings: &mut Settings, d: &mut Use<'_>) -> Outcome {
    if d.arg(0) == b"unix:" {
        settings.trusted.unix = true;
        return Ok(());
    }
    match Cidr::parse(d.arg(0)) {
        Some((network, has_low_bits)) => {
            if has_low_bits {
                let shown = d.lossy(0);
                d.warn(0, format!("low address bits of {shown} are meaningless"));
            }
            settings.trusted.networks.push(network);
        }
        None => settings.trusted.networks.extend(addresses(d)?),
    }
    Ok(())
}

/// The addresses of a host.
fn addresses(d: &Use<'_>) -> Result<impl Iterator<Item = Cidr>, Mistake> {
    let found = resolve::host_addresses(d.text(0)?).map_err(|_| {
        let (fault, shown) = (AddressError::HostNotFound, d.lossy(0));
        d.mistake(0, format!("{fault} in set_real_ip_from \"{shown}\""))
    })?;
    Ok(found.into_iter().filter_map(|ip| {
        let length = if ip.is_ipv4() { 32 } else { 128 };
        Cidr::new(ip, length)
    }))
}

/// That the client's address was replaced, which happens once a request.
struct Replaced;

impl Handler for Settings {
    fn handle<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        if exchange.noted::<Replaced>().is_none()
            && let Some(client) = self.client(exchange)
        {
            exchange.set_client(client);
            exchange.note(Replaced);
        }
        Step::Declined
    }
}

impl Settings {
    /// Who the client is, if anybody trusted says so.
    fn client(&self, exchange: &Exchange) -> Option<Address> {
        let request = &exchange.request;
        if !self.trusted.includes(exchange.connection.peer.ip()) {
            return None;
        }
        let named = match &self.source {
            Source::XRealIp => self.named(&[request.known(KnownHeader::XRealIp)?]),
            Source::XForwardedFor => {
                let values: Vec<_> = request.all(KnownHeader::XForwardedFor).collect();
                self.named(&values)
            }
            Source::ProxyProtocol => {
                let header = exchange.connection.proxy()?;
                let mut client = self.named(&[header.source.as_bytes()])?;
                client.set_port(header.source_port);
                Some(client)
            }
            Source::Field(name) => {
                let mut fields = request.headers();
                let (_, value) = fields.find(|(field, _)| field.eq_ignore_ascii_case(name))?;
                self.named(&[value])
            }
        };
        named.map(Address::Inet)
    }

    /// Whom the values of header fields name.
    fn named(&self, values: &[&[u8]]) -> Option<SocketAddr> {
        let is_trusted = |ip| self.trusted.includes(Some(ip));
        forwarded::client(values, self.recursive, is_trusted)
    }
}

impl Trusted {
    /// Whether a peer is among them; it has no address on a Unix socket.
    fn includes(&self, peer: Option<IpAddr>) -> bool {
        match peer {
            Some(ip) => self.networks.iter().any(|network| network.contains(ip)),
            None => self.unix,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::fixture::found_in_server;
    use crate::modules::tests::trial::{Site, status, text};

    const SHOWN: &str = "$remote_addr:$remote_port $realip_remote_addr:$realip_remote_port";

    #[test]
    fn trusted_proxies_say_who_the_client_is() {
        let cases = [
            (
                "set_real_ip_from 127.0.0.0/8;",
                "X-Real-IP: 192.0.2.1",
                "192.0.2.1:",
            ),
            (
                "set_real_ip_from 127.0.0.0/8;",
                "x-real-ip: 192.0.2.1:80",
                "192.0.2.1:80",
            ),
            (
                "set_real_ip_from 127.0.0.1;",
                "X-Real-IP: 2001:db8::1",
                "2001:db8::1:",
            ),
            ("set_real_ip_from 127.0.0.1;", "X-Real-IP: x", "127.0.0.1:9"),
            (
                "set_real_ip_from 127.0.0.1;",
                "X-Other: 192.0.2.1",
                "127.0.0.1:9",
            ),
            (
                "set_real_ip_from 10.0.0.0/8;",
                "X-Real-IP: 192.0.2.1",
                "127.0.0.1:9",
            ),
            (
                "set_real_ip_from unix:;",
                "X-Real-IP: 192.0.2.1",
                "127.0.0.1:9",
            ),
            (
                "set_real_ip_from localhost;",
                "X-Real-IP: 192.0.2.1",
                "192.0.2.1:",
            ),
            (
                "set_real_ip_from 127.0.0.1; real_ip_header X-Client;",
                "x-client: 192.0.2.1",
                "192.0.2.1:",
            ),
            (
                "set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;",
                "X-Forwarded-For: 192.0.2.1, 127.0.0.1",
                "127.0.0.1:",
            ),
            (
                "set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For; real_ip_recursive on;",
                "X-Forwarded-For: 192.0.2.1, 127.0.0.1",
                "192.0.2.1:",
            ),
            (
                "set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol;",
                "X-Real-IP: 192.0.2.1",
                "127.0.0.1:9",
            ),
        ];
        for (settings, field, expected) in cases {
            let site = Site::new(&format!("{settings} return 200 '{SHOWN}';"));
            let shown = text(&site.get("/", &[field]));
            assert_eq!(
                shown,
                format!("{expected} 127.0.0.1:9"),
                "{settings} {field}"
            );
        }
    }

    #[test]
    fn a_location_may_have_its_own_proxies() {
        let site = Site::new(
            "location /a { set_real_ip_from 127.0.0.1; deny 192.0.2.1; } location /b { deny 192.0.2.1; }",
        );
        for (target, expected) in [("/a", 403), ("/b", 404)] {
            let response = site.get(target, &["X-Real-IP: 192.0.2.1"]);
            assert_eq!(status(&response), expected, "{target}");
        }
        assert!(
            site.log()
                .contains("access forbidden by rule, client: 192.0.2.1,")
        );
    }

    #[test]
    fn mistakes() {
        for (text, expected) in [
            (
                "set_real_ip_from 10.0.0.1/8;",
                "low address bits of 10.0.0.1/8 are meaningless",
            ),
            (
                "set_real_ip_from 'no such';",
                "host not found in set_real_ip_from \"no such\"",
            ),
        ] {
            assert_eq!(found_in_server(text), [expected], "{text}");
        }
    }
}
