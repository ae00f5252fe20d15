//! Records as they come, one JSON object a line.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::Stream;
use gosight_eventlog::{EventLog, LogError, LogRecord, PartitionBounds, Reader};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use crate::dlq::redact::redact;
use crate::tail::filter::Filter;
use crate::tail::{TopicChoice, pace, render};

/// Records that one look brings to the page at the most: more than a person reads.
const SHOWN_AT_ONCE: usize = 100;
/// Records of each partition that a page begins with, so that it is not empty.
const SHOWN_FIRST: i64 = 10;
const CHUNK: usize = 2_000;
const WAIT: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_secs(2);

/// Whether addresses and user ids are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Personal {
    Redacted,
    Shown,
}

/// One record for the page.
#[derive(Debug, Serialize)]
struct Item {
    topic: String,
    position: String,
    /// Unix ms.
    time_ms: i64,
    key: String,
    headers: BTreeMap<String, String>,
    value: Value,
    summary: Summary,
}

/// What a person sees before opening it.
#[derive(Debug, Default, Serialize)]
struct Summary {
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// What `where` is asked with.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

/// What to show.
pub(super) struct Wanted {
    pub(super) topic: String,
    pub(super) choice: TopicChoice,
    pub(super) filter: Filter,
    pub(super) personal: Personal,
}

/// What a stream is at.
enum At {
    Records(State),
    /// The log failed: the page has been told.
    End,
}

struct State {
    log: Arc<dyn EventLog>,
    wanted: Wanted,
    reader: Box<dyn Reader>,
    looked: Instant,
    /// One of the places that there are.
    _permit: OwnedSemaphorePermit,
}

/// Lines from the last few records of each partition on, until the log fails or the page goes. An empty line says that nothing came.
pub(super) async fn lines(
    log: Arc<dyn EventLog>,
    wanted: Wanted,
    permit: OwnedSemaphorePermit,
) -> Result<impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static, LogError> {
    let bounds = log.bounds(&wanted.topic).await?;
    let last = |bound: &PartitionBounds| (bound.partition, bound.earliest.max(bound.end - SHOWN_FIRST));
    let starts: Vec<(i32, i64)> = bounds.iter().map(last).collect();
    let reader = log.reader(&wanted.topic, &starts).await?;
    let state = State {
        log,
        wanted,
        reader,
        looked: Instant::now(),
        _permit: permit,
    };
    Ok(futures::stream::unfold(At::Records(state), |at| async move {
        let At::Records(mut state) = at else { return None };
        match state.next().await {
            Ok(lines) => Some((Ok(lines), At::Records(state))),
            Err(error) => {
                tracing::warn!(%error, "the console stopped showing records");
                let line = serde_json::json!({ "error": error.to_string() });
                Some((Ok(format!("{line}\n").into()), At::End))
            }
        }
    }))
}

impl State {
    async fn next(&mut self) -> Result<Bytes, LogError> {
        let mut skipped = self.keep_up().await?;
        let mut records = self.reader.next(CHUNK, WAIT).await?;
        let (filter, choice) = (&self.wanted.filter, self.wanted.choice);
        records.retain(|record| filter.lets_through(record, choice));
        records.sort_by_key(|record| record.timestamp_ms);
        let surplus = records.len().saturating_sub(SHOWN_AT_ONCE);
        skipped += surplus as u64;
        let mut lines = Vec::new();
        if skipped > 0 {
            lines.extend(format!("{{\"skipped\":{skipped}}}\n").into_bytes());
        }
        for record in &records[surplus..] {
            let item = item(record, choice, self.wanted.personal);
            if serde_json::to_writer(&mut lines, &item).is_ok() {
                lines.push(b'\n');
            }
        }
        if lines.is_empty() {
            lines.push(b'\n');
        }
        Ok(lines.into())
    }

    /// How many records were passed over because they come faster than they can be shown.
    async fn keep_up(&mut self) -> Result<u64, LogError> {
        if self.looked.elapsed() < LOOK {
            return Ok(0);
        }
        self.looked = Instant::now();
        let (positions, bounds) = (self.reader.positions(), self.log.bounds(&self.wanted.topic).await?);
        let behind = pace::behind(&positions, &bounds);
        if behind <= pace::FAR_BEHIND {
            return Ok(0);
        }
        let skip = pace::to_end(&positions, &bounds);
        self.reader = self.log.reader(&self.wanted.topic, &skip.starts).await?;
        Ok(skip.records)
    }
}

fn item(record: &LogRecord, choice: TopicChoice, personal: Personal) -> Item {
    let mut value: Value = serde_json::from_str(&render::value(record, choice)).unwrap_or(Value::Null);
    let summary = summary(&value, record, choice);
    if personal == Personal::Redacted {
        redact(&mut value);
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Item {
        topic: record.position.topic.to_string(),
        position: record.position.to_string(),
        time_ms: record.timestamp_ms,
        key: text(record.key.as_deref().unwrap_or_default()),
        headers: record
            .headers
            .iter()
            .map(|header| (header.name.to_string(), text(&header.value)))
            .collect(),
        value,
        summary,
    }
}

fn summary(value: &Value, record: &LogRecord, choice: TopicChoice) -> Summary {
    let field = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let session = field("/session_id").filter(|session| !session.is_empty());
    match choice {
        TopicChoice::Raw => Summary {
            what: field("/type"),
            session,
            detail: field("/page/url"),
            id: field("/event_id"),
        },
        TopicChoice::Errors => Summary {
            what: field("/code"),
            session,
            detail: field("/message"),
            id: field("/origin").and_then(|origin| origin.rsplit_once(':').map(|(batch, _)| batch.to_owned())),
        },
        TopicChoice::Staging => Summary {
            what: value.get("event_count").map(|count| format!("batch of {count}")),
            session,
            detail: field("/transport"),
            id: Some(record.position.to_string()),
        },
        TopicChoice::Replay => Summary {
            session,
            ..Summary::default()
        },
    }
}
