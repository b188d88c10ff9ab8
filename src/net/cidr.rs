//! Networks in CIDR notation (`192.168.0.0/16`, `2001:db8::/32`, or a single address).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::address::{parse_ipv4, parse_ipv6};

/// A network: all addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cidr {
    network: IpAddr,
    /// How many bits are fixed.
    length: u8,
}

impl Cidr {
    /// The network of an address: only its first `length` bits count.
    ///
    /// `None` if an address of its family has fewer bits.
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        let network = match address {
            IpAddr::V4(v4) if length <= 32 => Ipv4Addr::from(v4.to_bits() & mask_v4(length)).into(),
            IpAddr::V6(v6) if length <= 128 => {
                Ipv6Addr::from(v6.to_bits() & mask_v6(length)).into()
            }
            _ => return None,
        };
        Some(Self { network, length })
    }

    /// Reads a network, and tells whether bits behind its length were set: nginx warns
    /// `low address bits of … are meaningless`.
    pub fn parse(text: &[u8]) -> Option<(Self, bool)> {
        let (address, length) = match memchr::memchr(b'/', text) {
            Some(slash) => (&text[..slash], Some(parse_length(&text[slash + 1..])?)),
            None => (text, None),
        };
        let v4 = || parse_ipv4(address).map(IpAddr::V4);
        let address = v4().or_else(|| parse_ipv6(address).map(IpAddr::V6))?;
        let cidr = Self::new(
            address,
            length.unwrap_or(if address.is_ipv4() { 32 } else { 128 }),
        )?;
        Some((cidr, cidr.network != address))
    }

    /// Whether the address belongs to the network. An IPv4 address in IPv6 clothes
    /// (`::ffff:1.2.3.4`) counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.contains_as_is(address.to_canonical())
    }

    /// As [`Cidr::contains`], but an IPv4 address in IPv6 clothes counts as IPv6.
    pub fn contains_as_is(&self, address: IpAddr) -> bool {
        match (self.network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                address.to_bits() & mask_v4(self.length) == network.to_bits()
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                address.to_bits() & mask_v6(self.length) == network.to_bits()
            }
            _ => false,
        }
    }

    /// Its first address.
    pub fn network(&self) -> IpAddr {
        self.network
    }

    /// How many bits are fixed.
    pub fn length(&self) -> u8 {
        self.length
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.length)
    }
}

fn parse_length(text: &[u8]) -> Option<u8> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text)
        .ok()
        .filter(|_| digits)?
        .parse()
        .ok()
}

fn mask_v4(length: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
}

fn mask_v6(length: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parsing() {
        for (text, expected) in [
            ("10.0.0.0/8", Some(("10.0.0.0/8", false))),
            ("10.1.0.0/8", Some(("10.0.0.0/8", true))),
            ("10.1.2.3", Some(("10.1.2.3/32", false))),
            ("0.0.0.0/0", Some(("0.0.0.0/0", false))),
            ("2001:db8::1/32", Some(("2001:db8::/32", true))),
            ("::/0", Some(("::/0", false))),
            ("::1", Some(("::1/128", false))),
            ("10.0.0.0/33", None),
            ("::/129", None),
            ("10.0.0/8", None),
            ("10.0.0.0/", None),
            ("10.0.0.0/+8", None),
            ("example.com", None),
            ("", None),
        ] {
            let parsed =
                Cidr::parse(text.as_bytes()).map(|(cidr, low_bits)| (cidr.to_string(), low_bits));
            assert_eq!(
                parsed,
                expected.map(|(text, low_bits)| (text.to_owned(), low_bits)),
                "{text}"
            );
        }
    }

    #[test]
    fn membership() {
        for (network, address, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("::/0", "::ffff:10.0.0.1", false),
            ("::/0", "10.0.0.1", false),
            ("0.0.0.0/0", "::1", false),
            ("2001:db8::/33", "2001:db8:7fff::", true),
            ("2001:db8::/33", "2001:db8:8000::", false),
        ] {
            let (cidr, _) = Cidr::parse(network.as_bytes()).unwrap();
            assert_eq!(
                cidr.contains(address.parse().unwrap()),
                expected,
                "{address} in {network}"
            );
        }
    }

    proptest! {
        #[test]
        fn an_address_is_in_every_network_made_of_it(bits: u32, length in 0u8..=32, other: u32) {
            let cidr = Cidr::new(Ipv4Addr::from(bits).into(), length).unwrap();
            prop_assert!(cidr.contains(Ipv4Addr::from(bits).into()));
            let same_prefix = (bits ^ other).leading_zeros() >= u32::from(length);
            prop_assert_eq!(cidr.contains(Ipv4Addr::from(other).into()), same_prefix);
        }
    }
}
