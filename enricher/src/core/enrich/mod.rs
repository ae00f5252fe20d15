//! What we add to an event. One file per step, all of one shape: facts are looked up once per batch (`of`), then added to each
//! event (`add`). An event's own fields go before the batch's.

mod address;
mod agent;
mod campaign;
mod geo;
mod keyed_hash;
mod language;
mod place;
mod referrer;
mod session;
mod sizes;

use gosight_config::enricher::Addition;
use gosight_schemas::{EnrichedEvent, RawBatch};

use super::assets::Assets;
use super::event::BatchFacts;
use super::rules::Rules;

pub(super) use address::public_address;

/// What is known of a batch's client.
pub(super) struct Facts<'a> {
    address: address::Address,
    agent: agent::AgentFacts,
    place: place::PlaceFacts<'a>,
    geo: geo::GeoFacts<'a>,
    /// Absent where the configuration asks for none.
    language: Option<language::Language<'a>>,
    batch: &'a BatchFacts<'a>,
    rules: &'a Rules,
}

impl<'a> Facts<'a> {
    /// Looks everything up, once for all events of the batch.
    pub(super) fn of(batch: &'a RawBatch, facts: &'a BatchFacts<'a>, assets: &'a Assets) -> Self {
        Self {
            address: address::Address::of(batch, assets),
            agent: agent::AgentFacts::of(batch, facts, assets),
            place: place::PlaceFacts::of(batch, assets),
            geo: geo::GeoFacts::of(batch, assets),
            language: assets
                .rules
                .adds(Addition::Language)
                .then(|| language::Language::of(batch)),
            batch: facts,
            rules: &assets.rules,
        }
    }

    /// Adds them to an event.
    pub(super) fn add(&'a self, event: &mut EnrichedEvent<'a>) {
        self.address.add(event);
        self.agent.add(event);
        self.place.add(event);
        self.geo.add(event);
        session::add(self.batch, event);
        if let Some(language) = &self.language {
            language.add(event);
        }
        sizes::add(self.batch, event);
        if self.rules.adds(Addition::Referrer) {
            referrer::add(event);
        }
        if self.rules.adds(Addition::Campaign) {
            campaign::add(event);
        }
    }
}
