//! Which events stand on raw already: a client may have sent a rejected event again, put right, under the same id.

use std::collections::HashSet;

use gosight_eventlog::LogRecord;
use serde::Deserialize;
use uuid::Uuid;

use super::source::Source;
use crate::failure::Failure;
use crate::ranges::Times;

/// Events that are looked for at the most: 16 bytes each, and as much again for those found.
const MAX_WANTED: usize = 2_000_000;

/// Records that one read brings at the most.
const CHUNK: usize = 2_000;

/// Events by project and id.
#[derive(Debug, Default, Clone)]
pub(crate) struct Events {
    keys: HashSet<Uuid>,
}

impl Events {
    /// Adds one; false where it was there already.
    pub(crate) fn insert(&mut self, project_id: &str, event_id: Uuid) -> bool {
        self.keys.insert(key(project_id, event_id))
    }

    /// Whether it is among them.
    pub(crate) fn contains(&self, project_id: &str, event_id: Uuid) -> bool {
        self.keys.contains(&key(project_id, event_id))
    }

    pub(crate) fn is_full(&self) -> bool {
        self.keys.len() >= MAX_WANTED
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// Of one project: another one may use the same id.
fn key(project_id: &str, event_id: Uuid) -> Uuid {
    Uuid::new_v5(&event_id, project_id.as_bytes())
}

#[derive(Deserialize)]
struct Identity<'a> {
    event_id: Uuid,
    #[serde(borrow)]
    project_id: std::borrow::Cow<'a, str>,
}

/// Those of the wanted events that stand on raw, received at or after `since_ms` (Unix ms): none came to raw before it was received.
/// Reads raw once from there to its end as it is now. `step` hears how many records were read.
pub(crate) async fn on_raw(
    source: &Source,
    wanted: &Events,
    since_ms: i64,
    mut step: impl FnMut(u64),
) -> Result<Events, Failure> {
    let mut found = Events::default();
    if wanted.is_empty() {
        return Ok(found);
    }
    let since = Times {
        from_ms: Some(since_ms),
        to_ms: None,
    };
    let mut reader = since.open(&*source.log, &source.topics.events).await?;
    while let Some(records) = reader.next(CHUNK).await? {
        step(records.len() as u64);
        for record in &records {
            if let Some(identity) = identity(record)
                && wanted.contains(&identity.project_id, identity.event_id)
            {
                found.insert(&identity.project_id, identity.event_id);
            }
        }
    }
    Ok(found)
}

fn identity(record: &LogRecord) -> Option<Identity<'_>> {
    serde_json::from_slice(&record.value).ok()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::Events;

    #[test]
    fn an_id_is_a_projects_own() {
        let mut events = Events::default();
        let id = Uuid::from_u128(1);
        assert!(events.insert("p", id));
        assert!(!events.insert("p", id));
        assert!(events.contains("p", id));
        assert!(!events.contains("q", id));
    }
}
