//! An edge on ports of its own, over a log in memory that can fail as the test wishes, and clients that speak to it.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

pub mod frames;
pub mod log;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gosight_config::EdgeSettings;
use gosight_edge::admission::{Grant, KeyDirectory, KeyStore, KeyStoreError, LocalLimiter, StoredKey, key_hash};
use gosight_edge::{EdgeError, EdgeParts, Listeners, Live, Tls, serve};
use gosight_lifecycle::{Readiness, Shutdown};
use gosight_proto::ingest_service_client::IngestServiceClient;
use gosight_proto::{Event, EventBatch, SessionMeta};
use gosight_schemas::PrivacyRules;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use self::log::MemoryLog;

pub const KEY: &str = "gs_test_key_of_the_transport";
pub const PROJECT: &str = "b0000000-0000-0000-0000-000000000001";
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A running edge.
pub struct Edge {
    pub log: Arc<MemoryLog>,
    /// `http://address:port`
    pub http: String,
    /// `http://address:port`
    pub grpc: String,
    pub live: Live,
    pub readiness: Readiness,
    pub shutdown: Shutdown,
    pub served: JoinHandle<Result<(), EdgeError>>,
}

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {:?}", self.text))
    }
}

impl Edge {
    pub async fn start() -> Self {
        Self::start_with(EdgeSettings::default()).await
    }

    /// Without the wait for a balancer.
    pub async fn start_with(mut settings: EdgeSettings) -> Self {
        settings.server.drain_delay = Duration::ZERO;
        Self::start_as_configured(settings).await
    }

    pub async fn start_as_configured(settings: EdgeSettings) -> Self {
        let log = MemoryLog::new();
        let listeners = Listeners {
            http: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            grpc: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        };
        let (http, grpc) = (
            format!("http://{}", listeners.http.local_addr().unwrap()),
            format!("http://{}", listeners.grpc.local_addr().unwrap()),
        );
        let shutdown = Shutdown::new();
        let (live, readiness) = (Live::new(&settings), Readiness::new());
        let parts = EdgeParts {
            keys: KeyDirectory::new(&settings.keys, Arc::new(OneKey), None),
            limiter: Arc::new(LocalLimiter::new(&live)),
            live: live.clone(),
            log: Arc::clone(&log) as _,
            log_name: "log",
            readiness: readiness.clone(),
            tls: Tls::load(&settings.server.tls).unwrap(),
            settings,
        };
        let served = tokio::spawn(serve(parts, listeners, shutdown.clone()));
        Self {
            log,
            http,
            grpc,
            live,
            readiness,
            shutdown,
            served,
        }
    }

    pub fn request(&self, path: &str) -> reqwest::RequestBuilder {
        reqwest::Client::new().post(format!("{}{path}", self.http))
    }

    pub async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        answer(self.request(path).body(body)).await
    }

    pub async fn client(&self) -> IngestServiceClient<Channel> {
        IngestServiceClient::connect(self.grpc.clone()).await.unwrap()
    }

    /// Begins the shutdown and waits until the edge has ended.
    pub async fn stop(self) {
        self.shutdown.begin();
        let ended = tokio::time::timeout(DEADLINE, self.served).await;
        ended.expect("the edge ends in time").unwrap().unwrap();
    }
}

pub async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.timeout(DEADLINE).send().await.unwrap();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.text().await.unwrap(),
    }
}

/// A batch of `/v1/events`, of one event.
pub fn json_batch(key: &str, session: &str) -> String {
    let event = json!({ "type": "page_view", "timestamp": 1_700_000_000_000_i64 });
    json!({ "project_key": key, "session_id": session, "events": [event] }).to_string()
}

/// A batch of gRPC.
pub fn batch(key: &str, session: &str, events: usize) -> EventBatch {
    EventBatch {
        project_key: key.to_owned(),
        session: Some(SessionMeta {
            session_id: session.to_owned(),
            ..SessionMeta::default()
        }),
        events: vec![Event::default(); events],
        sent_at: 0,
    }
}

/// A store that knows one key.
struct OneKey;

#[async_trait]
impl KeyStore for OneKey {
    async fn find(&self, hash: &str) -> Result<Option<StoredKey>, KeyStoreError> {
        let stored = StoredKey {
            grant: Grant {
                project_id: PROJECT.into(),
                key_id: "key-1".into(),
                privacy: PrivacyRules::default(),
                requests_per_minute: Some(3),
            },
            is_active: true,
            permits_ingest: true,
            expires_at_ms: None,
        };
        Ok((hash == key_hash(KEY)).then_some(stored))
    }
}
