//! Cross-origin requests: any origin, or the origins of the configuration, without credentials. Only a preflight allows them: browsers
//! send every beacon with credentials, and drop one of JSON otherwise. No page can read an answer to a request with credentials, and
//! the edge reads no cookies.

use gosight_config::OriginPattern;
use gosight_config::edge::CorsSettings;
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use tower_http::cors::{AllowCredentials, AllowOrigin, CorsLayer};

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
        .allow_credentials(AllowCredentials::predicate(|_, request| {
            request.method == Method::OPTIONS
        }))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(allowed.collect::<Vec<_>>())
        .expose_headers(exposed.collect::<Vec<_>>())
        .max_age(settings.max_age)
}

/// Where an origin decides, tower-http says `Vary: Origin` on every answer.
fn origins(allowed: &[OriginPattern]) -> AllowOrigin {
    if allowed.iter().any(OriginPattern::is_any) {
        // By its name: a preflight with credentials may not be answered with `*`.
        return AllowOrigin::mirror_request();
    }
    let allowed = allowed.to_vec();
    AllowOrigin::predicate(move |origin, _| {
        origin
            .to_str()
            .is_ok_and(|origin| allowed.iter().any(|pattern| pattern.matches(origin)))
    })
}
