//! Where a test stands: an engine, names of its own, and what tests do with a log again and again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::future::join_all;
use gosight_config::kafka::KafkaSettings;
use gosight_eventlog::embedded::{EmbeddedLog, EmbeddedOptions};
use gosight_eventlog::kafka::KafkaLog;
use gosight_eventlog::{
    Cleanup, EventLog, Lane, LaneOptions, LogRecord, NewRecord, Position, TimestampSource, TopicSpec,
};
use tempfile::TempDir;
use tokio::time::Instant;

/// Longer than anything may take; a wait that reaches it fails its test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);
/// What a bench's staging topic is called, where it has one.
pub(crate) const STAGING: &str = "staging";
/// The session timeout of lanes: short, so that tests see soon that a member is dead.
pub(crate) const SESSION: Duration = Duration::from_secs(2);
/// The limit of topics that ask for no other.
pub(crate) const MAX_MESSAGE_BYTES: u32 = 4 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Kafka,
    Embedded,
}

/// A test's ground. Names made by it are unique over all tests and runs.
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    /// The test's full name, by which a child process runs it again.
    pub(crate) test: &'static str,
    unique: String,
    directory: PathBuf,
    _temporary: Option<TempDir>,
}

impl Bench {
    /// The ground of a test, or in a child process that of its parent.
    pub(crate) fn new(engine: Engine, test: &'static str) -> Self {
        static BENCHES: AtomicU32 = AtomicU32::new(0);
        // The first segment is this binary's name, which libtest leaves out.
        let test = test.split_once("::").map_or(test, |(_, test)| test);
        let temporary = std::env::var_os(crate::child::DIRECTORY)
            .is_none()
            .then(|| tempfile::tempdir().unwrap());
        let directory = match &temporary {
            Some(temporary) => temporary.path().to_owned(),
            None => std::env::var_os(crate::child::DIRECTORY).unwrap().into(),
        };
        Self {
            engine,
            test,
            unique: format!(
                "t{}-{}-{}",
                now_ms(),
                std::process::id(),
                BENCHES.fetch_add(1, Ordering::Relaxed)
            ),
            directory,
            _temporary: temporary,
        }
    }

    /// Where the embedded engine keeps its file.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Opens the log. The embedded one must be closed before it is opened again.
    pub(crate) async fn open(&self) -> Arc<dyn EventLog> {
        match self.engine {
            Engine::Kafka => {
                let mut settings = kafka_settings();
                settings.topics.staging = self.name(STAGING);
                KafkaLog::connect(&settings, &self.unique).unwrap()
            }
            Engine::Embedded => EmbeddedLog::open(&self.directory, EmbeddedOptions::default())
                .await
                .unwrap(),
        }
    }

    /// A handle that has not been told anything: on Kafka another one, else the same.
    pub(crate) async fn another_handle(&self, log: &Arc<dyn EventLog>) -> Arc<dyn EventLog> {
        match self.engine {
            Engine::Kafka => self.open().await,
            Engine::Embedded => Arc::clone(log),
        }
    }

    pub(crate) fn name(&self, suffix: &str) -> String {
        format!("{}-{suffix}", self.unique)
    }

    pub(crate) fn spec(&self, suffix: &str, partitions: i32) -> TopicSpec {
        TopicSpec {
            name: self.name(suffix),
            partitions,
            retention: Duration::from_secs(3_600),
            cleanup: Cleanup::Delete,
            max_message_bytes: MAX_MESSAGE_BYTES,
            timestamps: TimestampSource::LogAppendTime,
        }
    }

    /// Creates a topic of this test.
    pub(crate) async fn topic(&self, log: &Arc<dyn EventLog>, suffix: &str, partitions: i32) -> Arc<str> {
        create(log, self.spec(suffix, partitions)).await
    }

    /// The options of this test's lane of that name. All lanes of a test are one group.
    pub(crate) fn lane_options(&self, topic: &str, lane: &str) -> LaneOptions {
        LaneOptions {
            group: self.name("group"),
            topic: topic.to_owned(),
            transactional_id: self.name(lane),
            session_timeout: SESSION,
            transaction_timeout: Duration::from_secs(5),
        }
    }

    /// A new topic of one partition whose records may have a mebibyte.
    pub(crate) async fn small_topic(&self, log: &Arc<dyn EventLog>) -> Arc<str> {
        let small = TopicSpec {
            max_message_bytes: 1 << 20,
            ..self.spec("small", 1)
        };
        create(log, small).await
    }

    pub(crate) async fn lane(&self, log: &Arc<dyn EventLog>, topic: &str, lane: &str) -> Box<dyn Lane> {
        log.lane(self.lane_options(topic, lane)).await.unwrap()
    }
}

/// Kafka as the environment names it.
pub(crate) fn kafka_settings() -> KafkaSettings {
    let brokers = std::env::var("KAFKA_BROKERS").unwrap_or_default();
    assert!(
        !brokers.is_empty(),
        "KAFKA_BROKERS is not set: start a Kafka by `make services` and read its address by `. .services/env`"
    );
    KafkaSettings {
        brokers: brokers.split(',').map(str::to_owned).collect(),
        ..KafkaSettings::default()
    }
}

pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// Bytes that no compression makes smaller.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

pub(crate) async fn create(log: &Arc<dyn EventLog>, spec: TopicSpec) -> Arc<str> {
    let name: Arc<str> = spec.name.as_str().into();
    log.create_topics(&[spec]).await.unwrap();
    name
}

pub(crate) fn record(topic: &Arc<str>, key: &str, value: impl Into<Vec<u8>>) -> NewRecord {
    NewRecord {
        topic: Arc::clone(topic),
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::from(value.into()),
        headers: Vec::new(),
    }
}

/// Queues all records in order and waits until the last is durable.
pub(crate) async fn append_all(log: &Arc<dyn EventLog>, records: impl IntoIterator<Item = NewRecord>) -> Vec<Position> {
    let queued: Vec<_> = records.into_iter().map(|record| log.append(record)).collect();
    join_all(queued).await.into_iter().collect::<Result<_, _>>().unwrap()
}

/// `count` records with keys `key-0` to `key-(keys - 1)` in turn; the value is the record's number.
pub(crate) fn numbered(topic: &Arc<str>, keys: usize, numbers: std::ops::Range<usize>) -> Vec<NewRecord> {
    numbers
        .map(|number| record(topic, &format!("key-{}", number % keys), number.to_string()))
        .collect()
}

/// All committed records of a topic as it stands.
pub(crate) async fn read_all(log: &Arc<dyn EventLog>, topic: &str) -> Vec<LogRecord> {
    let bounds = log.bounds(topic).await.unwrap();
    let starts: Vec<_> = bounds.iter().map(|bound| (bound.partition, bound.earliest)).collect();
    let ends: HashMap<_, _> = bounds.iter().map(|bound| (bound.partition, bound.end)).collect();
    let mut reader = log.reader(topic, &starts).await.unwrap();
    let mut records = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let positions = reader.positions();
        if positions.iter().all(|(partition, offset)| *offset >= ends[partition]) {
            return records;
        }
        assert!(
            Instant::now() < deadline,
            "the reader of {topic} stands at {positions:?} and does not reach the end {ends:?}"
        );
        records.extend(reader.next(1_000, Duration::from_millis(200)).await.unwrap());
    }
}

/// The same when there are at least `count`: a commit that has succeeded may take a moment until readers see it, since Kafka
/// writes its markers after the answer.
pub(crate) async fn read_count(log: &Arc<dyn EventLog>, topic: &str, count: usize) -> Vec<LogRecord> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let records = read_all(log, topic).await;
        if records.len() >= count {
            return records;
        }
        assert!(
            Instant::now() < deadline,
            "{} of {count} records are on {topic}",
            records.len()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) fn text(record: &LogRecord) -> String {
    String::from_utf8(record.value.to_vec()).unwrap()
}

pub(crate) fn texts(records: &[LogRecord]) -> Vec<String> {
    records.iter().map(text).collect()
}

pub(crate) fn numbers(records: &[LogRecord]) -> Vec<usize> {
    records.iter().map(|record| text(record).parse().unwrap()).collect()
}

/// Asserts that the numbers of each key rise.
pub(crate) fn assert_order_per_key(records: &[LogRecord]) {
    let mut last = HashMap::new();
    for record in records {
        let number: usize = text(record).parse().unwrap();
        if let Some(before) = last.insert(record.key.clone(), number) {
            assert!(before < number, "{:?}: {number} came after {before}", record.key);
        }
    }
}

/// Asserts that the records are exactly the numbers of the range, each once.
pub(crate) fn assert_each_once(records: &[LogRecord], range: std::ops::Range<usize>) {
    let mut found = numbers(records);
    found.sort_unstable();
    let doubled: Vec<_> = found
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .map(|pair| pair[0])
        .collect();
    assert_eq!(doubled, [0; 0], "these came more than once");
    let missing: Vec<_> = range
        .clone()
        .filter(|number| found.binary_search(number).is_err())
        .collect();
    assert_eq!(missing, [0; 0], "these did not come");
    assert_eq!(found.len(), range.len());
}
