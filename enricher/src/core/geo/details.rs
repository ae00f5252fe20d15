//! What city files know of a place beyond country and city, and files of networks of an address.

use std::net::IpAddr;

use serde::Deserialize;

use super::reader::{GeoReader, Layout};

/// More of a place. Empty where unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Details<'a> {
    /// English name of the state or province.
    pub region: &'a str,
    /// Two letters.
    pub continent: &'a str,
    /// Latitude and longitude of the city, degrees.
    pub coordinates: Option<(f64, f64)>,
    /// IANA name.
    pub time_zone: &'a str,
}

/// The network of an address. Empty where unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Network<'a> {
    /// Of the autonomous system.
    #[serde(rename = "autonomous_system_number", default)]
    pub number: Option<u32>,
    /// Who runs it.
    #[serde(rename = "autonomous_system_organization", default)]
    pub organization: &'a str,
}

#[derive(Deserialize, Default)]
struct Nested<'a> {
    #[serde(borrow, default)]
    continent: Continent<'a>,
    #[serde(borrow, default)]
    subdivisions: Vec<Subdivision<'a>>,
    #[serde(borrow, default)]
    location: Location<'a>,
}

#[derive(Deserialize, Default)]
struct Continent<'a> {
    #[serde(default)]
    code: &'a str,
}

#[derive(Deserialize)]
struct Subdivision<'a> {
    #[serde(borrow, default)]
    names: Names<'a>,
}

#[derive(Deserialize, Default)]
struct Names<'a> {
    #[serde(rename = "en", default)]
    english: &'a str,
}

#[derive(Deserialize, Default)]
struct Location<'a> {
    latitude: Option<f64>,
    longitude: Option<f64>,
    #[serde(default)]
    time_zone: &'a str,
}

#[derive(Deserialize)]
struct Flat<'a> {
    #[serde(default)]
    state1: &'a str,
    latitude: Option<f64>,
    longitude: Option<f64>,
    #[serde(default)]
    timezone: &'a str,
}

impl GeoReader {
    /// More of the place of an address; empty where the file doesn't know it.
    ///
    /// # Errors
    /// The file is damaged where the address leads; the text says how.
    pub(super) fn details(&self, address: IpAddr) -> Result<Details<'_>, String> {
        Ok(match self.layout() {
            Layout::Nested => self.record::<Nested<'_>>(address)?.map(Details::from),
            Layout::Flat => self.record::<Flat<'_>>(address)?.map(Details::from),
            Layout::Networks => None,
        }
        .unwrap_or_default())
    }

    /// The network of an address; empty where the file doesn't know it.
    ///
    /// # Errors
    /// The file is damaged where the address leads; the text says how.
    pub(super) fn network(&self, address: IpAddr) -> Result<Network<'_>, String> {
        match self.layout() {
            Layout::Networks => Ok(self.record(address)?.unwrap_or_default()),
            Layout::Nested | Layout::Flat => Ok(Network::default()),
        }
    }
}

impl<'a> From<Nested<'a>> for Details<'a> {
    fn from(place: Nested<'a>) -> Self {
        Self {
            // From the largest to the smallest.
            region: place.subdivisions.first().map_or("", |region| region.names.english),
            continent: place.continent.code,
            coordinates: coordinates(place.location.latitude, place.location.longitude),
            time_zone: place.location.time_zone,
        }
    }
}

impl<'a> From<Flat<'a>> for Details<'a> {
    fn from(place: Flat<'a>) -> Self {
        Self {
            region: place.state1,
            continent: "",
            coordinates: coordinates(place.latitude, place.longitude),
            time_zone: place.timezone,
        }
    }
}

/// Both or none. Four digits are eleven metres, far below what is known; more are noise of 32-bit numbers.
fn coordinates(latitude: Option<f64>, longitude: Option<f64>) -> Option<(f64, f64)> {
    let rounded = |degrees: f64| (degrees * 10_000.0).round() / 10_000.0;
    latitude
        .zip(longitude)
        .filter(|(latitude, longitude)| latitude.abs() <= 90.0 && longitude.abs() <= 180.0)
        .map(|(latitude, longitude)| (rounded(latitude), rounded(longitude)))
}
