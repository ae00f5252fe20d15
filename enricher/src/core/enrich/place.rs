//! Country and city of the full address: privacy is about the address, not about the country.

use std::borrow::Cow;

use gosight_schemas::{BatchFields, RawBatch};

use super::address;
use crate::core::assets::Assets;
use crate::core::geo::Place;

pub(super) struct PlaceFacts<'a> {
    place: Place<'a>,
}

impl<'a> PlaceFacts<'a> {
    pub(super) fn of(batch: &RawBatch, assets: &'a Assets) -> Self {
        let geo = assets.geo.as_ref();
        let found = geo.zip(address::full(batch)).map(|(geo, address)| geo.look_up(address));
        Self {
            place: found.unwrap_or_default(),
        }
    }

    pub(super) fn known(place: Place<'a>) -> Self {
        Self { place }
    }

    pub(super) fn place(&self) -> Place<'a> {
        self.place
    }

    pub(super) fn add(&self, fields: &mut BatchFields<'a>) {
        fields.country = Cow::Borrowed(self.place.country);
        fields.city = Cow::Borrowed(self.place.city);
    }
}
