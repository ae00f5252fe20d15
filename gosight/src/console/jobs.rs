//! Work that goes on while the page looks on: redrives and discards. What they did stands in the ledger; this only shows how far they are.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use uuid::Uuid;

/// Jobs that are remembered, the newest.
const KEPT: usize = 50;

/// The jobs of this console.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    jobs: Mutex<BTreeMap<Uuid, Arc<Job>>>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Job {
    total: u64,
    done: AtomicU64,
    end: Mutex<Option<End>>,
}

#[derive(Debug, Clone)]
struct End {
    counts: BTreeMap<String, u64>,
    error: Option<String>,
}

/// How far a job is.
#[derive(Debug, Serialize)]
pub(super) struct Standing {
    state: &'static str,
    /// Records that were looked at.
    done: u64,
    total: u64,
    counts: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Jobs {
    /// A new one that will look at `total` records.
    pub(super) fn begin(&self, total: u64) -> (Uuid, Arc<Job>) {
        let job = Arc::new(Job {
            total,
            done: AtomicU64::new(0),
            end: Mutex::default(),
        });
        let id = Uuid::now_v7();
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.insert(id, Arc::clone(&job));
        if jobs.len() > KEPT {
            jobs.pop_first();
        }
        (id, job)
    }

    pub(super) fn standing(&self, id: Uuid) -> Option<Standing> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.get(&id).map(|job| job.standing())
    }
}

impl Job {
    pub(super) fn step(&self, records: u64) {
        self.done.fetch_add(records, Ordering::Relaxed);
    }

    /// It is over: with what it counted, or why not.
    pub(super) fn end(&self, result: Result<BTreeMap<String, u64>, String>) {
        let end = match result {
            Ok(counts) => End { counts, error: None },
            Err(error) => End {
                counts: BTreeMap::new(),
                error: Some(error),
            },
        };
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
    }

    fn standing(&self) -> Standing {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let state = match &end {
            None => "running",
            Some(End { error: None, .. }) => "done",
            Some(_) => "failed",
        };
        let (counts, error) = end.map_or_else(Default::default, |end| (end.counts, end.error));
        Standing {
            state,
            done: self.done.load(Ordering::Relaxed).min(self.total),
            total: self.total,
            counts,
            error,
        }
    }
}
