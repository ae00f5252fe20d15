//! What the edge knows about the sender apart from the body: address, user agent and the like.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use http::header::{ACCEPT_LANGUAGE, HeaderName, ORIGIN, REFERER, USER_AGENT};
use http::{HeaderMap, HeaderValue};

use crate::forwarding::Proxies;

/// Bytes of a header's value that are kept; no honest one is longer, and `limits.header` bounds them all together anyway.
const MAX_VALUE: usize = 2 * 1024;
/// Client hints that are kept; the standard knows eleven.
const MAX_HINTS: usize = 16;

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
    /// Reads what the headers say; the address is believed only as far as the proxies are trusted.
    pub(crate) fn from_headers(headers: &HeaderMap, peer: Option<SocketAddr>, proxies: &Proxies) -> Self {
        let text = |name: &HeaderName| headers.get(name).map(kept_text).filter(|text| !text.is_empty());
        Self {
            address: peer.map(|peer| proxies.client_address(headers, peer.ip())),
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
    let kept = &bytes[..bytes.len().min(MAX_VALUE)];
    // The lossy way looks at each character, also where nothing is lost.
    match std::str::from_utf8(kept) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(kept).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::Client;
    use crate::forwarding::Proxies;

    #[test]
    fn values_are_cut_and_hints_kept_by_name() {
        let mut headers = HeaderMap::new();
        headers.insert("user-agent", HeaderValue::from_str(&"é".repeat(2_000)).unwrap());
        headers.insert("sec-ch-ua-platform", HeaderValue::from_static("\"macOS\""));
        let client = Client::from_headers(&headers, None, &Proxies::new(&Default::default()));
        assert_eq!(client.user_agent.unwrap().chars().count(), 1_024);
        assert_eq!(client.hints["sec-ch-ua-platform"], "\"macOS\"");
    }
}
