//! Values by network: the smallest network an address is in decides.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::net::cidr::Cidr;

/// A table of networks.
pub struct Networks<T> {
    values: HashMap<Cidr, T>,
    /// The lengths that occur, longest first: no look-up tries others.
    v4: Vec<u8>,
    v6: Vec<u8>,
}

impl<T> Default for Networks<T> {
    fn default() -> Networks<T> {
        Networks {
            values: HashMap::new(),
            v4: Vec::new(),
            v6: Vec::new(),
        }
    }
}

impl<T> Networks<T> {
    /// Gives a network a value and returns the one it had.
    pub fn insert(&mut self, network: Cidr, value: T) -> Option<T> {
        let lengths = match network.network() {
            IpAddr::V4(_) => &mut self.v4,
            IpAddr::V6(_) => &mut self.v6,
        };
        let length = network.length();
        if let Err(at) = lengths.binary_search_by(|known| length.cmp(known)) {
            lengths.insert(at, length);
        }
        self.values.insert(network, value)
    }

    /// Takes a network out, with its value.
    pub fn remove(&mut self, network: &Cidr) -> Option<T> {
        self.values.remove(network)
    }

    /// The value of the smallest network that `address` is in.
    pub fn find(&self, address: IpAddr) -> Option<&T> {
        let lengths = match address {
            IpAddr::V4(_) => &self.v4,
            IpAddr::V6(_) => &self.v6,
        };
        lengths
            .iter()
            .find_map(|length| self.values.get(&Cidr::new(address, *length)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Addresses that differ in a few bits only, so that networks are often nested.
    fn address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<u8>().prop_map(|bits| IpAddr::from([10, bits & 0x81, 0, bits & 3])),
            any::<u8>().prop_map(|bits| {
                IpAddr::from([
                    0x2001,
                    0,
                    0,
                    u16::from(bits & 0x81),
                    0,
                    0,
                    0,
                    u16::from(bits & 3),
                ])
            }),
        ]
    }

    fn network() -> impl Strategy<Value = Cidr> {
        (address(), 0..=128_u8).prop_filter_map("too long", |(address, length)| {
            Cidr::new(
                address,
                if address.is_ipv4() {
                    length / 4
                } else {
                    length
                },
            )
        })
    }

    proptest! {
        #[test]
        fn agrees_with_a_naive_search(
            networks in prop::collection::vec((network(), any::<u8>(), any::<bool>()), 0..20),
            addresses in prop::collection::vec(address(), 1..20),
        ) {
            let mut table = Networks::default();
            let mut naive: Vec<(Cidr, u8)> = Vec::new();
            for (network, value, delete) in networks {
                naive.retain(|(known, _)| *known != network);
                if delete {
                    table.remove(&network);
                } else {
                    table.insert(network, value);
                    naive.push((network, value));
                }
            }
            for address in addresses {
                let fitting = naive.iter().filter(|(network, _)| network.contains(address));
                let best = fitting.max_by_key(|(network, _)| network.length());
                prop_assert_eq!(table.find(address), best.map(|(_, value)| value));
            }
        }
    }
}
