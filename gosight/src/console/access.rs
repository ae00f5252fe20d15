//! Who may look and who may change. Pure: a request's headers in, a verdict out.

use std::net::{IpAddr, SocketAddr};

use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::{HeaderMap, StatusCode};
use sha2::{Digest, Sha256};

/// Characters of a token at the least.
const SHORTEST_TOKEN: usize = 16;

/// What a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Look,
    Change,
}

/// Why a request is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TurnedAway {
    /// A page elsewhere reached us under a name of its own (DNS rebinding), or a proxy does not pass the name on.
    #[error("the console on loopback answers as localhost or by its address only")]
    Host,
    /// No token, or a wrong one.
    #[error("the console's token is needed")]
    Token,
    /// The request comes from another page.
    #[error("changes are taken from the console's own page only")]
    Origin,
}

/// A token that is too short to keep anyone out.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token has {0} characters; take at least {SHORTEST_TOKEN}, or leave it out for a new one")]
pub(crate) struct ShortToken(usize);

/// The rules of one console.
#[derive(Debug)]
pub(super) struct Door {
    /// Of the token, so that comparing takes the same time wherever they differ.
    token: [u8; 32],
    bound: SocketAddr,
}

impl TurnedAway {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Token => StatusCode::UNAUTHORIZED,
            Self::Host | Self::Origin => StatusCode::FORBIDDEN,
        }
    }
}

impl Door {
    pub(super) fn new(token: &str, bound: SocketAddr) -> Result<Self, ShortToken> {
        if token.len() < SHORTEST_TOKEN {
            return Err(ShortToken(token.len()));
        }
        Ok(Self {
            token: Sha256::digest(token).into(),
            bound,
        })
    }

    /// Whether a request may do what it wants.
    pub(super) fn judge(&self, wish: Wish, headers: &HeaderMap) -> Result<(), TurnedAway> {
        let is_local = self.bound.ip().is_loopback();
        let host = text(headers, HOST.as_str()).unwrap_or_default();
        if is_local && !self.is_ours(host) {
            return Err(TurnedAway::Host);
        }
        if (wish == Wish::Change || !is_local) && !self.has_token(headers) {
            return Err(TurnedAway::Token);
        }
        if wish == Wish::Change && !is_same_page(headers, host) {
            return Err(TurnedAway::Origin);
        }
        Ok(())
    }

    fn is_ours(&self, host: &str) -> bool {
        let name = host
            .rsplit_once(':')
            .map_or(host, |(name, port)| match port.parse::<u16>() {
                Ok(_) => name,
                Err(_) => host,
            });
        let name = name.trim_start_matches('[').trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip == self.bound.ip())
    }

    fn has_token(&self, headers: &HeaderMap) -> bool {
        let given = text(headers, AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
        given.is_some_and(|token| <[u8; 32]>::from(Sha256::digest(token.trim())) == self.token)
    }
}

/// A browser names the page that sends; what sends without one is no page, and has the token.
fn is_same_page(headers: &HeaderMap, host: &str) -> bool {
    if text(headers, "sec-fetch-site").is_some_and(|site| site != "same-origin") {
        return false;
    }
    text(headers, ORIGIN.as_str()).is_some_and(|origin| {
        let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
        !host.is_empty() && authority.eq_ignore_ascii_case(host)
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::{Door, ShortToken, TurnedAway, Wish};

    const TOKEN: &str = "0123456789abcdef";

    fn judge(bound: &str, wish: Wish, headers: &[(&'static str, &str)]) -> Result<(), TurnedAway> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        Door::new(TOKEN, bound.parse().unwrap()).unwrap().judge(wish, &headers)
    }

    #[test]
    fn on_loopback_anyone_may_look_but_under_our_own_name_only() {
        for host in ["127.0.0.1:9470", "localhost:9470", "LOCALHOST"] {
            assert_eq!(judge("127.0.0.1:9470", Wish::Look, &[("host", host)]), Ok(()), "{host}");
        }
        assert_eq!(judge("[::1]:9470", Wish::Look, &[("host", "[::1]:9470")]), Ok(()));
        for host in ["evil.example:9470", "127.0.0.1.evil.example", ""] {
            let verdict = judge("127.0.0.1:9470", Wish::Look, &[("host", host)]);
            assert_eq!(verdict, Err(TurnedAway::Host), "{host}");
        }
    }

    #[test]
    fn elsewhere_looking_needs_the_token() {
        let bound = "192.0.2.1:9470";
        assert_eq!(
            judge(bound, Wish::Look, &[("host", "console.example")]),
            Err(TurnedAway::Token)
        );
        let wrong = [
            ("host", "console.example"),
            ("authorization", "Bearer 0123456789abcdeF"),
        ];
        assert_eq!(judge(bound, Wish::Look, &wrong), Err(TurnedAway::Token));
        let right = [
            ("host", "console.example"),
            ("authorization", "Bearer 0123456789abcdef"),
        ];
        assert_eq!(judge(bound, Wish::Look, &right), Ok(()));
    }

    #[test]
    fn changing_needs_the_token_and_our_own_page() {
        let bound = "127.0.0.1:9470";
        let (host, token) = (("host", "127.0.0.1:9470"), ("authorization", "Bearer 0123456789abcdef"));
        let origin = ("origin", "http://127.0.0.1:9470");
        assert_eq!(judge(bound, Wish::Change, &[host, token, origin]), Ok(()));
        assert_eq!(judge(bound, Wish::Change, &[host, origin]), Err(TurnedAway::Token));
        assert_eq!(judge(bound, Wish::Change, &[host, token]), Err(TurnedAway::Origin));
        for other in ["http://127.0.0.1:8080", "https://evil.example", "null"] {
            let verdict = judge(bound, Wish::Change, &[host, token, ("origin", other)]);
            assert_eq!(verdict, Err(TurnedAway::Origin), "{other}");
        }
        let from_elsewhere = [host, token, origin, ("sec-fetch-site", "cross-site")];
        assert_eq!(judge(bound, Wish::Change, &from_elsewhere), Err(TurnedAway::Origin));
    }

    #[test]
    fn a_short_token_is_refused() {
        let refused = Door::new("short", "127.0.0.1:1".parse().unwrap()).unwrap_err();
        assert_eq!(refused, ShortToken(5));
    }
}
