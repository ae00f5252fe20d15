//! Reads the topics along while someone looks, and counts.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gosight_config::kafka::TopicNames;
use gosight_eventlog::{EventLog, LogError, LogRecord};
use gosight_schemas::event_count;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::seconds::{Came, Second, Seconds};
use crate::tail::pace;

/// Reading ends when nobody has asked for so long.
const UNWATCHED: i64 = 30;
const CHUNK: usize = 5_000;
const WAIT: Duration = Duration::from_millis(500);
/// How often it is looked whether the reading keeps up.
const LOOK: Duration = Duration::from_secs(5);

/// What the page Flow shows.
#[derive(Debug, Serialize)]
pub(super) struct FlowNow {
    pub(super) seconds: Vec<Second>,
    /// Of the last seconds in which something came.
    pub(super) latency_ms: Option<Latency>,
    pub(super) lag: Vec<Lag>,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Latency {
    p50: u64,
    p99: u64,
}

/// Staged batches that wait in a partition.
#[derive(Debug, Serialize)]
pub(super) struct Lag {
    partition: i32,
    lag: i64,
}

/// The counts, and whether someone looks at them.
pub(super) struct Flow {
    log: Arc<dyn EventLog>,
    topics: TopicNames,
    group: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    seconds: Mutex<Seconds>,
    /// Unix seconds.
    asked: AtomicI64,
    reads: AtomicBool,
}

#[derive(Deserialize)]
struct OnRaw {
    server_timestamp: i64,
}

impl Flow {
    pub(super) fn new(log: Arc<dyn EventLog>, topics: TopicNames, group: String) -> Self {
        Self {
            log,
            topics,
            group,
            shared: Arc::default(),
        }
    }

    /// What flows now. The first question begins the reading.
    pub(super) async fn now(&self) -> Result<FlowNow, LogError> {
        let now = unix_seconds();
        self.shared.asked.store(now, Ordering::Relaxed);
        if !self.shared.reads.swap(true, Ordering::Relaxed) {
            tokio::spawn(read_along(
                Arc::clone(&self.log),
                self.topics.clone(),
                Arc::clone(&self.shared),
            ));
        }
        let lag = self.lag().await?;
        let seconds = self
            .shared
            .seconds
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .up_to(now);
        let latest = seconds.iter().rev().take(10).find_map(|second| {
            Some(Latency {
                p50: second.p50_ms?,
                p99: second.p99_ms?,
            })
        });
        Ok(FlowNow {
            seconds,
            latency_ms: latest,
            lag,
        })
    }

    async fn lag(&self) -> Result<Vec<Lag>, LogError> {
        let staging = &self.topics.staging;
        let (bounds, committed) =
            futures::try_join!(self.log.bounds(staging), self.log.committed(&self.group, staging))?;
        let lag = |bound: &gosight_eventlog::PartitionBounds| {
            let reached = committed.iter().find(|(partition, _)| *partition == bound.partition);
            let next = reached.map_or(bound.earliest, |(_, next)| (*next).max(bound.earliest));
            Lag {
                partition: bound.partition,
                lag: (bound.end - next).max(0),
            }
        };
        Ok(bounds.iter().map(lag).collect())
    }
}

/// Reads all three or none: where one fails the others end too, so that the next question begins all of them anew and none twice.
async fn read_along(log: Arc<dyn EventLog>, topics: TopicNames, shared: Arc<Shared>) {
    let along = |topic| counted(&*log, &topics, topic, &shared);
    let read = futures::try_join!(along(&topics.staging), along(&topics.events), along(&topics.errors));
    if let Err(error) = read {
        tracing::warn!(%error, "the console stopped counting; it begins anew when the page asks");
    }
    shared.reads.store(false, Ordering::Relaxed);
}

async fn counted(log: &dyn EventLog, topics: &TopicNames, topic: &str, shared: &Shared) -> Result<(), LogError> {
    let ends = |bounds: Vec<gosight_eventlog::PartitionBounds>| -> Vec<(i32, i64)> {
        bounds.iter().map(|bound| (bound.partition, bound.end)).collect()
    };
    let mut reader = log.reader(topic, &ends(log.bounds(topic).await?)).await?;
    let mut looked = std::time::Instant::now();
    while unix_seconds() - shared.asked.load(Ordering::Relaxed) < UNWATCHED {
        let records = reader.next(CHUNK, WAIT).await?;
        let now = unix_seconds();
        {
            let mut seconds = shared.seconds.lock().unwrap_or_else(PoisonError::into_inner);
            for record in &records {
                seconds.count(came(record, topics, topic), now);
            }
        }
        if looked.elapsed() >= LOOK {
            looked = std::time::Instant::now();
            let bounds = log.bounds(topic).await?;
            // Counts of the past would be shown as those of now.
            if pace::behind(&reader.positions(), &bounds) > pace::FAR_BEHIND {
                reader = log.reader(topic, &ends(bounds)).await?;
            }
        }
    }
    Ok(())
}

fn came(record: &LogRecord, topics: &TopicNames, topic: &str) -> Came {
    if topic == topics.staging {
        return Came::Staged(event_count(&record.value).unwrap_or(1).into());
    }
    if topic == topics.errors {
        return Came::Error;
    }
    let latency = serde_json::from_slice::<OnRaw>(&record.value)
        .map_or(0, |event| record.timestamp_ms.saturating_sub(event.server_timestamp));
    Came::Raw(u64::try_from(latency).unwrap_or(0))
}

fn unix_seconds() -> i64 {
    Timestamp::now().as_second()
}
