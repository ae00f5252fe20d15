//! A GeoIP file that is damaged, or no GeoIP file.

#![no_main]

use std::net::IpAddr;
use std::path::Path;

use gosight_enricher::core::GeoReader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let path = Path::new("city.mmdb");
    let Ok(reader) = GeoReader::from_bytes(file.to_vec(), path) else {
        return;
    };
    for address in [
        IpAddr::from([203, 0, 113, 77]),
        IpAddr::from([0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x42]),
    ] {
        let _ = reader.look_up(address);
    }
    let _ = reader.read_through(path);
});
