//! A staging topic to fill, an enricher to start and stop, and the topics that it fills to read.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gosight_config::EnricherSettings;
use gosight_enricher::{Assets, EnricherError, EnricherParts, serve};
use gosight_eventlog::embedded::{EmbeddedLog, EmbeddedOptions};
use gosight_eventlog::{Cleanup, EventLog, LogRecord, NewRecord, TimestampSource, TopicSpec};
use gosight_lifecycle::{Readiness, Shutdown};
use gosight_schemas::{BodyFormat, PrivacyRules, RawBatch, Transport, encode_raw_batch, headers, topics};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use uuid::Uuid;

pub(crate) const PROJECT: &str = "b0000000-0000-0000-0000-000000000001";
const DEADLINE: Duration = Duration::from_secs(30);
const RECEIVED_AT: i64 = 1_790_000_000_000;

/// A log with the contract's topics in a directory that vanishes.
pub(crate) struct Pipeline {
    pub(crate) log: Arc<dyn EventLog>,
    _directory: TempDir,
}

impl Pipeline {
    pub(crate) async fn new() -> Self {
        Self::with_raw_limit(2 << 20).await
    }

    /// The raw topic takes records of at most so many bytes.
    pub(crate) async fn with_raw_limit(raw_limit: u32) -> Self {
        let directory = TempDir::new().unwrap();
        let log = open(directory.path()).await;
        let topic = |name: &str, partitions, max_message_bytes, timestamps| TopicSpec {
            name: name.to_owned(),
            partitions,
            retention: Duration::from_secs(86_400),
            cleanup: Cleanup::Delete,
            max_message_bytes,
            timestamps,
        };
        log.create_topics(&[
            topic(topics::STAGING, 4, 5 << 20, TimestampSource::LogAppendTime),
            topic(topics::RAW, 4, raw_limit, TimestampSource::CreateTime),
            topic(topics::ERRORS, 1, 2 << 20, TimestampSource::CreateTime),
        ])
        .await
        .unwrap();
        Self {
            log,
            _directory: directory,
        }
    }

    /// Stages a batch as an edge does.
    pub(crate) async fn stage(&self, session: &str, events: &[Value]) {
        let batch = RawBatch {
            batch_id: Uuid::now_v7().to_string(),
            received_at: RECEIVED_AT,
            project_id: PROJECT.to_owned(),
            key_id: "key".to_owned(),
            session_id: session.to_owned(),
            user_id: None,
            transport: Transport::Http,
            body_format: BodyFormat::Json,
            body: json!({"project_key": "k", "session_id": session, "events": events})
                .to_string()
                .into(),
            event_count: i32::try_from(events.len()).unwrap(),
            sent_at: None,
            client_ip: Some("203.0.113.7".to_owned()),
            user_agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0".to_owned()),
            client_hints: BTreeMap::new(),
            accept_language: None,
            origin: None,
            referer: None,
            privacy: PrivacyRules::default(),
            traceparent: None,
        };
        self.stage_bytes(session, encode_raw_batch(&batch).unwrap()).await;
    }

    /// Stages whatever it is.
    pub(crate) async fn stage_bytes(&self, session: &str, value: impl Into<Bytes>) {
        let record = NewRecord {
            topic: topics::STAGING.into(),
            key: topics::session_key(PROJECT, session).into(),
            value: value.into(),
            headers: Vec::new(),
        };
        self.log.append(record).await.unwrap();
    }

    /// Everything on a topic.
    pub(crate) async fn read(&self, topic: &str) -> Vec<LogRecord> {
        let bounds = self.log.bounds(topic).await.unwrap();
        let starts: Vec<_> = bounds.iter().map(|bound| (bound.partition, bound.earliest)).collect();
        let mut reader = self.log.reader(topic, &starts).await.unwrap();
        let mut records = Vec::new();
        loop {
            let positions = reader.positions();
            let at_end = bounds.iter().all(|bound| {
                positions
                    .iter()
                    .any(|(number, offset)| *number == bound.partition && *offset >= bound.end)
            });
            if at_end {
                return records;
            }
            records.extend(reader.next(1000, Duration::from_secs(5)).await.unwrap());
        }
    }

    /// The events on raw, by session in their order.
    pub(crate) async fn events(&self) -> BTreeMap<String, Vec<i64>> {
        let mut by_session: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for record in self.read(topics::RAW).await {
            let event: Value = serde_json::from_slice(&record.value).unwrap();
            let session = event["session_id"].as_str().unwrap().to_owned();
            by_session
                .entry(session)
                .or_default()
                .push(event["payload"]["number"].as_i64().unwrap());
        }
        by_session
    }

    /// The codes on errors, in their order.
    pub(crate) async fn codes(&self) -> Vec<String> {
        let rejects = self.read(topics::ERRORS).await;
        rejects
            .iter()
            .map(|reject| String::from_utf8(reject.header(headers::CODE).unwrap().to_vec()).unwrap())
            .collect()
    }

    /// Waits until the group has consumed everything that is staged now.
    pub(crate) async fn consumed(&self, settings: &EnricherSettings) {
        let ends = self.log.bounds(topics::STAGING).await.unwrap();
        until("everything staged is consumed", || async {
            let committed = self
                .log
                .committed(&settings.consumer.group, topics::STAGING)
                .await
                .unwrap();
            ends.iter()
                .filter(|bound| bound.end > bound.earliest)
                .all(|bound| committed.contains(&(bound.partition, bound.end)))
                .then_some(())
        })
        .await;
    }

    pub(crate) fn start(&self, settings: &EnricherSettings) -> Running {
        Running::start(settings, Arc::clone(&self.log))
    }
}

/// An enricher at work.
pub(crate) struct Running {
    pub(crate) readiness: Readiness,
    shutdown: Shutdown,
    task: JoinHandle<Result<(), EnricherError>>,
}

impl Running {
    pub(crate) fn start(settings: &EnricherSettings, log: Arc<dyn EventLog>) -> Self {
        let (readiness, shutdown) = (Readiness::new(), Shutdown::new());
        let parts = EnricherParts {
            settings: settings.clone(),
            assets: Arc::new(Assets::load(settings).unwrap()),
            log,
            readiness: readiness.clone(),
        };
        let task = tokio::spawn(serve(parts, shutdown.clone()));
        Self {
            readiness,
            shutdown,
            task,
        }
    }

    pub(crate) async fn ready(&self) {
        until("the enricher is ready", || async {
            let report = self.readiness.report();
            (report.ready && !report.components.is_empty()).then_some(())
        })
        .await;
    }

    /// Waits until a lane says why it does not work, or works in a reduced way.
    pub(crate) async fn complains_of(&self, text: &str) {
        until(&format!("a lane complains of {text:?}"), || async {
            let components = self.readiness.report().components;
            components
                .iter()
                .any(|component| component.detail.as_deref().is_some_and(|detail| detail.contains(text)))
                .then_some(())
        })
        .await;
    }

    /// Stops in order.
    pub(crate) async fn stop(self) {
        self.shutdown.begin();
        self.ended().await.unwrap();
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(self) -> Result<(), EnricherError> {
        tokio::time::timeout(DEADLINE, self.task)
            .await
            .expect("it ends")
            .unwrap()
    }

    /// Stops in the middle of whatever it does.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn open(directory: &Path) -> Arc<dyn EventLog> {
    EmbeddedLog::open(directory, EmbeddedOptions::default()).await.unwrap()
}

/// Settings with small transactions, so that a stop comes between two of them.
pub(crate) fn settings() -> EnricherSettings {
    let mut settings = EnricherSettings::default();
    settings.consumer.instance_id = "test".to_owned();
    settings.consumer.lanes = 2;
    settings.transaction.max_events = 35;
    settings.transaction.max_wait = Duration::from_millis(50);
    settings
}

/// A click with a number that tells its place in the session.
pub(crate) fn click(number: i64) -> Value {
    json!({
        "event_id": Uuid::now_v7().to_string(), "type": "click", "timestamp": RECEIVED_AT,
        "payload": {"x": 1, "y": 2, "number": number}
    })
}

/// Waits for a condition.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
