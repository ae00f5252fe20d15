//! A batch whose body is JSON, or says that it is.

#![no_main]

use gosight_schemas::BodyFormat;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Some(record) = gosight_fuzz::staged(BodyFormat::Json, body) {
        gosight_fuzz::check(record);
    }
});
