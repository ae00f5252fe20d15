//! The page's files, built into the binary: nothing is loaded from elsewhere.

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

/// Path, type and content.
const FILES: [(&str, &str, &[u8]); 11] = [
    ("", "text/html; charset=utf-8", include_bytes!("assets/index.html")),
    ("icon.svg", "image/svg+xml", include_bytes!("assets/icon.svg")),
    (
        "console.css",
        "text/css; charset=utf-8",
        include_bytes!("assets/console.css"),
    ),
    ("app.js", JAVASCRIPT, include_bytes!("assets/app.js")),
    ("api.js", JAVASCRIPT, include_bytes!("assets/api.js")),
    ("dom.js", JAVASCRIPT, include_bytes!("assets/dom.js")),
    ("flow.js", JAVASCRIPT, include_bytes!("assets/flow.js")),
    ("dead-letters.js", JAVASCRIPT, include_bytes!("assets/dead-letters.js")),
    ("live.js", JAVASCRIPT, include_bytes!("assets/live.js")),
    ("try.js", JAVASCRIPT, include_bytes!("assets/try.js")),
    ("grpc-web.js", JAVASCRIPT, include_bytes!("assets/grpc-web.js")),
];

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// The file of a path such as `/app.js`.
pub(super) fn file(path: &str) -> Option<Response> {
    let name = path.strip_prefix('/')?;
    let (_, content_type, content) = FILES.iter().find(|(file, ..)| *file == name)?;
    // A new version of the program brings new files under the same names.
    Some(([(CONTENT_TYPE, *content_type), (CACHE_CONTROL, "no-cache")], *content).into_response())
}

/// What the page may load and reach: its own files, its own server, and the edge that Try it sends to.
pub(super) fn content_security_policy(edge: Option<&str>) -> String {
    let edge = edge.unwrap_or_default();
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' {edge}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}
