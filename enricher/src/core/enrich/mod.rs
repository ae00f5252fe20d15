//! What we add to an event. One file per step, all of one shape: facts are looked up once per batch (`of`), then added (`add`): to
//! the fields that all events of the batch share, or to each event. An event's own fields go before the batch's.

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
use gosight_schemas::{BatchFields, EnrichedEvent, RawBatch, WrittenBatchFields};

use super::assets::Assets;
use super::event::BatchFacts;
use super::geo::Place;
use super::rules::Rules;

pub(super) use address::public_address;

/// What was looked up when a batch was staged, and can't be looked up again.
pub(super) struct Known<'a> {
    /// The address as it may leave us.
    pub(super) address: Option<&'a str>,
    /// Where the full address was; absent where that is still to be looked up.
    pub(super) place: Option<Place<'a>>,
}

/// What is known of a batch's client.
pub(super) struct Facts<'a> {
    place: Place<'a>,
    /// What every event of the batch gets alike.
    fields: WrittenBatchFields,
    language: language::Language<'a>,
    batch: &'a BatchFacts<'a>,
    rules: &'a Rules,
}

impl<'a> Facts<'a> {
    /// Looks everything up, once for all events of the batch.
    pub(super) fn of(batch: &'a RawBatch, facts: &'a BatchFacts<'a>, assets: &'a Assets) -> Self {
        let address = address::Address::of(batch, assets);
        let place = place::PlaceFacts::of(batch, assets);
        Self::found(batch, facts, &address, &place, assets)
    }

    /// The same for a client of whom some is known already, from when its batch was staged.
    pub(super) fn again(batch: &'a RawBatch, facts: &'a BatchFacts<'a>, known: Known<'a>, assets: &'a Assets) -> Self {
        let address = address::Address::known(known.address);
        let place = match known.place {
            Some(place) => place::PlaceFacts::known(place),
            None => place::PlaceFacts::of(batch, assets),
        };
        Self::found(batch, facts, &address, &place, assets)
    }

    fn found(
        batch: &'a RawBatch,
        facts: &'a BatchFacts<'a>,
        address: &address::Address,
        place: &place::PlaceFacts<'a>,
        assets: &'a Assets,
    ) -> Self {
        let agent = agent::AgentFacts::of(batch, facts, assets);
        let mut fields = BatchFields {
            project_id: &batch.project_id,
            session_id: &batch.session_id,
            server_timestamp: batch.received_at,
            ..BatchFields::default()
        };
        address.add(&mut fields);
        agent.add(&mut fields);
        place.add(&mut fields);
        geo::GeoFacts::of(batch, assets).add(&mut fields);
        session::add(facts, &mut fields);
        Self {
            place: place.place(),
            fields: fields.write(),
            language: language::Language::of(batch, facts, &assets.rules),
            batch: facts,
            rules: &assets.rules,
        }
    }

    /// Where the client is.
    pub(super) fn place(&self) -> Place<'a> {
        self.place
    }

    /// What every event of the batch gets alike.
    pub(super) fn fields(&self) -> &WrittenBatchFields {
        &self.fields
    }

    /// Adds what depends on the event.
    pub(super) fn add(&'a self, event: &mut EnrichedEvent<'a>) {
        self.language.add(event);
        sizes::add(self.batch, event);
        if self.rules.adds(Addition::Referrer) {
            referrer::add(event);
        }
        if self.rules.adds(Addition::Campaign) {
            campaign::add(event);
        }
    }
}
