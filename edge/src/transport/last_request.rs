//! The last request of an HTTP/1 connection when the process stops. Closing a kept-alive connection meets requests that are on their
//! way, and their senders could not tell whether they were taken. So it stays for one more, whose answer says that it was the last.

use std::time::Duration;

use axum::response::Response;
use gosight_lifecycle::Shutdown;
use http::header::CONNECTION;
use http::{HeaderValue, Version};

/// For so long after the stop has begun: a client in the middle of its work sends within it, an idle one notices the close.
pub(crate) const LAST_REQUEST: Duration = Duration::from_secs(1);

/// Says in an answer over HTTP/1, once the process stops, that the connection ends with it. HTTP/2 has GOAWAY.
pub(super) fn tell(response: &mut Response, version: Version, stopping: &Shutdown) {
    if version < Version::HTTP_2 && stopping.has_begun() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
}

/// Resolves when a body that is still arriving is no longer waited for: its sender gets an answer while there is time for one.
pub(super) async fn is_over(stopping: &Shutdown) {
    stopping.begun().await;
    tokio::time::sleep(LAST_REQUEST).await;
}
