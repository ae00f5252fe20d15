//! Batches over HTTP/1.1, on a connection that is kept.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::Deserialize;

use super::Door;
use super::batch::{Batch, Encoding, NoAck, Retry};
use super::target::Target;

/// No answer of an edge is longer.
const LARGEST_ANSWER: usize = 64 * 1024;
const AGENT: &str = concat!("gosight-send/", env!("CARGO_PKG_VERSION"));

/// `POST /v1/events`
pub(super) struct HttpDoor {
    target: Target,
    connection: Option<SendRequest<Full<Bytes>>>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    success: bool,
    accepted_count: u64,
    #[serde(default)]
    errors: Vec<String>,
}

impl HttpDoor {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            connection: None,
        }
    }

    async fn exchange(&mut self, batch: &Batch) -> Result<Response<Bytes>, String> {
        let mut connection = match self.connection.take() {
            Some(kept) if kept.is_ready() => kept,
            _ => self.connect().await?,
        };
        let content_type = match batch.encoding {
            Encoding::Json => "application/json",
            Encoding::Protobuf => "application/x-protobuf",
        };
        let request = Request::post("/v1/events")
            .header(HOST, &self.target.authority)
            .header(CONTENT_TYPE, content_type)
            .header(USER_AGENT, AGENT)
            .body(Full::new(batch.body.clone()))
            .map_err(|error| error.to_string())?;
        let response = connection
            .send_request(request)
            .await
            .map_err(|error| error.to_string())?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, LARGEST_ANSWER)
            .collect()
            .await
            .map_err(|error| error.to_string())?;
        self.connection = Some(connection);
        Ok(Response::from_parts(parts, body.to_bytes()))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let stream = self.target.connect().await.map_err(|error| {
            let edge = &self.target.authority;
            format!("{edge}: {error}; does an edge listen there? --to names another")
        })?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

#[async_trait]
impl Door for HttpDoor {
    async fn send(&mut self, batch: &Batch) -> Result<(), NoAck> {
        let response = self.exchange(batch).await.map_err(NoAck::no_connection)?;
        judge(&response, batch.events)
    }
}

/// Whether an answer is the ack of so many events.
fn judge(response: &Response<Bytes>, events: u64) -> Result<(), NoAck> {
    let status = response.status();
    let answer: Option<Answer> = serde_json::from_slice(response.body()).ok();
    match answer {
        Some(answer) if status.is_success() && answer.success => NoAck::unless_whole(answer.accepted_count, events),
        answer => {
            let messages = answer.map(|answer| answer.errors.join("; ")).unwrap_or_default();
            Err(NoAck {
                reason: text(response.headers(), "x-gosight-reason")
                    .unwrap_or_else(|| format!("http_{}", status.as_u16())),
                message: format!("HTTP {}: {messages}", status.as_u16()),
                retry: match text(response.headers(), RETRY_AFTER.as_str()).and_then(|text| text.parse().ok()) {
                    Some(seconds) => Retry::After(Duration::from_secs(seconds)),
                    None if status.is_server_error() => Retry::Later,
                    None => Retry::Never,
                },
            })
        }
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http::Response;

    use super::judge;
    use crate::send::batch::Retry;

    fn response(status: u16, headers: &[(&str, &str)], body: &'static str) -> Response<Bytes> {
        let builder = Response::builder().status(status);
        headers
            .iter()
            .fold(builder, |builder, (name, value)| builder.header(*name, *value))
            .body(Bytes::from_static(body.as_bytes()))
            .unwrap()
    }

    #[test]
    fn only_a_whole_ack_is_one() {
        let ack = response(200, &[], r#"{"success":true,"accepted_count":3,"rejected_count":0}"#);
        assert_eq!(judge(&ack, 3), Ok(()));
        assert_eq!(judge(&ack, 4).unwrap_err().reason, "short_ack");
        assert_eq!(judge(&response(200, &[], "<html>"), 3).unwrap_err().reason, "http_200");
    }

    #[test]
    fn a_refusal_is_named_and_its_hint_kept() {
        let headers = [("x-gosight-reason", "rate_limited"), ("retry-after", "2")];
        let body = r#"{"success":false,"accepted_count":0,"rejected_count":3,"errors":["Rate limit exceeded"]}"#;
        let refused = judge(&response(429, &headers, body), 3).unwrap_err();
        assert_eq!(
            (refused.reason.as_str(), refused.retry),
            ("rate_limited", Retry::After(Duration::from_secs(2)))
        );
        assert!(refused.message.contains("Rate limit exceeded"));
        assert_eq!(judge(&response(401, &[], body), 3).unwrap_err().retry, Retry::Never);
        assert_eq!(judge(&response(502, &[], ""), 3).unwrap_err().retry, Retry::Later);
    }
}
