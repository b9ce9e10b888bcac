//! Addresses and networks that devices call from and people sign in from.

use std::net::{IpAddr, Ipv6Addr};

/// Where something comes from: one address, or a network in CIDR notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    base: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads `10.1.2.3`, `10.1.0.0/16`, `fd00::/8`. An IPv4 address inside IPv6 is IPv4.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let base = address.parse::<IpAddr>().ok()?;
        let longest = width(base);
        let prefix = prefix.unwrap_or(longest);
        if prefix > longest {
            return None;
        }
        let canonical = base.to_canonical();
        match (base, canonical) {
            (IpAddr::V6(_), IpAddr::V4(_)) => {
                Some(Self { base: canonical, prefix: prefix.checked_sub(96)? })
            }
            _ => Some(Self { base, prefix }),
        }
    }

    /// Whether an address is in it.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        width(address) == width(self.base)
            && masked(address, self.prefix) == masked(self.base, self.prefix)
    }

    /// Whether some address is in both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let shorter = self.prefix.min(other.prefix);
        width(self.base) == width(other.base)
            && masked(self.base, shorter) == masked(other.base, shorter)
    }

    /// The network as it is kept: host bits cleared, a single address without its length.
    pub(super) fn text(&self) -> String {
        let base = match self.base {
            IpAddr::V4(_) => {
                let bits = u32::try_from(masked(self.base, self.prefix)).unwrap_or_default();
                IpAddr::V4(bits.into())
            }
            IpAddr::V6(_) => IpAddr::V6(masked(self.base, self.prefix).into()),
        };
        if self.prefix == width(base) {
            base.to_string()
        } else {
            format!("{base}/{}", self.prefix)
        }
    }
}

/// What sign-ins are counted by: an IPv4 address, or the /64 of an IPv6 address, because whoever
/// has one address there has all of them.
pub(super) fn source_key(source: &str) -> String {
    match source.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V6(address)) => {
            format!("{}/64", Ipv6Addr::from(masked(IpAddr::V6(address), 64)))
        }
        Ok(address) => address.to_string(),
        Err(_) => source.to_owned(),
    }
}

const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The first `prefix` bits of an address, the rest zero.
fn masked(address: IpAddr, prefix: u8) -> u128 {
    let bits = match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    };
    let rest = u32::from(width(address).saturating_sub(prefix));
    bits.checked_shr(rest).unwrap_or(0).checked_shl(rest).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::parse(text).expect("a network")
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn networks_are_read_and_kept_without_host_bits() {
        for (typed, kept) in [
            ("10.1.2.3", "10.1.2.3"),
            ("10.1.2.3/32", "10.1.2.3"),
            ("10.1.2.3/16", "10.1.0.0/16"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("fd00::1/8", "fd00::/8"),
            ("::/0", "::/0"),
            ("::ffff:10.1.2.3", "10.1.2.3"),
            ("::ffff:10.1.2.3/112", "10.1.0.0/16"),
        ] {
            assert_eq!(network(typed).text(), kept);
        }
        for bad in ["", "10.1.2", "10.1.2.3/33", "10.1.2.3/", "::1/129", "host", "::ffff:1.2.3.4/8"]
        {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_network_contains_its_addresses_only() {
        assert!(network("10.1.0.0/16").contains(address("10.1.255.1")));
        assert!(network("10.1.0.0/16").contains(address("::ffff:10.1.255.1")));
        assert!(!network("10.1.0.0/16").contains(address("10.2.0.1")));
        assert!(network("0.0.0.0/0").contains(address("203.0.113.9")));
        assert!(!network("0.0.0.0/0").contains(address("2001:db8::1")));
        assert!(network("::/0").contains(address("2001:db8::1")));
        assert!(!network("10.1.2.3").contains(address("10.1.2.4")));
    }

    #[test]
    fn overlap_does_not_depend_on_the_order() {
        for (a, b, expected) in [
            ("10.1.0.0/16", "10.1.2.3", true),
            ("10.1.0.0/16", "10.2.0.0/16", false),
            ("10.0.0.0/8", "10.2.0.0/16", true),
            ("10.1.2.3", "10.1.2.3", true),
            ("0.0.0.0/0", "192.0.2.1", true),
            ("0.0.0.0/0", "::/0", false),
        ] {
            assert_eq!(network(a).overlaps(&network(b)), expected, "{a} {b}");
            assert_eq!(network(b).overlaps(&network(a)), expected, "{b} {a}");
        }
    }

    #[test]
    fn sign_ins_are_counted_by_address_or_by_sixty_four() {
        assert_eq!(source_key("10.1.2.3"), "10.1.2.3");
        assert_eq!(source_key("::ffff:10.1.2.3"), "10.1.2.3");
        assert_eq!(source_key("2001:db8::1"), source_key("2001:db8::ffff:1"));
        assert_ne!(source_key("2001:db8::1"), source_key("2001:db8:0:1::1"));
        assert_eq!(source_key(""), "");
    }
}
