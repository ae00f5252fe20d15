//! A User-Agent header and, a line each, client hints as `name=value`.

#![no_main]

use std::collections::BTreeMap;

use gosight_enricher::core::{UserAgents, is_library};
use libfuzzer_sys::fuzz_target;

/// Bytes of one name or version that leaves.
const MAX_FACT: usize = 64;

fuzz_target!(|headers: &str| {
    let mut lines = headers.lines();
    let user_agent = lines.next();
    let hints: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    // Anew, so that each is parsed and not remembered.
    let agent = UserAgents::new(1).parse(user_agent, &hints);
    for fact in [&agent.browser, &agent.browser_version, &agent.os, &agent.os_version] {
        assert!(fact.len() <= MAX_FACT, "{fact}");
    }
    let device_type = &*agent.device_type;
    assert!(
        ["", "desktop", "mobile", "tablet", "bot"].contains(&device_type),
        "{device_type}"
    );
    if user_agent.is_some_and(|user_agent| user_agent.len() < 1024 && is_library(user_agent.trim())) {
        assert!(agent.browser.is_empty(), "a library has no browser");
    }
});
