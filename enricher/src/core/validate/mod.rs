//! Whether a decoded event is sound. One file per group of rules, all of one shape: `check(event, …, problems)`. Every problem is
//! noted, not only the first.

mod ids;
mod known_type;
mod page;
pub(super) mod payload;
mod time;

use gosight_schemas::RawBatch;

use super::event::Event;
use super::problems::Problems;
use super::rules::Rules;

/// What the groups check against.
#[derive(Clone, Copy)]
pub(super) struct Bounds<'r> {
    pub(super) rules: &'r Rules,
    /// The batch that the event came with.
    pub(super) batch: &'r RawBatch,
}

/// Runs every group.
pub(super) fn check(event: &Event<'_>, bounds: Bounds<'_>, problems: &mut Problems) {
    known_type::check(event, bounds, problems);
    time::check(event, bounds, problems);
    ids::check(event, bounds, problems);
    page::check(event, bounds, problems);
    payload::check(event, bounds, problems);
}
