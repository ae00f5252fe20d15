//! Web origins that may send from a browser: one, or many by a wildcard.

use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// A pattern of origins: `https://shop.example`, `https://*.shop.example` (every host below it, not itself), `http://localhost:*`
/// (every port), `null` (pages without an origin, such as files and sandboxed frames), `*` (any).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginPattern(Pattern);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Any,
    Null,
    Origins { scheme: String, host: Host, port: Port },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Is(String),
    /// With its leading dot.
    EndsWith(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Port {
    Any,
    /// None is the scheme's own.
    Is(Option<u16>),
}

impl OriginPattern {
    /// Any origin.
    pub const ANY: Self = Self(Pattern::Any);

    /// Whether it is `*`.
    pub fn is_any(&self) -> bool {
        self.0 == Pattern::Any
    }

    /// Whether an `Origin` header names one of these. Browsers write origins in lower case and without the scheme's own port, and are
    /// compared as they do.
    pub fn matches(&self, origin: &str) -> bool {
        match &self.0 {
            Pattern::Any => true,
            Pattern::Null => origin == "null",
            Pattern::Origins { scheme, host, port } => {
                let Some((of_scheme, authority)) = origin.split_once("://") else {
                    return false;
                };
                let Some((of_host, of_port)) = host_and_port(authority) else {
                    return false;
                };
                of_scheme == scheme
                    && match port {
                        Port::Any => of_port.is_none_or(|text| port_of(text).is_some()),
                        Port::Is(port) => of_port.map(port_of) == port.map(Some),
                    }
                    && match host {
                        Host::Is(host) => of_host == host,
                        Host::EndsWith(end) => of_host.strip_suffix(end.as_str()).is_some_and(is_name),
                    }
            }
        }
    }
}

impl FromStr for OriginPattern {
    type Err = &'static str;

    /// # Errors
    /// What is wrong, and what to write.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "*" => return Ok(Self(Pattern::Any)),
            "null" => return Ok(Self(Pattern::Null)),
            _ => {}
        }
        let text = text.to_ascii_lowercase();
        let Some((scheme, authority)) = text.split_once("://") else {
            return Err(
                "is no origin; write for example https://shop.example, https://*.shop.example, or \"*\" for any",
            );
        };
        if !scheme.starts_with(|letter: char| letter.is_ascii_lowercase())
            || !scheme
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter))
        {
            return Err("has no scheme that a browser sends; write for example https://shop.example");
        }
        if authority.contains(['/', '?', '#', '@']) {
            return Err("is more than an origin; write it without a path or a user, for example https://shop.example");
        }
        let Some((host, port)) = host_and_port(authority) else {
            return Err("has no host that can be read; write for example https://shop.example or http://[::1]:8080");
        };
        let port = match port {
            None => Port::Is(None),
            Some("*") => Port::Any,
            Some(text) => match port_of(text) {
                Some(port) if Some(port) == own_port(scheme) => {
                    return Err("names the scheme's own port, which browsers leave out; write it without the port");
                }
                Some(port) => Port::Is(Some(port)),
                None => return Err("has a port that is none; write 1 to 65535, or :* for any"),
            },
        };
        let host = match host.strip_prefix("*.") {
            Some(parent) if is_name(parent) => Host::EndsWith(format!(".{parent}")),
            None if is_name(host) || host.starts_with('[') => Host::Is(host.to_owned()),
            _ => {
                return Err(
                    "has a host that can't be read; a wildcard stands for the whole beginning, as in https://*.shop.example, and a name \
                     with other letters is written as xn--…",
                );
            }
        };
        Ok(Self(Pattern::Origins {
            scheme: scheme.to_owned(),
            host,
            port,
        }))
    }
}

/// A type of its own, so that an error has the place of the item.
impl<'de> Deserialize<'de> for OriginPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// `shop.example:8080`, `[::1]:8080`
fn host_and_port(authority: &str) -> Option<(&str, Option<&str>)> {
    let end_of_host = match authority.strip_prefix('[') {
        Some(rest) => {
            let end = rest.find(']')?;
            rest[..end].parse::<std::net::Ipv6Addr>().ok()?;
            end + 2
        }
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end_of_host);
    if host.is_empty() {
        return None;
    }
    match port {
        "" => Some((host, None)),
        port => Some((host, Some(port.strip_prefix(':')?))),
    }
}

fn port_of(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain)
}

fn own_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// Labels with dots between them.
fn is_name(host: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte))
    };
    host.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::OriginPattern;

    fn pattern(text: &str) -> OriginPattern {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_pattern_takes_its_origins_and_no_others() {
        for (text, taken, refused) in [
            ("*", &["https://a.example", "null"][..], &[][..]),
            ("null", &["null"], &["https://null", ""]),
            (
                "https://shop.example",
                &["https://shop.example"],
                &[
                    "http://shop.example",
                    "https://shop.example:8443",
                    "https://www.shop.example",
                    "https://shop.example.evil.example",
                    "https://evilshop.example",
                    "https://SHOP.example",
                    "https://shop.example/",
                    "null",
                ],
            ),
            ("HTTPS://Shop.Example", &["https://shop.example"], &[]),
            (
                "https://*.shop.example",
                &["https://a.shop.example", "https://a.b.shop.example"],
                &[
                    "https://shop.example",
                    "https://.shop.example",
                    "https://evilshop.example",
                    "https://a.shop.example.evil.example",
                    "https://evil.example/.shop.example",
                    "https://evil.example?.shop.example",
                    "https://user@a.shop.example",
                    "https://a.shop.example:8443",
                    "http://a.shop.example",
                ],
            ),
            (
                "http://localhost:*",
                &["http://localhost", "http://localhost:3000"],
                &[
                    "http://localhost:",
                    "http://localhost:x",
                    "http://localhost:99999",
                    "http://localhost.evil.example:3000",
                    "https://localhost:3000",
                ],
            ),
            (
                "https://*.shop.example:8443",
                &["https://a.shop.example:8443"],
                &["https://a.shop.example", "https://a.shop.example:8444"],
            ),
            (
                "http://[::1]:8080",
                &["http://[::1]:8080"],
                &["http://[::1]", "http://[::2]:8080"],
            ),
            (
                "capacitor://localhost",
                &["capacitor://localhost"],
                &["http://localhost"],
            ),
        ] {
            for origin in taken {
                assert!(pattern(text).matches(origin), "{text} {origin}");
            }
            for origin in refused {
                assert!(!pattern(text).matches(origin), "{text} {origin}");
            }
        }
    }

    #[test]
    fn what_no_browser_could_send_is_refused() {
        for text in [
            "",
            "shop.example",
            "*.shop.example",
            "https://",
            "https://*",
            "https://*shop.example",
            "https://sh*p.example",
            "https://a.*.example",
            "https://*.*.example",
            "https://shop.example/",
            "https://shop.example/path",
            "https://user@shop.example",
            "https://shop.example:443",
            "http://shop.example:80",
            "https://shop.example:0",
            "https://shop.example:99999",
            "https://shop.example:",
            "https://bücher.example",
            "https://[::1",
            "https://shop..example",
            "1s://shop.example",
        ] {
            assert!(text.parse::<OriginPattern>().is_err(), "{text}");
        }
    }
}
