//! What we add to an event. One file per step, all of one shape: facts are looked up once per batch (`of`), then added to each
//! event (`add`). An event's own fields go before the batch's.

mod address;
mod agent;
mod keyed_hash;
mod place;
mod session;
mod sizes;

use gosight_schemas::{EnrichedEvent, RawBatch};

use super::assets::Assets;
use super::event::BatchFacts;

pub(super) use address::public_address;

/// What is known of a batch's client.
pub(super) struct Facts<'a> {
    address: address::Address,
    agent: agent::AgentFacts,
    place: place::PlaceFacts<'a>,
    batch: &'a BatchFacts<'a>,
}

impl<'a> Facts<'a> {
    /// Looks everything up, once for all events of the batch.
    pub(super) fn of(batch: &'a RawBatch, facts: &'a BatchFacts<'a>, assets: &'a Assets) -> Self {
        Self {
            address: address::Address::of(batch, assets),
            agent: agent::AgentFacts::of(batch, facts, assets),
            place: place::PlaceFacts::of(batch, assets),
            batch: facts,
        }
    }

    /// Adds them to an event.
    pub(super) fn add(&'a self, event: &mut EnrichedEvent<'a>) {
        self.address.add(event);
        self.agent.add(event);
        self.place.add(event);
        session::add(self.batch, event);
        sizes::add(self.batch, event);
    }
}
