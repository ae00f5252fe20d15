//! Country and city of an address, from a file in the GeoLite2-City layout.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use maxminddb::{Reader, geoip2};

/// A city file, held in memory whole: a mapped file that someone overwrites in place would kill the process.
pub struct GeoReader {
    reader: Reader<Vec<u8>>,
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
    #[error("the GeoIP file {} cannot be read: {source}; check geoip.database_path and its permissions", path.display())]
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
        "the GeoIP file {} is a {database_type:?} database; geoip.database_path needs a City one, such as GeoLite2-City.mmdb",
        path.display()
    )]
    NoCities {
        /// The file.
        path: PathBuf,
        /// What its metadata says it is.
        database_type: String,
    },
}

impl GeoReader {
    /// Reads a file and checks that it holds cities.
    ///
    /// # Errors
    /// The file can't be read, is damaged, or holds something else than cities.
    pub fn open(path: &Path) -> Result<Self, GeoError> {
        let bytes = std::fs::read(path).map_err(|source| GeoError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::from_bytes(bytes, path)
    }

    /// Takes a file's bytes; `path` is for the error's text.
    ///
    /// # Errors
    /// The bytes are damaged, or hold something else than cities.
    pub fn from_bytes(bytes: Vec<u8>, path: &Path) -> Result<Self, GeoError> {
        let damaged = |reason: String| GeoError::Damaged {
            path: path.to_owned(),
            reason,
        };
        let reader = Reader::from_source(bytes).map_err(|error| damaged(error.to_string()))?;
        let database_type = &reader.metadata().database_type;
        if !database_type.contains("City") {
            return Err(GeoError::NoCities {
                path: path.to_owned(),
                database_type: database_type.clone(),
            });
        }
        let geo = Self { reader };
        // A cut file may open well and fail at its first look-up.
        geo.look_up(IpAddr::from([8, 8, 8, 8])).map_err(damaged)?;
        Ok(geo)
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
        let found = self.reader.lookup(address).map_err(|error| error.to_string())?;
        let Some(city) = found.decode::<geoip2::City>().map_err(|error| error.to_string())? else {
            return Ok(Place::default());
        };
        Ok(Place {
            country: city.country.iso_code.unwrap_or_default(),
            city: city.city.names.english.unwrap_or_default(),
        })
    }
}

impl fmt::Debug for GeoReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metadata = self.reader.metadata();
        write!(f, "GeoReader({} of {})", metadata.database_type, metadata.build_epoch)
    }
}
