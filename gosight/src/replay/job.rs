//! A replay as it stands on the ledger: what was asked for, and how far it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use gosight_eventlog::{EventLog, NewRecord};
use gosight_schemas::ledger::{JobEntry, JobKind, JobPosition, JobState, LedgerEntry};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::ranges::{self, Bound, RangeReader, Span};
use crate::tail::filter::{Filter, plain_type};

const CHUNK: usize = 500;

/// One replay.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Replay {
    /// Header `replay-id` of its records.
    pub(crate) id: String,
    pub(crate) request: Request,
    pub(crate) state: JobState,
    /// The staging topic.
    pub(crate) topic: String,
    /// What is left of it.
    pub(crate) left: Vec<Span>,
    pub(crate) counts: Counts,
    who: String,
    started_at: i64,
}

/// What was asked for; the range stands in the positions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    /// Where events go.
    pub(crate) to_topic: String,
    /// Where rejects go.
    pub(crate) errors_topic: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) project: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) session: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none", default)]
    pub(crate) event_type: Option<String>,
}

/// What it has made so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Staged batches that were read.
    pub(crate) batches: u64,
    /// Events written, as the next.
    pub(crate) events: u64,
    pub(crate) rejects: u64,
    /// Events that repeat another: not written.
    pub(crate) duplicates: u64,
    /// Outputs that the filters leave out.
    pub(crate) left_out: u64,
}

impl Request {
    pub(crate) fn filter(&self) -> Filter {
        Filter {
            project: self.project.clone(),
            session: self.session.clone(),
            event_type: self.event_type.as_deref().map(plain_type),
            code: None,
        }
    }
}

impl Replay {
    /// A new one, of these spans of the staging topic.
    pub(crate) fn new(request: Request, topic: &str, spans: Vec<Span>) -> Self {
        let user = std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned());
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "localhost".to_owned());
        Self {
            id: uuid::Uuid::now_v7().to_string(),
            request,
            state: JobState::Running,
            topic: topic.to_owned(),
            left: spans,
            counts: Counts::default(),
            who: format!("{user}@{host}"),
            started_at: Timestamp::now().as_millisecond(),
        }
    }

    /// A partition is replayed up to an offset.
    pub(crate) fn advance(&mut self, partition: i32, next: i64, counts: Counts) {
        if let Some(span) = self.left.iter_mut().find(|span| span.partition == partition) {
            span.from = next;
        }
        self.counts += counts;
    }

    /// How it stands.
    pub(crate) fn entry(&self) -> Result<JobEntry, Failure> {
        let filter = serde_json::to_value(&self.request).map_err(not_json)?;
        let positions = self.left.iter().map(|span| JobPosition {
            topic: self.topic.clone(),
            partition: span.partition,
            next: span.from,
            end: span.to,
        });
        Ok(JobEntry {
            job_id: self.id.clone(),
            kind: JobKind::Replay,
            who: self.who.clone(),
            started_at: self.started_at,
            updated_at: Timestamp::now().as_millisecond(),
            state: self.state,
            filter,
            positions: positions.collect(),
            counts: self.counts.named(),
            reason: None,
        })
    }

    /// Its record on the ledger.
    pub(crate) fn record(&self, ledger: &Arc<str>) -> Result<NewRecord, Failure> {
        let entry = LedgerEntry::Job(self.entry()?);
        Ok(NewRecord {
            topic: Arc::clone(ledger),
            key: entry.key().into(),
            value: entry.to_json().map_err(not_json)?.into(),
            headers: Vec::new(),
        })
    }

    fn of(entry: JobEntry) -> Result<Self, Failure> {
        let id = &entry.job_id;
        if entry.kind != JobKind::Replay {
            return Err(Failure::usage(format!("job {id} is no replay")));
        }
        let request = serde_json::from_value(entry.filter)
            .map_err(|error| Failure::software(format!("the ledger's entry of replay {id} can't be read: {error}")))?;
        let left = entry.positions.iter().map(|position| Span {
            partition: position.partition,
            from: position.next,
            to: position.end,
        });
        Ok(Self {
            request,
            state: entry.state,
            topic: entry
                .positions
                .first()
                .map(|position| position.topic.clone())
                .unwrap_or_default(),
            left: left.collect(),
            counts: Counts::of(&entry.counts),
            who: entry.who,
            started_at: entry.started_at,
            id: entry.job_id,
        })
    }
}

fn not_json(error: serde_json::Error) -> Failure {
    Failure::software(format!("JSON: {error}"))
}

impl Counts {
    fn named(&self) -> BTreeMap<String, u64> {
        let named = [
            ("batches", self.batches),
            ("events", self.events),
            ("rejects", self.rejects),
            ("duplicates", self.duplicates),
            ("left_out", self.left_out),
        ];
        named.map(|(name, count)| (name.to_owned(), count)).into()
    }

    fn of(named: &BTreeMap<String, u64>) -> Self {
        let count = |name: &str| named.get(name).copied().unwrap_or_default();
        Self {
            batches: count("batches"),
            events: count("events"),
            rejects: count("rejects"),
            duplicates: count("duplicates"),
            left_out: count("left_out"),
        }
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.batches += other.batches;
        self.events += other.events;
        self.rejects += other.rejects;
        self.duplicates += other.duplicates;
        self.left_out += other.left_out;
    }
}

/// Creates the ledger where it does not exist.
pub(crate) async fn prepare_ledger(log: &dyn EventLog, ledger: &str) -> Result<(), Failure> {
    log.create_topics(&[crate::ledger::topic(ledger)]).await?;
    Ok(())
}

/// The newest state of a replay.
pub(crate) async fn stored(log: &dyn EventLog, ledger: &str, id: &str) -> Result<Option<Replay>, Failure> {
    let spans = ranges::spans(log, ledger, &Bound::Beginning, &Bound::End).await?;
    let mut reader = RangeReader::open(log, ledger, &spans).await?;
    let mut newest = None;
    while let Some(records) = reader.next(CHUNK).await? {
        for record in records {
            // Entries of other kinds, and of later versions, are no matter here.
            match LedgerEntry::from_json(&record.value) {
                Ok(LedgerEntry::Job(entry)) if entry.job_id == id => newest = Some(entry),
                Ok(_) | Err(_) => {}
            }
        }
    }
    newest.map(Replay::of).transpose()
}

#[cfg(test)]
mod tests {
    use super::{Counts, Replay, Request};
    use crate::ranges::Span;

    #[test]
    fn a_replay_reads_back_from_its_entry_and_knows_what_is_left() {
        let span = |partition, from, to| Span { partition, from, to };
        let request = Request {
            to_topic: "t".to_owned(),
            errors_topic: "t.errors".to_owned(),
            event_type: Some("click".to_owned()),
            ..Request::default()
        };
        let mut replay = Replay::new(request, "staging", vec![span(0, 5, 10), span(1, 0, 4)]);
        let counts = Counts {
            batches: 3,
            events: 7,
            ..Counts::default()
        };
        replay.advance(0, 8, counts);
        assert_eq!(replay.left, [span(0, 8, 10), span(1, 0, 4)]);
        assert_eq!(Replay::of(replay.entry().unwrap()).unwrap(), replay);
        assert_eq!(
            replay.record(&"ledger".into()).unwrap().key,
            format!("job:{}", replay.id)
        );
    }
}
