//! What files know of an address: one city file, or several that are asked in turn, and files of networks among them.

mod details;
mod reader;
mod stamp;

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;

pub use details::{Details, Network};
pub use reader::{GeoError, GeoReader, Place};
pub use stamp::Stamp;

/// The city files of one snapshot, in the order in which they are asked. Clones share them.
#[derive(Debug, Clone)]
pub struct Geo {
    files: Arc<[GeoReader]>,
    /// The builds as headers tell them.
    builds: Bytes,
}

impl Geo {
    /// Of these files; `None` of no file.
    pub fn new(files: Vec<GeoReader>) -> Option<Self> {
        if files.is_empty() {
            return None;
        }
        let builds: Vec<String> = files.iter().map(|file| file.build_epoch().to_string()).collect();
        Some(Self {
            files: files.into(),
            builds: builds.join(",").into(),
        })
    }

    /// Where an address is, by the first file that knows it; empty where none does. A file that is damaged where the address leads
    /// knows nothing of it.
    pub fn look_up(&self, address: IpAddr) -> Place<'_> {
        let found = self.files.iter().filter_map(|file| file.look_up(address).ok());
        let mut known = found.filter(|place| *place != Place::default());
        known.next().unwrap_or_default()
    }

    /// More of where an address is, by the first file that knows it; empty where none does.
    pub fn details(&self, address: IpAddr) -> Details<'_> {
        let found = self.files.iter().filter_map(|file| file.details(address).ok());
        let mut known = found.filter(|details| *details != Details::default());
        known.next().unwrap_or_default()
    }

    /// The network of an address, by the first file that knows it; empty where none does.
    pub fn network(&self, address: IpAddr) -> Network<'_> {
        let found = self.files.iter().filter_map(|file| file.network(address).ok());
        let mut known = found.filter(|network| *network != Network::default());
        known.next().unwrap_or_default()
    }

    /// Whether one of the files is one of networks.
    pub fn knows_networks(&self) -> bool {
        self.files.iter().any(GeoReader::knows_networks)
    }

    /// When the newest file was built, Unix seconds.
    pub fn newest_build(&self) -> u64 {
        self.files.iter().map(GeoReader::build_epoch).max().unwrap_or_default()
    }

    /// When each file was built: Unix seconds, in the order of the files, with commas between them.
    pub fn builds(&self) -> &Bytes {
        &self.builds
    }

    /// Whether it is the same snapshot.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.files, &other.files)
    }

    /// The files.
    pub fn files(&self) -> &[GeoReader] {
        &self.files
    }
}

impl From<GeoReader> for Geo {
    fn from(file: GeoReader) -> Self {
        let builds = file.build_epoch().to_string().into();
        Self {
            files: Arc::new([file]),
            builds,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Geo, GeoReader};

    fn fixture(name: &str) -> GeoReader {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/geoip");
        GeoReader::open(&directory.join(name)).unwrap()
    }

    #[test]
    fn what_one_file_does_not_know_the_next_is_asked_for() {
        let geo = Geo::new(vec![fixture("dbip-city.mmdb"), fixture("dbip-city-ipv6.mmdb")]).unwrap();
        for (address, city) in [
            ("203.0.113.77", "Vienna"),
            ("2001:db8:1::42", "Berlin"),
            ("::ffff:203.0.113.77", "Vienna"),
            ("2001:db8:2::42", ""),
        ] {
            assert_eq!(geo.look_up(address.parse().unwrap()).city, city, "{address}");
        }
        assert_eq!(geo.builds(), "1767225600,1767312000");
        assert_eq!(geo.newest_build(), 1_767_312_000);
        assert!(Geo::new(Vec::new()).is_none());
    }
}
