//! The admin port through its socket. Alone in its process, whose subscriber is everyone's.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use gosight_config::telemetry::{LogFormat, LogSettings};
use gosight_lifecycle::admin::{self, AdminParts};
use gosight_lifecycle::{Readiness, Shutdown, telemetry};
use reqwest::{Client, Method, Response};
use serde_json::Value;
use tokio::net::TcpListener;

struct Port {
    url: String,
    client: Client,
}

impl Port {
    async fn ask(&self, method: Method, path: &str, body: &'static [u8]) -> Response {
        let request = self.client.request(method, format!("{}{path}", self.url));
        request.body(body).send().await.unwrap()
    }

    /// The status and the message of a JSON error.
    async fn refused(&self, method: Method, path: &str, body: &'static [u8]) -> (u16, String) {
        let response = self.ask(method, path, body).await;
        let status = response.status().as_u16();
        let error: Value = response.json().await.unwrap();
        (status, error["error"].as_str().unwrap().to_owned())
    }
}

#[tokio::test]
async fn an_operator_reads_and_changes_what_the_process_shows() {
    let log_filter = telemetry::init_logs(&LogSettings {
        format: LogFormat::Json,
        level: "warn".to_owned(),
    })
    .unwrap();
    let readiness = Readiness::new();
    let kafka = readiness.latch("kafka");
    let parts = AdminParts {
        readiness,
        metrics: telemetry::init_metrics().unwrap(),
        log_filter,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = Port {
        url: format!("http://{}", listener.local_addr().unwrap()),
        client: Client::new(),
    };
    let shutdown = Shutdown::new();
    let served = tokio::spawn(admin::serve(listener, parts, shutdown.clone()));

    assert_eq!(port.ask(Method::GET, "/health", b"").await.text().await.unwrap(), "OK");

    kafka.unready("no broker answers");
    let response = port.ask(Method::GET, "/ready", b"").await;
    assert_eq!(response.status(), 503);
    let report: Value = response.json().await.unwrap();
    assert_eq!(report["components"][0]["name"], "kafka");
    assert_eq!(report["components"][0]["detail"], "no broker answers");
    let metrics = port.ask(Method::GET, "/metrics", b"").await.text().await.unwrap();
    assert!(metrics.contains("component_ready{component=\"kafka\"} 0"), "{metrics}");
    assert_eq!(port.ask(Method::GET, "/health", b"").await.status(), 200, "it lives");
    kafka.stuck("nothing moves");
    let (status, message) = port.refused(Method::GET, "/health", b"").await;
    assert_eq!((status, message.as_str()), (503, "kafka: nothing moves"));
    kafka.ready();
    assert_eq!(port.ask(Method::GET, "/health", b"").await.status(), 200);
    assert_eq!(port.ask(Method::GET, "/ready", b"").await.status(), 200);

    let level = |response: Response| async move { (response.status().as_u16(), response.text().await.unwrap()) };
    let get = || async { level(port.ask(Method::GET, "/loglevel", b"").await).await };
    assert_eq!(get().await, (200, "warn".to_owned()));
    assert!(!tracing::enabled!(tracing::Level::DEBUG));
    let put = level(port.ask(Method::PUT, "/loglevel", b"info,admin=debug\n").await).await;
    assert_eq!(put, (200, "info,admin=debug".to_owned()));
    assert_eq!(get().await, put);
    assert!(tracing::enabled!(tracing::Level::DEBUG));
    assert!(!tracing::enabled!(target: "hyper", tracing::Level::DEBUG));

    for (wrong, says) in [
        (&b""[..], "it is empty"),
        (b"dbug", "\"dbug\" is no level"),
        (b"admin=loud", "\"admin=loud\" is no filter"),
        (b"\xff", "UTF-8"),
    ] {
        let (status, message) = port.refused(Method::PUT, "/loglevel", wrong).await;
        assert_eq!(status, 400, "{message}");
        assert!(
            message.contains(says) && message.contains("write for example info"),
            "{message}"
        );
    }
    let long = vec![b'x'; 100_000].leak();
    let (status, _) = port.refused(Method::PUT, "/loglevel", long).await;
    assert_eq!(status, 413);
    assert_eq!(get().await, put, "a bad filter leaves the one before");

    let (status, message) = port.refused(Method::GET, "/metric", b"").await;
    assert_eq!(status, 404);
    assert!(
        message.contains("/metric;") && message.contains("/metrics"),
        "{message}"
    );
    let (status, message) = port.refused(Method::POST, "/loglevel", b"info").await;
    assert_eq!(status, 405);
    assert!(message.contains("POST"), "{message}");

    shutdown.begin();
    served.await.unwrap().unwrap();
}
