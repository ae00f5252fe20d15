//! Browser, operating system and device from the User-Agent header and the client hints.

/// Parses user agents and remembers the latest, up to a limit.
#[derive(Debug)]
pub struct UserAgents {}

impl UserAgents {
    /// One that remembers at most `entries` parsed headers.
    pub fn new(_entries: u64) -> Self {
        Self {}
    }
}
