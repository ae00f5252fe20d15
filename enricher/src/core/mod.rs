//! The pure core: a staged record, the assets and the partition's window of ids give one outcome per event. No I/O, no clock,
//! no failure: whatever is wrong with a record or an event becomes a reject of that record or event.

mod assets;
mod geo;
mod outcome;
mod rules;
mod user_agents;

use std::sync::Arc;

use bytes::Bytes;
use gosight_eventlog::LogRecord;
use uuid::Uuid;

pub use assets::Assets;
pub use geo::{GeoError, GeoReader, Place};
pub use outcome::{DuplicateOutput, EventOutput, Outcome, Processed, RejectOutput};
pub use rules::Rules;
pub use user_agents::{Agent, UserAgents, is_library};

/// The ids that came lately in one partition.
pub trait DedupeWindow {
    /// Whether the id came before within the window; it counts as seen from now on, either way.
    fn seen(&mut self, event_id: Uuid, append_time_ms: i64) -> bool;
}

/// Turns a staged record into one outcome per event. The window is asked for valid events only, in their order. `now_ms` (Unix
/// ms) only dates rejects.
pub fn process(record: &LogRecord, assets: &Assets, window: &mut dyn DedupeWindow, now_ms: i64) -> Processed {
    let _ = (assets, window, now_ms);
    Processed {
        batch_id: Arc::default(),
        project_id: Arc::default(),
        session_key: record.key.clone().unwrap_or_default(),
        received_at: record.timestamp_ms,
        outcomes: Vec::new(),
    }
}

/// The ids of a staged record's valid events, in order: what [`process`] would ask the window for.
pub fn valid_ids(record: &LogRecord, assets: &Assets) -> Vec<Uuid> {
    let _ = (record, assets);
    Vec::new()
}
