//! More of the place than country and city, as far as the configuration asks for it, and the network where a file knows networks.

use gosight_config::enricher::Addition;
use gosight_schemas::{BatchFields, Geo, RawBatch};

use super::address;
use crate::core::assets::Assets;

pub(super) struct GeoFacts<'a> {
    /// Absent where nothing is known or wanted.
    geo: Option<Geo<'a>>,
}

impl<'a> GeoFacts<'a> {
    pub(super) fn of(batch: &RawBatch, assets: &'a Assets) -> Self {
        Self {
            geo: found(batch, assets),
        }
    }

    pub(super) fn add(self, fields: &mut BatchFields<'a>) {
        fields.geo = self.geo;
    }
}

fn found<'a>(batch: &RawBatch, assets: &'a Assets) -> Option<Geo<'a>> {
    let files = assets.geo.as_ref()?;
    let wanted = |addition| assets.rules.adds(addition);
    let of_the_place = [
        Addition::Region,
        Addition::Continent,
        Addition::Coordinates,
        Addition::TimeZone,
    ];
    let wants_place = of_the_place.into_iter().any(wanted);
    if !wants_place && !files.knows_networks() {
        return None;
    }
    let address = address::full(batch)?;
    let details = if wants_place {
        files.details(address)
    } else {
        Default::default()
    };
    let network = files.network(address);
    let text = |addition, text: &'a str| Some(text).filter(|text| wanted(addition) && !text.is_empty());
    let coordinates = details.coordinates.filter(|_| wanted(Addition::Coordinates));
    let geo = Geo {
        region: text(Addition::Region, details.region),
        continent: text(Addition::Continent, details.continent),
        latitude: coordinates.map(|(latitude, _)| latitude),
        longitude: coordinates.map(|(_, longitude)| longitude),
        time_zone: text(Addition::TimeZone, details.time_zone),
        asn: network.number,
        organization: Some(network.organization).filter(|organization| !organization.is_empty()),
    };
    (geo != Geo::default()).then_some(geo)
}
