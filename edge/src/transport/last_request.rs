//! The last request of an HTTP/1 connection when the process stops. Closing a kept-alive connection meets requests that are on their
//! way, and their senders could not tell whether they were taken. So it stays for one more, whose answer says that it was the last.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use gosight_lifecycle::Shutdown;
use http::header::CONNECTION;
use http::{HeaderValue, Version};

/// For so long after the stop has begun: a client in the middle of its work sends within it, an idle one notices the close.
pub(crate) const LAST_REQUEST: Duration = Duration::from_secs(1);

/// Says in each answer over HTTP/1, once the process stops, that the connection ends with it. HTTP/2 has GOAWAY.
pub(super) async fn tell(State(stopping): State<Shutdown>, request: Request, next: Next) -> Response {
    let is_http1 = request.version() < Version::HTTP_2;
    let mut response = next.run(request).await;
    if is_http1 && stopping.has_begun() {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Resolves when a body that is still arriving is no longer waited for: its sender gets an answer while there is time for one.
pub(super) async fn is_over(stopping: &Shutdown) {
    stopping.begun().await;
    tokio::time::sleep(LAST_REQUEST).await;
}
