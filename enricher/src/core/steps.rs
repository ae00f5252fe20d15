//! The core's steps apart, for benchmarks: no part of the interface. Each does for a whole batch what [`super::process`] does.

use gosight_schemas::RawBatch;

use super::assets::Assets;
use super::decode;
use super::encode::write_raw_value;
use super::enrich::Facts;
use super::event::{BatchFacts, Event};
use super::problems::Problems;
use super::read::{self, ReadBatch};
use super::validate::{self, Bounds};

/// A batch whose events are decoded, and no more.
pub struct Decoded<'a> {
    batch: &'a RawBatch,
    events: Vec<Event<'a>>,
}

/// A batch whose events are ready to be written.
pub struct Ready<'a> {
    batch: &'a RawBatch,
    read: ReadBatch<'a>,
}

/// Tells the body's events apart and decodes each. What can't be read is left out.
pub fn decode<'a>(batch: &'a RawBatch, assets: &Assets) -> Decoded<'a> {
    let mut events = decode::body(batch).map_or_else(|_| Vec::new(), |body| body.events);
    let mut problems = Problems::default();
    let events = events.iter_mut();
    let events = events.filter_map(|encoded| decode::event(encoded, &assets.rules, &mut problems));
    Decoded {
        batch,
        events: events.collect(),
    }
}

/// Checks each event; gives how many are sound.
pub fn validate(decoded: &Decoded<'_>, assets: &Assets) -> usize {
    let bounds = Bounds {
        rules: &assets.rules,
        batch: decoded.batch,
    };
    let sound = decoded.events.iter().filter(|event| {
        let mut problems = Problems::default();
        validate::check(event, bounds, &mut problems);
        problems.is_empty()
    });
    sound.count()
}

/// Looks up what is added to the events: once for the batch. Gives the bytes of what is known of the client.
pub fn enrich(batch: &RawBatch, assets: &Assets) -> usize {
    let facts = BatchFacts::default();
    std::hint::black_box(Facts::of(batch, &facts, assets));
    batch.batch_id.len()
}

/// Reads a batch as [`super::process`] does, up to the window.
pub fn ready<'a>(batch: &'a RawBatch, assets: &Assets) -> Option<Ready<'a>> {
    let read = read::batch(batch, &assets.rules).ok()?;
    Some(Ready { batch, read })
}

/// Writes each sound event to `out`.
pub fn encode(ready: Ready<'_>, assets: &Assets, out: &mut Vec<u8>) {
    let Ready { batch, read } = ready;
    let facts = Facts::of(batch, &read.facts, assets);
    for valid in read.events.into_iter().filter_map(|event| event.result.ok()) {
        write_raw_value(valid, batch, &facts, out);
    }
}
