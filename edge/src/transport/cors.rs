//! Cross-origin requests: any origin without credentials, or the origins of the configuration.

use gosight_config::edge::CorsSettings;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// What a page may send.
const ALLOWED: [&str; 10] = [
    "x-project-key",
    "x-gosight-key",
    "x-session-id",
    "x-request-id",
    "traceparent",
    // gRPC-Web
    "x-grpc-web",
    "x-user-agent",
    "grpc-timeout",
    "grpc-encoding",
    "grpc-accept-encoding",
];
/// What a page may read of an answer.
const EXPOSED: [&str; 8] = [
    "grpc-status",
    "grpc-message",
    "grpc-status-details-bin",
    "x-gosight-receipt",
    "x-gosight-reason",
    "x-request-id",
    "ratelimit",
    "ratelimit-policy",
];

pub(super) fn layer(settings: &CorsSettings) -> CorsLayer {
    let standard = [ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE];
    let allowed = standard.into_iter().chain(ALLOWED.map(HeaderName::from_static));
    let exposed = [RETRY_AFTER].into_iter().chain(EXPOSED.map(HeaderName::from_static));
    CorsLayer::new()
        .allow_origin(origins(&settings.allowed_origins))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(allowed.collect::<Vec<_>>())
        .expose_headers(exposed.collect::<Vec<_>>())
        .max_age(settings.max_age)
}

fn origins(allowed: &[String]) -> AllowOrigin {
    if allowed.iter().any(|origin| origin == "*") {
        return AllowOrigin::any();
    }
    // An origin that is no header value can't be sent by a browser either.
    AllowOrigin::list(allowed.iter().filter_map(|origin| HeaderValue::try_from(origin).ok()))
}
