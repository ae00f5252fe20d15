//! What operators did: entries of the compacted topic [`crate::topics::LEDGER`], JSON, each under the key of what it is about, so
//! that the last one says how it stands. Entries are written in one transaction with what they tell of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// Bytes of an entry at the most: the topic's limit.
pub const MAX_RECORD: u32 = 1 << 20;

/// One entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum LedgerEntry {
    /// How a job stands.
    Job(JobEntry),
    /// What was done about a reject, so that it is done once.
    Reject(RejectEntry),
}

/// How a job stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobEntry {
    /// Its id: UUIDv7, or a replay's own id.
    pub job_id: String,
    /// What it does.
    pub kind: JobKind,
    /// Who started it: `user@host`, or whatever they call themselves.
    pub who: String,
    /// When it was started, Unix ms.
    pub started_at: i64,
    /// When this entry was written, Unix ms.
    pub updated_at: i64,
    /// Whether it goes on.
    pub state: JobState,
    /// What it was asked to do, as its kind writes it; enough to go on after a kill.
    pub filter: Value,
    /// How far it has come in each partition that it reads.
    pub positions: Vec<JobPosition>,
    /// What it has done so far, by names of its kind.
    pub counts: BTreeMap<String, u64>,
    /// Why, in the operator's words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Rejects through today's enricher.
    Redrive,
    /// Staged batches through today's enricher.
    Replay,
    /// Rejects that nobody needs any more.
    Discard,
}

/// Whether a job goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It runs, or was killed: it can be resumed.
    Running,
    /// Its operator stopped it: it can be resumed.
    Cancelled,
    /// It has done everything that it was asked for.
    Done,
}

/// How far a job has come in one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPosition {
    /// The topic that it reads.
    pub topic: String,
    /// The partition, from 0.
    pub partition: i32,
    /// The next offset to read.
    pub next: i64,
    /// The offset after the last one to read, fixed at the start.
    pub end: i64,
}

/// What was done about a reject. It holds for the attempt that it names and those before; a later one is a new matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectEntry {
    /// The reject.
    pub reject_id: Uuid,
    /// Which attempt of it.
    pub attempt: u32,
    /// The job that did it.
    pub job_id: String,
    /// When, Unix ms.
    pub at: i64,
    /// What was done.
    pub result: RejectResult,
    /// The event that it became, or that stood on raw already.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub event_id: Option<Uuid>,
}

/// What was done about a reject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectResult {
    /// It is an event on raw now.
    Redriven,
    /// It was tried and is a new reject on errors, with the next attempt.
    RejectedAgain,
    /// Its event stood on raw already.
    Duplicate,
    /// Nobody needs it.
    Discarded,
}

impl RejectResult {
    /// The name in JSON and in counts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Redriven => "redriven",
            Self::RejectedAgain => "rejected_again",
            Self::Duplicate => "duplicate",
            Self::Discarded => "discarded",
        }
    }
}

impl LedgerEntry {
    /// The record's key: `job:ID` or `reject:ID`.
    pub fn key(&self) -> String {
        match self {
            Self::Job(job) => format!("job:{}", job.job_id),
            Self::Reject(reject) => format!("reject:{}", reject.reject_id),
        }
    }

    /// The record's value.
    ///
    /// # Errors
    /// Only for a defect of ours: it has no JSON form.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// Reads a record's value; unknown fields are left out.
    ///
    /// # Errors
    /// It is no entry of a kind that this version knows.
    pub fn from_json(value: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;
    use uuid::Uuid;

    use super::{JobEntry, JobKind, JobPosition, JobState, LedgerEntry, RejectEntry, RejectResult};

    #[test]
    fn entries_read_back_and_have_a_key_for_what_they_are_about() {
        let job = LedgerEntry::Job(JobEntry {
            job_id: "j-1".to_owned(),
            kind: JobKind::Redrive,
            who: "ops@host".to_owned(),
            started_at: 1,
            updated_at: 2,
            state: JobState::Running,
            filter: json!({ "code": "missing_field" }),
            positions: vec![JobPosition {
                topic: "errors".to_owned(),
                partition: 0,
                next: 3,
                end: 9,
            }],
            counts: BTreeMap::from([(RejectResult::Redriven.as_str().to_owned(), 3)]),
            reason: None,
        });
        let reject = LedgerEntry::Reject(RejectEntry {
            reject_id: Uuid::nil(),
            attempt: 1,
            job_id: "j-1".to_owned(),
            at: 5,
            result: RejectResult::Discarded,
            event_id: None,
        });
        assert_eq!(job.key(), "job:j-1");
        assert_eq!(reject.key(), "reject:00000000-0000-0000-0000-000000000000");
        for entry in [job, reject] {
            assert_eq!(LedgerEntry::from_json(&entry.to_json().unwrap()).unwrap(), entry);
        }
    }
}
