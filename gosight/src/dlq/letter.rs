//! A dead letter: a reject and where it stands.

use gosight_enricher::core;
use gosight_eventlog::{LogRecord, Position};
use gosight_schemas::Reject;
use serde_json::Value;

/// A reject as it was read from the errors topic.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) position: Position,
    pub(crate) reject: Reject,
}

impl Letter {
    /// Reads a record of the errors topic.
    ///
    /// # Errors
    /// It is no reject that this version can read.
    pub(crate) fn read(record: &LogRecord) -> Result<Self, serde_json::Error> {
        Ok(Self {
            position: record.position.clone(),
            reject: serde_json::from_slice(&record.value)?,
        })
    }

    /// What the client called the event's type; `None` where that can't be told.
    pub(crate) fn event_type(&self) -> Option<String> {
        core::event_type_of(&self.reject)
    }

    /// The event as JSON; `None` where it is none, or was not kept whole.
    pub(crate) fn event(&self) -> Option<Value> {
        let json = core::original_json(&self.reject).ok()??;
        serde_json::from_str(json.get()).ok()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use gosight_eventlog::Position;
    use serde_json::{Value, json};

    use super::Letter;

    /// A reject of that event for a missing timestamp.
    pub(crate) fn letter(event: &Value) -> Letter {
        let reject = json!({
            "reject_id": "00000000-0000-0000-0000-00000000000a", "code": "missing_field", "field": "/timestamp",
            "message": "timestamp is missing", "stage": "validate", "original": { "json": event },
            "problems": [{ "code": "missing_field", "field": "/timestamp", "message": "timestamp is missing" }],
            "origin": "gosight.events.staging:1:2:3", "batch_id": "batch-1", "session_id": "sess-1",
            "project_id": "b0000000-0000-0000-0000-000000000001", "received_at": 1_700_000_000_000_i64,
            "rejected_at": 1_700_000_000_500_i64, "attempt": 1, "enricher_version": "0.1.0",
            "context": { "user_id": "user-7", "client_ip": "203.0.113.9" }
        });
        Letter {
            position: Position {
                topic: "gosight.events.errors".into(),
                partition: 0,
                offset: 5,
            },
            // By text: an original is kept as its own bytes, which a tree can't give.
            reject: serde_json::from_str(&reject.to_string()).unwrap(),
        }
    }
}
