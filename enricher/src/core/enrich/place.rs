//! Country and city of the full address: privacy is about the address, not about the country.

use std::borrow::Cow;

use gosight_schemas::{EnrichedEvent, RawBatch};

use super::address;
use crate::core::assets::Assets;
use crate::core::geo::Place;

pub(super) struct PlaceFacts<'a> {
    place: Place<'a>,
}

impl<'a> PlaceFacts<'a> {
    pub(super) fn of(batch: &RawBatch, assets: &'a Assets) -> Self {
        let geo = assets.geo.as_ref();
        let found = geo
            .zip(address::full(batch))
            .and_then(|(geo, address)| geo.look_up(address).ok());
        // A file that is damaged where the address leads knows nothing of it; no event is lost for it.
        Self {
            place: found.unwrap_or_default(),
        }
    }

    pub(super) fn add(&self, event: &mut EnrichedEvent<'a>) {
        event.country = Cow::Borrowed(self.place.country);
        event.city = Cow::Borrowed(self.place.city);
    }
}
