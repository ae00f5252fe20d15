//! What a staged record holds, without enriching it: whose it is, how many events, and by which keys repeats are told.

use gosight_eventlog::LogRecord;
use uuid::Uuid;

use super::assets::Assets;
use super::ids::DedupeKeys;
use super::{events_of, staged_batch};

/// One staged record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// The project; empty where the record can't be read, as the next.
    pub project_id: String,
    /// The batch.
    pub batch_id: String,
    /// How many events the edge counted; `None` where the record or its body can't be read, so that one reject stands for all of it.
    pub counted: Option<u32>,
    /// For each event, in order, the key that the window is asked for; `None` where it is not asked, since the event is invalid. Never
    /// empty for a record that can't be read: its one reject stands under index 0.
    pub keys: Vec<Option<Uuid>>,
}

/// Reads a staged record as [`super::process`] does: one key for each of its outcomes.
pub fn staged(record: &LogRecord, assets: &Assets) -> Staged {
    let unread = |project_id: String, batch_id: String| Staged {
        project_id,
        batch_id,
        counted: None,
        keys: vec![None],
    };
    let Ok(batch) = staged_batch(record) else {
        return unread(String::new(), String::new());
    };
    let keys = match events_of(&batch, assets) {
        Err(_) => return unread(batch.project_id, batch.batch_id),
        Ok(read) => {
            let keys = DedupeKeys::of(&batch.project_id);
            let key = |event: &super::ReadEvent<'_>| event.result.as_ref().ok().map(|valid| keys.key(valid.id.id));
            read.events.iter().map(key).collect()
        }
    };
    Staged {
        counted: Some(u32::try_from(batch.event_count).unwrap_or_default()),
        keys,
        project_id: batch.project_id,
        batch_id: batch.batch_id,
    }
}
