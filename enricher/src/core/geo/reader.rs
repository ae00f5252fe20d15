//! Country and city of an address, from a city file in MaxMind's layout or in the flat one of the free DB-IP files.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gosight_config::Contradiction;
use gosight_config::enricher::GeoipSettings;
use maxminddb::{LookupResult, Reader, WithinOptions};
use serde::Deserialize;

use super::details::Network;
use super::stamp::Stamp;

/// A city file, held in memory whole: a mapped file that someone overwrites in place would kill the process.
/// Clones share it.
#[derive(Clone)]
pub struct GeoReader {
    reader: Arc<Reader<Vec<u8>>>,
    layout: Layout,
    /// Of the file that it was read from.
    stamp: Option<Stamp>,
}

/// How a file's records are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// GeoLite2-City, GeoIP2-City, DBIP-City-Lite as their makers write them.
    Nested,
    /// The npm packages `@ip-location-db/*-city-mmdb`, one file for IPv4 and one for IPv6.
    Flat,
    /// GeoLite2-ASN and DBIP-ASN-Lite: no places, but who runs the network.
    Networks,
}

#[derive(Deserialize, Default)]
struct NestedPlace<'a> {
    #[serde(borrow, default)]
    country: Country<'a>,
    #[serde(borrow, default)]
    city: City<'a>,
}

#[derive(Deserialize, Default)]
struct Country<'a> {
    #[serde(default)]
    iso_code: &'a str,
}

#[derive(Deserialize, Default)]
struct City<'a> {
    #[serde(borrow, default)]
    names: Names<'a>,
}

#[derive(Deserialize, Default)]
struct Names<'a> {
    #[serde(rename = "en", default)]
    english: &'a str,
}

#[derive(Deserialize)]
struct FlatPlace<'a> {
    #[serde(default)]
    country_code: &'a str,
    #[serde(default)]
    city: &'a str,
}

/// Where an address is. Empty where unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place<'a> {
    /// ISO 3166-1 alpha-2.
    pub country: &'a str,
    /// English name.
    pub city: &'a str,
}

/// A file that cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum GeoError {
    /// It could not be read.
    #[error("the GeoIP file {} cannot be read: {source}; check the path and the file's permissions", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no sound MaxMind DB.
    #[error("the GeoIP file {} is damaged or no MaxMind DB (.mmdb): {reason}; download it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It is a MaxMind DB of another kind.
    #[error(
        "the GeoIP file {} is a {database_type:?} database; name one of cities, such as GeoLite2-City.mmdb, or of networks, such as GeoLite2-ASN.mmdb",
        path.display()
    )]
    NoCities {
        /// The file.
        path: PathBuf,
        /// What its metadata says it is.
        database_type: String,
    },
}

impl GeoError {
    /// The same as a mistake of the settings that name the file.
    pub fn of_settings(&self, geoip: &GeoipSettings) -> Contradiction {
        let (Self::Unreadable { path, .. } | Self::Damaged { path, .. } | Self::NoCities { path, .. }) = self;
        let key = match *path == geoip.database_path {
            true => "geoip.database_path",
            false => "geoip.databases",
        };
        Contradiction {
            keys: vec![key],
            item: Some(path.display().to_string()),
            what: format!("{self}, or leave the key empty for no look-ups"),
        }
    }
}

impl GeoReader {
    /// Reads a file and checks that it holds cities or networks.
    ///
    /// # Errors
    /// The file can't be read, is damaged, or holds something else.
    pub fn open(path: &Path) -> Result<Self, GeoError> {
        // Before the bytes: what is written in between is a change to come.
        let stamp = Stamp::of(path);
        let bytes = std::fs::read(path).map_err(|source| GeoError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            stamp,
            ..Self::from_bytes(bytes, path)?
        })
    }

    /// Takes a file's bytes; `path` is for the error's text.
    ///
    /// # Errors
    /// The bytes are damaged, or hold something else than cities or networks.
    pub fn from_bytes(bytes: Vec<u8>, path: &Path) -> Result<Self, GeoError> {
        let damaged = |reason: String| GeoError::Damaged {
            path: path.to_owned(),
            reason,
        };
        let reader = Reader::from_source(bytes).map_err(|error| damaged(error.to_string()))?;
        let database_type = &reader.metadata().database_type;
        let layout = Layout::of(database_type).ok_or_else(|| GeoError::NoCities {
            path: path.to_owned(),
            database_type: database_type.clone(),
        })?;
        let geo = Self {
            reader: Arc::new(reader),
            layout,
            stamp: None,
        };
        geo.sample().map_err(damaged)?;
        Ok(geo)
    }

    /// Reads every record of the file, which takes seconds for one of a hundred megabytes.
    ///
    /// # Errors
    /// The file is damaged somewhere; `path` is for the error's text.
    pub fn read_through(&self, path: &Path) -> Result<(), GeoError> {
        let damaged = |reason: String| GeoError::Damaged {
            path: path.to_owned(),
            reason,
        };
        let networks = self.reader.networks(WithinOptions::default());
        for found in networks.map_err(|error| damaged(error.to_string()))? {
            let found = found.map_err(|error| damaged(error.to_string()))?;
            match self.layout {
                Layout::Nested | Layout::Flat => self.place(&found).map(drop),
                Layout::Networks => found
                    .decode::<Network<'_>>()
                    .map(drop)
                    .map_err(|error| error.to_string()),
            }
            .map_err(damaged)?;
        }
        Ok(())
    }

    /// Looks addresses up from all over the file: one that is damaged in its middle opens well and fails only there.
    fn sample(&self) -> Result<(), String> {
        for first_octet in 1..=223 {
            self.probe(IpAddr::from([first_octet, 8, 8, 8]))?;
        }
        // Global unicast addresses are 2000::/3.
        for first_group in (0x2000..0x3000).step_by(0x10) {
            self.probe(IpAddr::from([first_group, 0, 0, 0, 0, 0, 0, 1]))?;
        }
        Ok(())
    }

    fn probe(&self, address: IpAddr) -> Result<(), String> {
        self.look_up(address)?;
        self.network(address)?;
        Ok(())
    }

    /// Whether it holds networks instead of cities.
    pub(super) fn knows_networks(&self) -> bool {
        self.layout == Layout::Networks
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    /// Of the file when its reading began; absent where bytes were taken.
    pub fn stamp(&self) -> Option<Stamp> {
        self.stamp
    }

    /// When the file was built, Unix seconds.
    pub fn build_epoch(&self) -> u64 {
        self.reader.metadata().build_epoch
    }

    /// Where an address is; empty for one that the file doesn't know.
    ///
    /// # Errors
    /// The file is damaged where the address leads; the text says how.
    pub fn look_up(&self, address: IpAddr) -> Result<Place<'_>, String> {
        if self.knows_networks() {
            return Ok(Place::default());
        }
        match self.find(address)? {
            Some(found) => self.place(&found),
            None => Ok(Place::default()),
        }
    }

    /// What the file says of an address.
    pub(super) fn record<'f, T: Deserialize<'f>>(&'f self, address: IpAddr) -> Result<Option<T>, String> {
        let Some(found) = self.find(address)? else {
            return Ok(None);
        };
        found.decode().map_err(|error| error.to_string())
    }

    fn find(&self, address: IpAddr) -> Result<Option<LookupResult<'_, Vec<u8>>>, String> {
        // An IPv4 address that came over an IPv6 socket.
        let address = address.to_canonical();
        if address.is_ipv6() && self.reader.metadata().ip_version == 4 {
            return Ok(None);
        }
        self.reader.lookup(address).map(Some).map_err(|error| error.to_string())
    }

    fn place<'f>(&'f self, found: &LookupResult<'f, Vec<u8>>) -> Result<Place<'f>, String> {
        let place = match self.layout {
            Layout::Nested => found.decode::<NestedPlace<'_>>().map(|place| {
                place.map(|place| Place {
                    country: place.country.iso_code,
                    city: place.city.names.english,
                })
            }),
            Layout::Flat => found.decode::<FlatPlace<'_>>().map(|place| {
                place.map(|place| Place {
                    country: place.country_code,
                    city: place.city,
                })
            }),
            Layout::Networks => Ok(None),
        };
        Ok(place.map_err(|error| error.to_string())?.unwrap_or_default())
    }
}

impl Layout {
    fn of(database_type: &str) -> Option<Self> {
        match database_type {
            "city ipv4" | "city ipv6" => Some(Self::Flat),
            networks if networks.contains("ASN") => Some(Self::Networks),
            nested if nested.contains("City") => Some(Self::Nested),
            _ => None,
        }
    }
}

impl fmt::Debug for GeoReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metadata = self.reader.metadata();
        write!(f, "GeoReader({} of {})", metadata.database_type, metadata.build_epoch)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::path::{Path, PathBuf};

    use super::{GeoError, GeoReader, Place};

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../tests/fixtures/geoip")
            .join(name)
    }

    fn bytes(name: &str) -> Vec<u8> {
        std::fs::read(fixture(name)).unwrap()
    }

    fn place(geo: &GeoReader, address: &str) -> (String, String) {
        let address: IpAddr = address.parse().unwrap();
        let Place { country, city } = geo.look_up(address).unwrap();
        (country.to_owned(), city.to_owned())
    }

    fn at(country: &str, city: &str) -> (String, String) {
        (country.to_owned(), city.to_owned())
    }

    #[test]
    fn both_layouts_tell_country_and_city() {
        for name in ["geolite2-city.mmdb", "dbip-city.mmdb"] {
            let geo = GeoReader::open(&fixture(name)).unwrap();
            assert_eq!(place(&geo, "203.0.113.77"), at("AT", "Vienna"), "{name}");
            assert_eq!(place(&geo, "198.51.100.7"), at("DE", "Munich"), "{name}");
            assert_eq!(place(&geo, "8.8.8.8"), at("US", "Mountain View"), "{name}");
            assert_eq!(
                place(&geo, "192.0.2.1"),
                at("FR", ""),
                "{name}: only the country is known"
            );
            assert_eq!(place(&geo, "198.51.100.200"), at("", ""), "{name}: not in the file");
            assert_eq!(place(&geo, "127.0.0.1"), at("", ""), "{name}: not in the file");
            assert_eq!(
                place(&geo, "::ffff:203.0.113.77"),
                at("AT", "Vienna"),
                "{name}: IPv4-mapped"
            );
            assert_eq!(geo.build_epoch(), 1_767_225_600, "{name}");
        }
    }

    #[test]
    fn an_ipv6_address_is_found_or_unknown_where_the_file_holds_ipv4_only() {
        let nested = GeoReader::open(&fixture("geolite2-city.mmdb")).unwrap();
        assert_eq!(place(&nested, "2001:db8:1::42"), at("DE", "Berlin"));
        assert_eq!(place(&nested, "2001:db8:2::42"), at("", ""));
        assert_eq!(place(&nested, "::1"), at("", ""));
        let flat = GeoReader::open(&fixture("dbip-city.mmdb")).unwrap();
        assert_eq!(place(&flat, "2001:db8:1::42"), at("", ""));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = GeoReader::open(Path::new("/nonexistent/city.mmdb")).unwrap_err();
        assert!(matches!(error, GeoError::Unreadable { .. }), "{error}");
        assert!(error.to_string().contains("/nonexistent/city.mmdb"), "{error}");
    }

    #[test]
    fn a_database_without_cities_is_refused() {
        let error = GeoReader::open(&fixture("geolite2-country.mmdb")).unwrap_err();
        assert!(
            matches!(&error, GeoError::NoCities { database_type, .. } if database_type == "GeoLite2-Country"),
            "{error}"
        );
    }

    #[test]
    fn whatever_is_cut_off_a_file_it_is_refused_and_nothing_panics() {
        for name in ["geolite2-city.mmdb", "dbip-city.mmdb"] {
            let whole = bytes(name);
            for length in 0..whole.len() {
                let result = GeoReader::from_bytes(whole[..length].to_vec(), Path::new(name));
                assert!(
                    matches!(result, Err(GeoError::Damaged { .. })),
                    "{name}, {length} bytes of {}",
                    whole.len()
                );
            }
        }
    }

    #[test]
    fn a_file_whose_search_tree_was_overwritten_is_refused() {
        for name in ["geolite2-city.mmdb", "dbip-city.mmdb"] {
            let mut damaged = bytes(name);
            damaged[12..120].fill(0xFE);
            let result = GeoReader::from_bytes(damaged, Path::new(name));
            assert!(matches!(result, Err(GeoError::Damaged { .. })), "{name}");
        }
    }

    #[test]
    fn damage_anywhere_is_an_error_or_a_wrong_place_and_never_a_panic() {
        for name in ["geolite2-city.mmdb", "dbip-city.mmdb"] {
            let whole = bytes(name);
            for at in 0..whole.len() {
                let mut damaged = whole.clone();
                damaged[at] ^= 0xFF;
                if let Ok(geo) = GeoReader::from_bytes(damaged, Path::new(name)) {
                    let _ = geo.look_up(IpAddr::from([203, 0, 113, 9]));
                    let _ = geo.look_up("2001:db8:1::42".parse().unwrap());
                }
            }
        }
    }
}
