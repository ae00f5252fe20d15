//! What the edge knows about the sender apart from the body: address, user agent and the like.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use http::header::{ACCEPT_LANGUAGE, HeaderName, ORIGIN, REFERER, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;

/// Bytes of a header's value that are kept; no honest one is longer, and `limits.header` bounds them all together anyway.
const MAX_VALUE: usize = 2 * 1024;
/// Client hints that are kept; the standard knows eleven.
const MAX_HINTS: usize = 16;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The sender of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) address: Option<IpAddr>,
    pub(crate) user_agent: Option<String>,
    /// Sec-CH-UA… by lower-case name.
    pub(crate) hints: BTreeMap<String, String>,
    pub(crate) accept_language: Option<String>,
    pub(crate) origin: Option<String>,
    pub(crate) referer: Option<String>,
    pub(crate) traceparent: Option<String>,
}

impl Client {
    /// Reads what the headers say; the address is believed only as far as `trusted_proxies` reach.
    pub(crate) fn from_headers(headers: &HeaderMap, peer: Option<SocketAddr>, trusted_proxies: &[IpNet]) -> Self {
        let text = |name: &HeaderName| headers.get(name).map(kept_text).filter(|text| !text.is_empty());
        Self {
            address: peer.map(|peer| client_address(headers, peer.ip(), trusted_proxies)),
            user_agent: text(&USER_AGENT),
            hints: client_hints(headers),
            accept_language: text(&ACCEPT_LANGUAGE),
            origin: text(&ORIGIN),
            referer: text(&REFERER),
            traceparent: text(&TRACEPARENT).filter(|text| text.is_ascii() && text.len() >= 55),
        }
    }
}

fn client_hints(headers: &HeaderMap) -> BTreeMap<String, String> {
    headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("sec-ch-ua"))
        .take(MAX_HINTS)
        .map(|(name, value)| (name.as_str().to_owned(), kept_text(value)))
        .collect()
}

fn kept_text(value: &HeaderValue) -> String {
    let bytes = value.as_bytes();
    String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_VALUE)]).into_owned()
}

/// The right-most hop that no trusted proxy vouches for. What stands further left may be anyone's invention.
fn client_address(headers: &HeaderMap, peer: IpAddr, trusted_proxies: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted_proxies.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    if !is_trusted(&client) {
        return client;
    }
    for header in headers.get_all(FORWARDED_FOR).iter().rev() {
        // A value that is no text ends the chain: nothing left of it can be believed.
        let Ok(hops) = header.to_str() else { return client };
        for hop in hops.rsplit(',') {
            let Some(address) = parse_hop(hop.trim()) else {
                return client;
            };
            client = address;
            if !is_trusted(&client) {
                return client;
            }
        }
    }
    client
}

/// `203.0.113.7`, `203.0.113.7:4711`, `2001:db8::1`, `[2001:db8::1]:4711`
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let bare = hop
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(hop);
    let address = bare
        .parse::<IpAddr>()
        .ok()
        .or_else(|| Some(hop.parse::<SocketAddr>().ok()?.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::{Client, client_address};

    fn address(peer: &str, forwarded: &[&'static str]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_static(value));
        }
        client_address(&headers, peer.parse().unwrap(), &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(address("198.51.100.1", &["203.0.113.7"]), "198.51.100.1");
        assert_eq!(address("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(address("10.0.0.1", &["203.0.113.7"]), "203.0.113.7");
    }

    #[test]
    fn the_right_most_untrusted_hop_is_the_client() {
        assert_eq!(address("10.0.0.1", &["1.2.3.4, 203.0.113.7, 10.0.0.9"]), "203.0.113.7");
        assert_eq!(
            address("10.0.0.1", &["1.2.3.4", "203.0.113.7", "10.0.0.9"]),
            "203.0.113.7"
        );
        assert_eq!(address("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_read() {
        assert_eq!(address("::ffff:10.0.0.1", &["203.0.113.7:4711"]), "203.0.113.7");
        assert_eq!(address("fd00::1", &["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(address("fd00::1", &["2001:db8::1"]), "2001:db8::1");
        assert_eq!(address("fd00::1", &["[2001:db8::1]"]), "2001:db8::1");
    }

    #[test]
    fn what_is_no_address_ends_the_chain() {
        assert_eq!(address("10.0.0.1", &["203.0.113.7, unknown, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(address("10.0.0.1", &["garbage"]), "10.0.0.1");
    }

    #[test]
    fn values_are_cut_and_hints_kept_by_name() {
        let mut headers = HeaderMap::new();
        headers.insert("user-agent", HeaderValue::from_str(&"é".repeat(2_000)).unwrap());
        headers.insert("sec-ch-ua-platform", HeaderValue::from_static("\"macOS\""));
        let client = Client::from_headers(&headers, None, &[]);
        assert_eq!(client.user_agent.unwrap().chars().count(), 1_024);
        assert_eq!(client.hints["sec-ch-ua-platform"], "\"macOS\"");
    }
}
