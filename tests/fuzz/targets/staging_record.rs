//! Any bytes on the staging topic, of an edge or of anyone else.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|record: &[u8]| gosight_fuzz::check(record.to_vec().into()));
