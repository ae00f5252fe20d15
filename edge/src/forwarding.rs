//! The client's address behind proxies: what a trusted one says of the hop before it, and nothing that anyone else says.

use std::net::IpAddr;

use gosight_config::edge::{ForwardingHeader, ServerSettings};
use http::header::{FORWARDED, HeaderName};
use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The proxies in front of us, and where they say from whom a request came.
#[derive(Debug, Clone)]
pub(crate) struct Proxies {
    trusted: Vec<IpNet>,
    /// The first of them that a request has counts alone: a chain pieced together from two headers would be nobody's word.
    headers: Vec<ForwardingHeader>,
}

impl Proxies {
    pub(crate) fn new(settings: &ServerSettings) -> Self {
        Self {
            trusted: settings.trusted_proxies.clone(),
            headers: settings.forwarding_headers.clone(),
        }
    }

    /// The right-most hop that no trusted proxy vouches for. What stands further left may be anyone's invention; where a hop is no
    /// address, the one that it was received by is the last that is known.
    pub(crate) fn client_address(&self, headers: &HeaderMap, peer: IpAddr) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return peer;
        }
        let present = self.headers.iter().find(|header| headers.contains_key(name(**header)));
        match present {
            None => peer,
            Some(ForwardingHeader::XForwardedFor) => {
                let hops = texts(headers, &FORWARDED_FOR)
                    .flat_map(|line| line.unwrap_or_default().rsplit(','))
                    .map(|hop| address(hop.trim()));
                self.last_untrusted(peer, hops)
            }
            Some(ForwardingHeader::Forwarded) => {
                let hops = texts(headers, &FORWARDED)
                    .flat_map(|line| split_from_right(line.unwrap_or_default(), ','))
                    .map(forwarded_for);
                self.last_untrusted(peer, hops)
            }
            // No chain, but the one address that the proxy itself saw.
            Some(ForwardingHeader::XRealIp) => {
                let last = texts(headers, &REAL_IP).next().flatten();
                last.and_then(|text| address(text.trim())).unwrap_or(peer)
            }
        }
    }

    /// `hops` come from right to left.
    fn last_untrusted(&self, peer: IpAddr, hops: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
        let mut client = peer;
        for hop in hops {
            let Some(hop) = hop else { return client };
            client = hop;
            if !self.trusts(client) {
                return client;
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address))
    }
}

fn name(header: ForwardingHeader) -> HeaderName {
    match header {
        ForwardingHeader::XForwardedFor => FORWARDED_FOR,
        ForwardingHeader::Forwarded => FORWARDED,
        ForwardingHeader::XRealIp => REAL_IP,
    }
}

/// The lines of a header, the last first; `None` for one that is no text.
fn texts<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = Option<&'a str>> + use<'a> {
    let lines: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
    lines.into_iter().rev().map(|line| line.to_str().ok())
}

/// The `for` of one element of Forwarded (RFC 7239): `for="[2001:db8::1]:4711";proto=https`. An obfuscated identifier is no address.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut pairs = split_from_right(element, ';').filter_map(|pair| pair.trim().split_once('='));
    let (_, node) = pairs.find(|(name, _)| name.trim_end().eq_ignore_ascii_case("for"))?;
    let node = node.trim_start();
    let bare = node
        .strip_prefix('"')
        .and_then(|quoted| quoted.strip_suffix('"'))
        .unwrap_or(node);
    address(bare)
}

/// Splits outside of quotes, the last part first. Quotes are counted from the right, so that one left open by a client takes nothing
/// away from what the proxies added behind it.
fn split_from_right(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let whole = rest?;
        let mut is_quoted = false;
        let at = whole.rfind(|letter: char| {
            is_quoted ^= letter == '"';
            letter == separator && !is_quoted
        });
        match at {
            Some(at) => {
                rest = Some(&whole[..at]);
                Some(&whole[at + separator.len_utf8()..])
            }
            None => rest.take(),
        }
    })
}

/// `203.0.113.7`, `203.0.113.7:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`; a port may be obfuscated too.
fn address(node: &str) -> Option<IpAddr> {
    let host = match node.strip_prefix('[') {
        Some(bracketed) => {
            let (host, port) = bracketed.split_once(']')?;
            if !port.is_empty() && !port.starts_with(':') {
                return None;
            }
            host
        }
        None => match node.split_once(':') {
            Some((host, port)) if !port.contains(':') => host,
            _ => node,
        },
    };
    Some(host.parse::<IpAddr>().ok()?.to_canonical())
}

#[cfg(test)]
mod tests {
    use gosight_config::edge::{ForwardingHeader, ServerSettings};
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::Proxies;

    const XFF: &str = "x-forwarded-for";

    fn settings() -> ServerSettings {
        ServerSettings {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
            ..ServerSettings::default()
        }
    }

    fn address_of(settings: &ServerSettings, peer: &str, lines: &[(&'static str, &'static str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let proxies = Proxies::new(settings);
        proxies.client_address(&headers, peer.parse().unwrap()).to_string()
    }

    fn address(peer: &str, lines: &[(&'static str, &'static str)]) -> String {
        address_of(&settings(), peer, lines)
    }

    fn by_chain(peer: &str, chain: &'static str) -> String {
        address(peer, &[(XFF, chain)])
    }

    fn by_forwarded(elements: &'static str) -> String {
        address("10.0.0.1", &[("forwarded", elements)])
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        for header in [XFF, "x-real-ip"] {
            assert_eq!(address("198.51.100.1", &[(header, "203.0.113.7")]), "198.51.100.1");
            assert_eq!(address("2001:db8::9", &[(header, "203.0.113.7")]), "2001:db8::9");
            assert_eq!(address("10.0.0.1", &[(header, "203.0.113.7")]), "203.0.113.7");
            assert_eq!(address("fd00::1", &[(header, "203.0.113.7")]), "203.0.113.7");
        }
        assert_eq!(
            address("198.51.100.1", &[("forwarded", "for=203.0.113.7")]),
            "198.51.100.1"
        );
        assert_eq!(by_forwarded("for=203.0.113.7"), "203.0.113.7");
        assert_eq!(address("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn the_right_most_untrusted_hop_is_the_client() {
        assert_eq!(by_chain("10.0.0.1", "1.2.3.4, 203.0.113.7, 10.0.0.9"), "203.0.113.7");
        let lines = [(XFF, "1.2.3.4"), (XFF, "203.0.113.7"), (XFF, "10.0.0.9")];
        assert_eq!(address("10.0.0.1", &lines), "203.0.113.7");
        assert_eq!(by_chain("10.0.0.1", "10.0.0.3, 10.0.0.2"), "10.0.0.3");
        assert_eq!(
            by_forwarded("for=1.2.3.4, for=203.0.113.7;proto=https;by=10.0.0.9, For=\"10.0.0.9\""),
            "203.0.113.7"
        );
        let lines = [("forwarded", "for=1.2.3.4"), ("forwarded", "for=203.0.113.7")];
        assert_eq!(address("10.0.0.1", &lines), "203.0.113.7");
    }

    #[test]
    fn ports_brackets_quotes_and_mapped_addresses_read() {
        assert_eq!(by_chain("::ffff:10.0.0.1", "203.0.113.7:4711"), "203.0.113.7");
        assert_eq!(by_chain("fd00::1", "[2001:db8::1]:4711"), "2001:db8::1");
        assert_eq!(by_chain("fd00::1", "2001:db8::1"), "2001:db8::1");
        assert_eq!(by_chain("fd00::1", "[2001:db8::1]"), "2001:db8::1");
        assert_eq!(by_chain("fd00::1", "::ffff:203.0.113.7"), "203.0.113.7");
        for node in [
            "for=\"[2001:db8::1]:4711\"",
            "For=\"[2001:db8::1]\";by=\"a,b;c\"",
            "proto=https; for=\"[2001:db8::1]:_port\"",
        ] {
            assert_eq!(by_forwarded(node), "2001:db8::1", "{node}");
        }
        assert_eq!(by_forwarded("for=\"203.0.113.7:4711\""), "203.0.113.7");
    }

    #[test]
    fn what_is_no_address_ends_the_chain() {
        assert_eq!(by_chain("10.0.0.1", "203.0.113.7, unknown, 10.0.0.2"), "10.0.0.2");
        assert_eq!(by_chain("10.0.0.1", "203.0.113.7,, 10.0.0.2"), "10.0.0.2");
        for nonsense in [
            "garbage",
            "",
            "[2001:db8::1",
            "[2001:db8::1]x",
            "300.1.1.1",
            "1.2.3.4 5.6.7.8",
        ] {
            assert_eq!(by_chain("10.0.0.1", nonsense), "10.0.0.1", "{nonsense}");
            assert_eq!(
                address("10.0.0.1", &[("x-real-ip", nonsense)]),
                "10.0.0.1",
                "{nonsense}"
            );
        }
        for hidden in ["unknown", "_hidden", "_SEVKISEK:80", "\"_gazonk\""] {
            let chain = format!("for=203.0.113.7, for={hidden}, for=10.0.0.2").leak();
            assert_eq!(by_forwarded(chain), "10.0.0.2", "{hidden}");
        }
        assert_eq!(by_forwarded("for=203.0.113.7, proto=https, for=10.0.0.2"), "10.0.0.2");
        let mut headers = HeaderMap::new();
        headers.append(XFF, HeaderValue::from_static("203.0.113.7"));
        headers.append(XFF, HeaderValue::from_bytes(b"\xff").unwrap());
        let proxies = Proxies::new(&settings());
        let client = proxies.client_address(&headers, "10.0.0.1".parse().unwrap());
        assert_eq!(client.to_string(), "10.0.0.1");
    }

    #[test]
    fn a_client_can_not_speak_for_the_proxy() {
        // Each begins with what a client sent, and ends with what our proxies added.
        for forged in [
            "for=1.2.3.4, for=203.0.113.7",
            "for=\"1.2.3.4, for=203.0.113.7",
            "for=1.2.3.4;x=\", for=203.0.113.7;by=\"[fd00::1]\"",
            "for=\"\\\", for=203.0.113.7",
            "for=1.2.3.4;for=\"10.0.0.1, for=203.0.113.7, for=10.0.0.9",
        ] {
            assert_eq!(by_forwarded(forged), "203.0.113.7", "{forged}");
        }
        // The name of a trusted proxy in front of the true hop changes nothing either.
        assert_eq!(by_chain("10.0.0.1", "10.0.0.8, 203.0.113.7"), "203.0.113.7");
    }

    #[test]
    fn of_several_headers_the_first_that_is_configured_counts_alone() {
        let all = [
            ("x-real-ip", "203.0.113.3"),
            ("forwarded", "for=203.0.113.2"),
            (XFF, "203.0.113.1"),
        ];
        assert_eq!(address("10.0.0.1", &all), "203.0.113.1");
        assert_eq!(address("10.0.0.1", &all[..2]), "203.0.113.2");
        assert_eq!(address("10.0.0.1", &all[..1]), "203.0.113.3");
        // Even where it says nothing.
        assert_eq!(address("10.0.0.1", &[all[0], all[1], (XFF, "unknown")]), "10.0.0.1");
        let only_real_ip = ServerSettings {
            forwarding_headers: vec![ForwardingHeader::XRealIp],
            ..settings()
        };
        assert_eq!(address_of(&only_real_ip, "10.0.0.1", &all), "203.0.113.3");
        assert_eq!(address_of(&only_real_ip, "10.0.0.1", &all[1..]), "10.0.0.1");
    }
}
