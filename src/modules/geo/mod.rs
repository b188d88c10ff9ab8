//! `geo`: a variable whose value depends on an address.

mod networks;
mod ranges;

use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use self::networks::Networks;
use self::ranges::{Fit, Ranges};
use super::map::variable_name;
use crate::config::context::HTTP;
use crate::config::{Directive, Mistake, Module, Outcome, Use, directive};
use crate::exchange::{Evaluate, Exchange, VariableRef};
use crate::http::KnownHeader;
use crate::net::cidr::Cidr;
use crate::net::forwarded;

/// Makes variables of addresses.
pub struct Geo;

/// Tables become variables at once.
#[derive(Clone, Default)]
pub struct Settings;

impl Module for Geo {
    type Settings = Settings;
    const NAME: &'static str = "geo";
    const DIRECTIVES: &'static [Directive<Settings>] = &[directive("geo")
        .syntax("[$address] $variable { … }")
        .contexts(HTTP)
        .between(1, 2)
        .doc("Makes a variable whose value is that of the smallest network, or of the range, the client is in.")
        .raw(|_, d| {
            let last = d.count() - 1;
            let address = match last {
                0 => None,
                _ => Some(d.variable(0, variable_name(d, 0)?)),
            };
            let name = variable_name(d, last)?;
            let mut reader = Reader::default();
            for entry in d.entries() {
                if let Err(mistake) = reader.read(&entry) {
                    d.report(mistake);
                }
            }
            reader.table.address = address;
            d.define(last, name, Rc::new(reader.table), reader.volatile)
        })];
}

/// A value; text as it was written.
type Value = Rc<[u8]>;

/// One `geo`.
#[derive(Default)]
struct Table {
    /// The variable with the address; the client's without one.
    address: Option<Rc<VariableRef>>,
    proxies: Vec<Cidr>,
    recursive: bool,
    entries: Entries,
}

enum Entries {
    Networks(Networks<Value>),
    /// With `ranges`: IPv4 only, all others have the default.
    Ranges(Ranges<Value>, Option<Value>),
}

impl Default for Entries {
    fn default() -> Entries {
        Entries::Networks(Networks::default())
    }
}

/// A block while it is read.
#[derive(Default)]
struct Reader {
    table: Table,
    volatile: bool,
    /// Whether a line was read after which `ranges` comes too late.
    started: bool,
}

impl Reader {
    fn read(&mut self, line: &Use<'_>) -> Outcome {
        match (line.name(), line.count()) {
            (b"ranges", 0) if self.started => Err(at(
                line,
                "the \"ranges\" directive must be the first directive inside \"geo\" block",
            )),
            (b"ranges", 0) => {
                self.table.entries = Entries::Ranges(Ranges::default(), None);
                Ok(())
            }
            (b"proxy_recursive", 0) => {
                self.table.recursive = true;
                Ok(())
            }
            (b"volatile", 0) => {
                self.volatile = true;
                Ok(())
            }
            (b"proxy", 1) => {
                self.table.proxies.push(network(line, line.arg(0))?);
                Ok(())
            }
            (_, 1) => match &mut self.table.entries {
                Entries::Networks(networks) => {
                    self.started = true;
                    add_network(networks, line)
                }
                Entries::Ranges(ranges, default) => add_range(ranges, default, line),
            },
            _ => Err(at(line, "invalid number of the geo parameters")),
        }
    }
}

fn at(line: &Use<'_>, message: impl Into<String>) -> Mistake {
    Mistake::emerg(line.span(), message)
}

fn warn(line: &Use<'_>, message: String) {
    line.report(Mistake::warn(line.span(), message));
}

fn add_network(networks: &mut Networks<Value>, line: &Use<'_>) -> Outcome {
    let value = Value::from(line.arg(0));
    let everything = [
        Cidr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
        Cidr::new(std::net::Ipv6Addr::UNSPECIFIED.into(), 0),
    ];
    match line.name() {
        b"delete" => {
            if networks.remove(&network(line, line.arg(0))?).is_none() {
                warn(line, format!("no network \"{}\" to delete", line.lossy(0)));
            }
        }
        b"default" => {
            for network in everything.into_iter().flatten() {
                insert(networks, network, Rc::clone(&value), line);
            }
        }
        name => insert(networks, network(line, name)?, value, line),
    }
    Ok(())
}

fn insert(networks: &mut Networks<Value>, network: Cidr, value: Value, line: &Use<'_>) {
    if let Some(old) = networks.insert(network, value) {
        let name = String::from_utf8_lossy(line.name());
        let (value, old) = (line.lossy(0), String::from_utf8_lossy(&old));
        warn(
            line,
            format!("duplicate network \"{name}\", value: \"{value}\", old value: \"{old}\""),
        );
    }
}

/// A network as nginx reads it.
fn network(line: &Use<'_>, text: &[u8]) -> Result<Cidr, Mistake> {
    let shown = String::from_utf8_lossy(text);
    let (network, excess) =
        Cidr::parse(text).ok_or_else(|| at(line, format!("invalid network \"{shown}\"")))?;
    if excess {
        warn(line, format!("low address bits of {shown} are meaningless"));
    }
    Ok(network)
}

fn add_range(ranges: &mut Ranges<Value>, default: &mut Option<Value>, line: &Use<'_>) -> Outcome {
    let value = Value::from(line.arg(0));
    let (shown, text) = (line.lossy(0), line.arg(0));
    match line.name() {
        b"default" => {
            if let Some(old) = default.replace(value) {
                let old = String::from_utf8_lossy(&old);
                warn(
                    line,
                    format!("duplicate default geo range value: \"{shown}\", old value: \"{old}\""),
                );
            }
            Ok(())
        }
        b"delete" => {
            let (start, end) = range(line, text)?;
            if !ranges.remove(start, end) {
                warn(line, format!("no address range \"{shown}\" to delete"));
            }
            Ok(())
        }
        name => {
            let (start, end) = range(line, name)?;
            let name = String::from_utf8_lossy(name);
            let fit = ranges.insert(start, end, value, |old| {
                let old = String::from_utf8_lossy(old);
                warn(
                    line,
                    format!("duplicate range \"{name}\", value: \"{shown}\", old value: \"{old}\""),
                );
            });
            match fit {
                Fit::Free => Ok(()),
                Fit::Overlaps(start, end) => Err(at(
                    line,
                    format!("range \"{name}\" overlaps \"{start}-{end}\""),
                )),
            }
        }
    }
}

/// `first-last`. The very last address stands for those that have no IPv4 address, and can't be
/// written.
fn range(line: &Use<'_>, text: &[u8]) -> Result<(Ipv4Addr, Ipv4Addr), Mistake> {
    let parse = |text: &[u8]| match Cidr::parse(text)?.0.network() {
        IpAddr::V4(address) if !address.is_broadcast() && !text.contains(&b'/') => Some(address),
        _ => None,
    };
    let dash = memchr::memchr(b'-', text);
    let ends = dash.and_then(|dash| Some((parse(&text[..dash])?, parse(&text[dash + 1..])?)));
    ends.filter(|(start, end)| start <= end).ok_or_else(|| {
        let text = String::from_utf8_lossy(text);
        at(line, format!("invalid range \"{text}\""))
    })
}

impl Table {
    /// The address to look up; `None` counts as 255.255.255.255.
    fn address(&self, exchange: &Exchange) -> Option<IpAddr> {
        let given = match &self.address {
            None => exchange.client().ip()?,
            Some(variable) => {
                let mut text = Vec::new();
                variable.append(exchange, &mut text)?;
                parse_address(&text)?
            }
        };
        let is_proxy = |ip: IpAddr| self.proxies.iter().any(|proxy| proxy.contains(ip));
        if self.proxies.is_empty() || !is_proxy(given) {
            return Some(given);
        }
        let fields: Vec<_> = exchange.request.all(KnownHeader::XForwardedFor).collect();
        let client = forwarded::client(&fields, self.recursive, is_proxy);
        Some(client.map_or(given, |client| client.ip()))
    }
}

/// An address without a port.
fn parse_address(text: &[u8]) -> Option<IpAddr> {
    let is_plain = !text.iter().any(|byte| matches!(byte, b'/' | b'['));
    Some(Cidr::parse(text).filter(|_| is_plain)?.0.network())
}

impl Evaluate for Table {
    fn evaluate(&self, exchange: &Exchange, out: &mut Vec<u8>) -> Option<()> {
        let address = self.address(exchange);
        let address = address.map_or(Ipv4Addr::BROADCAST.into(), |ip| ip.to_canonical());
        let value = match &self.entries {
            Entries::Networks(networks) => networks.find(address),
            Entries::Ranges(ranges, default) => {
                let address = match address {
                    IpAddr::V4(address) => address,
                    IpAddr::V6(_) => Ipv4Addr::BROADCAST,
                };
                ranges.find(address).or(default.as_ref())
            }
        };
        out.extend_from_slice(value.map_or(b"", |value| value));
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::fixture::found_in_http;
    use crate::modules::tests::trial::{Site, text};

    #[test]
    fn values_are_those_of_the_smallest_network() {
        let site = Site::with_http(
            "geo $own { default no; 127.0.0.0/8 local; 127.0.0.1 self; delete 127.0.0.1; }
             geo $arg_a $net { default -; 10.0.0.0/8 ten; 10.1.0.0/16 one; 10.1.2.3 host; 2001:db8::/32 six; ::/0 all6; 255.255.255.255 none; }
             geo $arg_a $range { ranges; default -; 10.0.0.0-10.0.255.255 a; 10.0.1.0-10.0.1.9 b; 10.1.0.0-10.3.0.9 c; }
             geo $behind { proxy 127.0.0.1; proxy_recursive; 1.2.3.4 yes; proxy 10.0.0.0/8; default no; }",
            "return 200 $own|$net|$range|$behind;",
        );
        for (address, expected) in [
            ("10.9.9.9", "ten|-"),
            ("10.1.9.9", "one|c"),
            ("10.1.2.3", "host|c"),
            ("10.0.1.5", "ten|b"),
            ("10.0.1.10", "ten|a"),
            ("10.3.0.9", "ten|c"),
            ("10.3.0.10", "ten|-"),
            ("2001:db8::1", "six|-"),
            ("::1", "all6|-"),
            ("::ffff:10.1.2.3", "host|c"),
            ("1.1.1.1", "-|-"),
            ("wrong", "none|-"),
        ] {
            let target = format!("/?a={address}");
            let response = site.get(&target, &["X-Forwarded-For: 1.2.3.4, 10.7.7.7"]);
            assert_eq!(
                text(&response),
                format!("local|{expected}|yes"),
                "{address}"
            );
        }
    }

    #[test]
    fn mistakes() {
        for (block, message) in [
            ("geo x { }", "invalid variable name \"x\""),
            ("geo $x { a b c; }", "invalid number of the geo parameters"),
            ("geo $x { 1.2.3 b; }", "invalid network \"1.2.3\""),
            (
                "geo $x { 1.2.3.4/8 b; }",
                "low address bits of 1.2.3.4/8 are meaningless",
            ),
            (
                "geo $x { 1.2.3.4 b; 1.2.3.4 c; }",
                "duplicate network \"1.2.3.4\", value: \"c\", old value: \"b\"",
            ),
            (
                "geo $x { delete 1.2.3.4; }",
                "no network \"1.2.3.4\" to delete",
            ),
            (
                "geo $x { default a; ranges; }",
                "the \"ranges\" directive must be the first directive inside \"geo\" block",
            ),
            (
                "geo $x { ranges; 2.0.0.0-1.0.0.0 a; }",
                "invalid range \"2.0.0.0-1.0.0.0\"",
            ),
            ("geo $x { ranges; 1.0.0.0 a; }", "invalid range \"1.0.0.0\""),
            (
                "geo $x { ranges; 1.0.0.0-1.0.0.9 a; 1.0.0.5-1.0.0.12 b; }",
                "range \"1.0.0.5-1.0.0.12\" overlaps \"1.0.0.0-1.0.0.9\"",
            ),
            (
                "geo $x { ranges; 1.0.0.0-1.0.0.9 a; 1.0.0.0-1.0.0.9 b; }",
                "duplicate range \"1.0.0.0-1.0.0.9\", value: \"b\", old value: \"a\"",
            ),
            (
                "geo $x { ranges; delete 1.0.0.0-1.0.0.9; }",
                "no address range \"1.0.0.0-1.0.0.9\" to delete",
            ),
            (
                "geo $x { ranges; default a; default b; }",
                "duplicate default geo range value: \"b\", old value: \"a\"",
            ),
        ] {
            assert_eq!(found_in_http(block), [message], "{block}");
        }
    }
}
