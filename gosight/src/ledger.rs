//! The ledger of what operators did: reading it into memory, and writing entries with what they tell of.

use std::collections::{BTreeMap, HashMap};

use gosight_eventlog::{Cleanup, EventLog, LogError, NewRecord, TimestampSource, TopicSpec};
use gosight_schemas::ledger::{JobEntry, LedgerEntry, MAX_RECORD, RejectEntry, RejectResult};
use gosight_schemas::topics::LEDGER_SHAPE;
use uuid::Uuid;

use crate::failure::Failure;
use crate::ranges::Times;

/// Rejects that are remembered at the most: about 200 MB.
const MAX_REJECTS: usize = 4_000_000;
/// Records that one read brings at the most.
const CHUNK: usize = 2_000;
/// Jobs that are remembered at the most, the newest by id.
const MAX_JOBS: usize = 10_000;

/// The topic's shape. Its records are small, so its limit is no setting.
pub(crate) fn topic(name: &str) -> TopicSpec {
    TopicSpec {
        name: name.to_owned(),
        partitions: LEDGER_SHAPE.partitions,
        retention: LEDGER_SHAPE.retention,
        cleanup: Cleanup::Compact,
        max_message_bytes: MAX_RECORD,
        timestamps: TimestampSource::CreateTime,
    }
}

/// What was done about a reject last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settled {
    /// It holds for this attempt and those before.
    attempt: u32,
    pub(crate) result: RejectResult,
}

/// The last entries of all keys.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    jobs: BTreeMap<String, JobEntry>,
    rejects: HashMap<Uuid, Settled>,
}

impl Ledger {
    /// Reads the entries written at or after `since_ms` (Unix ms), or all. An entry about a reject is younger than the reject, so
    /// whoever asks for rejects since a time needs no older entries. A topic that does not exist holds none.
    pub(crate) async fn read(log: &dyn EventLog, topic: &str, since_ms: Option<i64>) -> Result<Self, Failure> {
        let since = Times {
            from_ms: since_ms,
            to_ms: None,
        };
        let mut reader = match since.open(log, topic).await {
            Ok(reader) => reader,
            Err(LogError::UnknownTopic { .. }) => return Ok(Self::default()),
            Err(error) => return Err(error.into()),
        };
        let mut ledger = Self::default();
        while let Some(records) = reader.next(CHUNK).await? {
            for record in records {
                // An entry of a kind that a later version writes says nothing about what this one does.
                if let Ok(entry) = LedgerEntry::from_json(&record.value) {
                    ledger.take(entry);
                }
            }
            if ledger.rejects.len() > MAX_REJECTS {
                return Err(Failure::usage(format!(
                    "the ledger tells of more than {MAX_REJECTS} rejects; ask for a shorter time by --from"
                )));
            }
        }
        Ok(ledger)
    }

    /// Takes the next entry in the order of the topic.
    pub(crate) fn take(&mut self, entry: LedgerEntry) {
        match entry {
            LedgerEntry::Job(job) => {
                self.jobs.insert(job.job_id.clone(), job);
                if self.jobs.len() > MAX_JOBS {
                    self.jobs.pop_first();
                }
            }
            LedgerEntry::Reject(RejectEntry {
                reject_id,
                attempt,
                result,
                ..
            }) => {
                self.rejects.insert(reject_id, Settled { attempt, result });
            }
        }
    }

    /// What was done about that attempt of a reject; `None` where it waits.
    pub(crate) fn settled(&self, reject_id: Uuid, attempt: u32) -> Option<RejectResult> {
        self.rejects
            .get(&reject_id)
            .filter(|settled| settled.attempt >= attempt)
            .map(|settled| settled.result)
    }

    /// A job.
    pub(crate) fn job(&self, job_id: &str) -> Option<&JobEntry> {
        self.jobs.get(job_id)
    }

    /// All jobs, in the order of their ids.
    pub(crate) fn jobs(&self) -> impl Iterator<Item = &JobEntry> {
        self.jobs.values()
    }
}

/// The record of an entry.
pub(crate) fn record(topic: &std::sync::Arc<str>, entry: &LedgerEntry) -> Result<NewRecord, Failure> {
    let value = entry
        .to_json()
        .map_err(|error| Failure::software(format!("a ledger entry could not be written as JSON: {error}")))?;
    Ok(NewRecord {
        topic: std::sync::Arc::clone(topic),
        key: entry.key().into(),
        value: value.into(),
        headers: Vec::new(),
    })
}

/// Who runs this command: `user@host`, as the environment and the system tell.
pub(crate) fn operator() -> String {
    let user = ["USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok());
    let user = user.as_deref().unwrap_or("unknown");
    let host = host.as_deref().map_or("unknown", str::trim);
    format!("{user}@{host}")
}

#[cfg(test)]
mod tests {
    use gosight_schemas::ledger::{LedgerEntry, RejectEntry, RejectResult};
    use uuid::Uuid;

    use super::Ledger;

    #[test]
    fn an_entry_settles_its_attempt_and_those_before_but_none_after() {
        let mut ledger = Ledger::default();
        let reject_id = Uuid::from_u128(7);
        assert_eq!(ledger.settled(reject_id, 1), None);
        ledger.take(LedgerEntry::Reject(RejectEntry {
            reject_id,
            attempt: 2,
            job_id: "j".to_owned(),
            at: 0,
            result: RejectResult::RejectedAgain,
            event_id: None,
        }));
        assert_eq!(ledger.settled(reject_id, 1), Some(RejectResult::RejectedAgain));
        assert_eq!(ledger.settled(reject_id, 2), Some(RejectResult::RejectedAgain));
        assert_eq!(ledger.settled(reject_id, 3), None);
        assert_eq!(ledger.settled(Uuid::from_u128(8), 1), None);
    }
}
