//! Who sends, from headers: the same for HTTP, gRPC and gRPC-Web, whose metadata are headers too.

use std::net::SocketAddr;

use gosight_schemas::Transport;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use http::{Extensions, HeaderMap, HeaderValue};

use crate::client::Client;
use crate::ingest::{Ingest, Sender};
use crate::outcome::{Reason, Refusal};
use crate::socket::UnreadBody;

const PROJECT_KEY: HeaderName = HeaderName::from_static("x-project-key");
const GOSIGHT_KEY: HeaderName = HeaderName::from_static("x-gosight-key");
const SESSION_ID: HeaderName = HeaderName::from_static("x-session-id");

/// The connection that a request came by; the accept loop puts it into every request.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    pub(crate) unread: UnreadBody,
}

/// Reads the sender of a request.
pub(super) fn sender(ingest: &Ingest, headers: &HeaderMap, extensions: &Extensions, transport: Transport) -> Sender {
    let peer = extensions.get::<Connection>().map(|connection| connection.peer);
    Sender {
        transport,
        client: Client::from_headers(headers, peer, &ingest.proxies),
        key: header_key(headers),
        session_id: headers
            .get(SESSION_ID)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .filter(|session_id| !session_id.is_empty()),
    }
}

/// Which transport a request speaks, by its Content-Type.
pub(super) fn transport_of(headers: &HeaderMap) -> Transport {
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if content_type.starts_with(b"application/grpc-web") {
        Transport::GrpcWeb
    } else if content_type.starts_with(b"application/grpc") {
        Transport::Grpc
    } else {
        Transport::Http
    }
}

/// The key that the headers name: `X-Project-Key`, `X-GoSight-Key` or `Authorization: Bearer`. Other schemes of Authorization belong
/// to whoever stands in front of us. Several that agree are one.
fn header_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let named = headers
        .get_all(PROJECT_KEY)
        .iter()
        .chain(headers.get_all(GOSIGHT_KEY))
        .map(HeaderValue::as_bytes);
    let bearer = headers
        .get_all(AUTHORIZATION)
        .iter()
        .filter_map(|value| bearer_token(value.as_bytes()));
    let mut found: Option<&[u8]> = None;
    for key in named
        .chain(bearer)
        .map(<[u8]>::trim_ascii)
        .filter(|key| !key.is_empty())
    {
        match found {
            Some(other) if other != key => {
                return Err(Refusal::new(
                    Reason::KeyConflict,
                    "The headers name two keys that differ; send one",
                ));
            }
            _ => found = Some(key),
        }
    }
    found
        .map(|key| String::from_utf8(key.to_vec()).map_err(|_| Refusal::invalid_key()))
        .transpose()
}

fn bearer_token(value: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer ";
    let (scheme, token) = value.split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then_some(token)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::header_key;
    use crate::outcome::Reason;

    fn key(headers: &[(&'static str, &'static str)]) -> Result<Option<String>, Reason> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        header_key(&map).map_err(|refusal| refusal.reason())
    }

    #[test]
    fn each_place_of_a_key_is_read() {
        for header in [
            ("x-project-key", "gs_a"),
            ("x-gosight-key", "gs_a"),
            ("authorization", "Bearer gs_a"),
            ("authorization", "bearer  gs_a"),
        ] {
            assert_eq!(key(&[header]), Ok(Some("gs_a".to_owned())), "{header:?}");
        }
    }

    #[test]
    fn other_schemes_and_empty_values_are_no_key() {
        assert_eq!(key(&[]), Ok(None));
        assert_eq!(key(&[("authorization", "Basic Z3M6YQ==")]), Ok(None));
        assert_eq!(key(&[("authorization", "Bearer ")]), Ok(None));
        assert_eq!(key(&[("x-project-key", "")]), Ok(None));
    }

    #[test]
    fn keys_that_agree_are_one_and_keys_that_differ_are_none() {
        let same = [("x-project-key", "gs_a"), ("authorization", "Bearer gs_a")];
        assert_eq!(key(&same), Ok(Some("gs_a".to_owned())));
        let two = [("x-project-key", "gs_a"), ("authorization", "Bearer gs_b")];
        assert_eq!(key(&two), Err(Reason::KeyConflict));
    }
}
