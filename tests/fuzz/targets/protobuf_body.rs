//! A batch whose body is protobuf, or says that it is.

#![no_main]

use gosight_schemas::BodyFormat;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Some(record) = gosight_fuzz::staged(BodyFormat::Protobuf, body) {
        gosight_fuzz::check(record);
    }
});
