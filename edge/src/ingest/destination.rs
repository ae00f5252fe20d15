//! A topic that the edge writes to.

use std::sync::Arc;

use bytes::Bytes;
use gosight_eventlog::NewRecord;

use crate::outcome::{Reason, Refusal};

/// A topic and the largest record that it takes.
pub(super) struct Destination {
    pub(super) topic: Arc<str>,
    /// Bytes.
    pub(super) limit: usize,
}

impl Destination {
    pub(super) fn record(&self, key: Bytes, value: Bytes) -> Result<NewRecord, Refusal> {
        let record = NewRecord {
            topic: Arc::clone(&self.topic),
            key,
            value,
            headers: Vec::new(),
        };
        if record.size() > self.limit {
            return Err(record_too_large(record.size(), self.limit));
        }
        Ok(record)
    }
}

pub(crate) fn record_too_large(size: usize, limit: usize) -> Refusal {
    Refusal::new(
        Reason::RecordTooLarge,
        format!("The record would have {size} bytes; the limit is {limit}. Send smaller batches"),
    )
}
