//! Where a request comes from: the other end of its connection, or, when that is a proxy of ours, the client that the proxy names in
//! `X-Forwarded-For` or in `Forwarded` (RFC 7239).

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use axum::http::{HeaderMap, HeaderName, header::FORWARDED};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The other end of the connection that a request came on.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// What counts as one client: an IPv4 address, or the 64 bits of an IPv6 network, in which a single client chooses its addresses freely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// An address.
    V4(Ipv4Addr),
    /// The first half of an address.
    V6([u8; 8]),
}

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6(*address.octets().first_chunk().expect("16 bytes begin with 8")),
        }
    }
}

/// An item of `TRUSTED_PROXIES` that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network, like 10.0.0.0/8, and no address")]
pub struct NotANetwork(String);

/// Proxies of ours. Each must add its peer to one of the two headers, at the end; what it forwards of them is not believed.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl FromStr for TrustedProxies {
    type Err = NotANetwork;

    /// Networks and addresses, separated by commas; nothing at all is nobody.
    fn from_str(list: &str) -> Result<Self, NotANetwork> {
        let items = list.split(',').map(str::trim).filter(|item| !item.is_empty());
        let network = |item: &str| {
            let address = || item.parse::<IpAddr>().map(IpNet::from);
            item.parse().or_else(|_| address()).map_err(|_| NotANetwork(item.to_owned()))
        };
        items.map(network).collect::<Result<_, _>>().map(Self)
    }
}

impl TrustedProxies {
    /// The address of the client that a request comes from.
    pub fn client(&self, Peer(peer): Peer, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.include(peer) {
            return peer;
        }
        let by = |header: &HeaderName, hops: fn(&str) -> Hops| {
            let mut lines = headers.get_all(header).iter().rev().peekable();
            lines.peek()?;
            let hops = lines.flat_map(|line| line.to_str().map_or_else(|_| vec![None], hops));
            Some(self.first_stranger(peer, hops))
        };
        match (by(&X_FORWARDED_FOR, x_forwarded_for), by(&FORWARDED, forwarded)) {
            (None, None) => peer,
            (Some(client), None) | (None, Some(client)) => client,
            // a proxy adds to one of them and may hand the other on as the client made it up: nobody can tell which
            (Some(one), Some(other)) => {
                if one == other {
                    one
                } else {
                    peer
                }
            }
        }
    }

    fn include(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The hop that is nearest to us and none of our proxies. What cannot be read hides all that is behind it, so that the last
    /// proxy of ours before it counts.
    fn first_stranger(&self, peer: IpAddr, hops: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
        let mut nearest = peer;
        for hop in hops {
            let Some(hop) = hop else { break };
            nearest = hop;
            if !self.include(hop) {
                break;
            }
        }
        nearest
    }
}

/// The hops that a line of a header names, the nearest first. None: it cannot be told.
type Hops = Vec<Option<IpAddr>>;

fn x_forwarded_for(line: &str) -> Hops {
    line.rsplit(',').map(|hop| address(hop.trim())).collect()
}

fn forwarded(line: &str) -> Hops {
    // a client may begin what is quoted and leave it open, so that what a proxy adds is swallowed
    let Some(elements) = split_outside_quotes(line, ',') else { return vec![None] };
    elements.into_iter().rev().map(forwarded_for).collect()
}

/// The parameter `for` of `for=192.0.2.43;proto=https` or `For="[2001:db8::17]:4711"`.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pairs = split_outside_quotes(element, ';')?;
    let mut named = pairs.into_iter().filter_map(|pair| pair.split_once('='));
    let (_, value) = named.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    let value = value.trim();
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    address(quoted.unwrap_or(value))
}

/// None when a quotation does not end.
fn split_outside_quotes(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut pieces, mut begin, mut is_quoted, mut is_escaped) = (Vec::new(), 0, false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = is_quoted,
            '"' => is_quoted = !is_quoted,
            _ if character == separator && !is_quoted => {
                pieces.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(&text[begin..]);
    (!is_quoted).then_some(pieces)
}

/// `192.0.2.43`, `2001:db8::17`, `[2001:db8::17]`, and the first and the last with a port.
fn address(text: &str) -> Option<IpAddr> {
    let alone = || text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::from);
    alone().or_else(with_port).or_else(in_brackets).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const PROXY: &str = "10.0.0.1";

    /// Where a request comes from whose peer is `peer`, when 10.0.0.0/8 and 2001:db8:1::/48 are ours.
    fn client(peer: &str, lines: &[(HeaderName, &str)]) -> String {
        let proxies: TrustedProxies = "10.0.0.0/8, 2001:db8:1::/48".parse().unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        proxies.client(Peer(peer.parse().unwrap()), &headers).to_string()
    }

    #[test]
    fn what_a_stranger_says_of_himself_is_not_looked_at() {
        for (name, value) in [(X_FORWARDED_FOR, "192.0.2.1"), (FORWARDED, "for=192.0.2.1")] {
            assert_eq!(client("198.51.100.1", &[(name, value)]), "198.51.100.1");
        }
        let nobody = TrustedProxies::default();
        let headers = HeaderMap::from_iter([(X_FORWARDED_FOR, HeaderValue::from_static("192.0.2.1"))]);
        assert_eq!(nobody.client(Peer(PROXY.parse().unwrap()), &headers).to_string(), PROXY);
    }

    #[test]
    fn a_proxy_names_its_client_and_what_is_left_of_the_first_stranger_is_his_own_invention() {
        for (line, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("203.0.113.9, 192.0.2.1", "192.0.2.1"),
            ("203.0.113.9,192.0.2.1,10.2.3.4", "192.0.2.1"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("2001:db8:2::1", "2001:db8:2::1"),
            ("[2001:db8:2::1], 2001:db8:1::7", "2001:db8:2::1"),
            ("[2001:db8:2::1]:4711", "2001:db8:2::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            // nobody but ours: somebody in our own house
            ("10.9.9.9, 10.2.3.4", "10.9.9.9"),
            // what cannot be read: the proxy before it
            ("192.0.2.1, unknown", PROXY),
            ("192.0.2.1, ", PROXY),
            ("192.0.2.1, nonsense, 10.2.3.4", "10.2.3.4"),
            ("käse", PROXY),
            ("", PROXY),
        ] {
            assert_eq!(client(PROXY, &[(X_FORWARDED_FOR, line)]), expected, "{line}");
        }
        assert_eq!(client(PROXY, &[]), PROXY);
        assert_eq!(client("::ffff:10.0.0.1", &[(X_FORWARDED_FOR, "192.0.2.1")]), "192.0.2.1");
        // several lines are one list
        assert_eq!(client(PROXY, &[(X_FORWARDED_FOR, "203.0.113.9"), (X_FORWARDED_FOR, "192.0.2.1")]), "192.0.2.1");
    }

    #[test]
    fn the_header_of_the_rfc_is_read_as_well_and_nobody_hides_in_its_quotes() {
        for (line, expected) in [
            ("for=192.0.2.1", "192.0.2.1"),
            ("For=\"192.0.2.1:80\";proto=https;by=10.0.0.1", "192.0.2.1"),
            ("proto=https; for=\"[2001:db8:2::1]:4711\"", "2001:db8:2::1"),
            ("for=203.0.113.9, for=192.0.2.1, for=10.2.3.4", "192.0.2.1"),
            ("for=203.0.113.9;x=\", for=198.51.100.7, \\\"\", for=192.0.2.1", "192.0.2.1"),
            // what cannot be read: the proxy before it
            ("for=192.0.2.1, for=unknown", PROXY),
            ("for=192.0.2.1, for=_hidden, for=10.2.3.4", "10.2.3.4"),
            ("for=192.0.2.1, proto=https", PROXY),
            ("for=203.0.113.9;x=\", for=192.0.2.1", PROXY),
            ("for=203.0.113.9;x=\", for=\"192.0.2.1:80\"", PROXY),
            ("for=203.0.113.9;x=\", for=\"192.0.2.1:80\";proto=\"https\"", PROXY),
        ] {
            assert_eq!(client(PROXY, &[(FORWARDED, line)]), expected, "{line}");
        }
    }

    #[test]
    fn two_headers_that_disagree_name_nobody() {
        let both = |one, other| client(PROXY, &[(X_FORWARDED_FOR, one), (FORWARDED, other)]);
        assert_eq!(both("203.0.113.9, 192.0.2.1", "for=192.0.2.1"), "192.0.2.1");
        assert_eq!(both("203.0.113.9", "for=192.0.2.1"), PROXY);
    }

    #[test]
    fn an_ipv6_client_is_its_network_of_64_bits() {
        let origin = |text: &str| Origin::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(origin("2001:db8:2:3::1"), origin("2001:db8:2:3:ffff:ffff:ffff:ffff"));
        assert_ne!(origin("2001:db8:2:3::1"), origin("2001:db8:2:4::1"));
        assert_ne!(origin("192.0.2.1"), origin("192.0.2.2"));
        assert_eq!(origin("::ffff:192.0.2.1"), origin("192.0.2.1"));
    }

    #[test]
    fn an_item_that_is_no_network_is_named() {
        for right in ["", " ", "10.0.0.0/8", "10.0.0.0/8,192.0.2.1 , 2001:db8::/32", "::1"] {
            assert!(right.parse::<TrustedProxies>().is_ok(), "{right}");
        }
        for wrong in ["10.0.0.0/33", "example.com", "10.0.0", "2001:db8::/32/2"] {
            let refused = format!("192.0.2.1,{wrong}").parse::<TrustedProxies>().unwrap_err();
            assert!(refused.to_string().contains(wrong), "{wrong}: {refused}");
        }
    }

    mod fuzz {
        use super::*;

        #[test]
        fn whatever_a_client_writes_himself_he_is_nobody_but_the_one_whom_the_proxy_names_or_nobody() {
            const CLIENT: &str = "192.0.2.1";
            let examples = [
                "x203.0.113.9, 198.51.100.7\nx[2001:db8:2::1]:4711, 10.2.3.4",
                "ffor=203.0.113.9;proto=https;by=10.0.0.1, For=\"[2001:db8:2::1]:80\"",
                "ffor=203.0.113.9;x=\", for=198.51.100.7, \\\"\nx203.0.113.9",
                "ffor=\"\\\nf;=,=;\"\nx,,",
            ];
            fuzzing::target!("forwarded", &examples, |bytes| {
                let Ok(text) = str::from_utf8(bytes) else { return };
                let of = |kind: char| text.split('\n').filter_map(move |line| line.strip_prefix(kind));
                let sent: Vec<(HeaderName, &str)> =
                    of('x').map(|line| (X_FORWARDED_FOR, line)).chain(of('f').map(|line| (FORWARDED, line))).collect();
                if sent.iter().any(|(_, line)| HeaderValue::from_bytes(line.as_bytes()).is_err()) {
                    return;
                }
                assert_eq!(client("198.51.100.1", &sent), "198.51.100.1");
                // as each of the two is added to by a proxy: in a line of its own, or at the end of the client's last
                for (name, own) in [(X_FORWARDED_FOR, CLIENT.to_owned()), (FORWARDED, format!("for={CLIENT}"))] {
                    let this: Vec<_> = sent.iter().filter(|(other, _)| *other == name).cloned().collect();
                    let with = |before: &[(HeaderName, &str)], line: &str| {
                        let last = [(name.clone(), line)];
                        client(PROXY, &[before, last.as_slice()].concat())
                    };
                    assert_eq!(with(&this, &own), CLIENT);
                    let is_nobody_else = |told: &str| [CLIENT, PROXY].contains(&told);
                    assert!(is_nobody_else(&with(&sent, &own)));
                    let Some(((_, last), before)) = this.split_last() else { continue };
                    let told = with(before, &format!("{last}, {own}"));
                    assert!(is_nobody_else(&told), "{told}");
                    assert!(name == FORWARDED || !last.is_ascii() || told == CLIENT, "{told}");
                }
            });
        }
    }
}
