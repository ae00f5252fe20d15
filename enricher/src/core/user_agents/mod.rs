//! Browser, operating system and device from the User-Agent header and the client hints.
//!
//! woothee names browsers and systems in its own dialect; downstream wants another one (wire contract §3): `iOS`, `macOS`,
//! `Windows` with a version apart, and desktop | mobile | tablet | bot. What is not known is empty. Limits of what a header can
//! tell: Safari on an iPad in its default desktop mode is a Mac by all that it sends, macOS is frozen at 10.15.7 and Windows at 10
//! unless a client hint says more, and a television or a console has no device type of its own downstream, so it has none here.

mod browsers;
mod header;
mod hints;
mod products;
mod systems;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use moka::sync::Cache;

use self::header::Draft;
use self::hints::Hints;

pub use self::products::is_library;

/// Bytes of a User-Agent header that are read; what follows is ignored. Real ones end before 500.
const MAX_USER_AGENT: usize = 1024;
/// A client hint that is longer is ignored.
const MAX_HINT: usize = 512;
/// Bytes of one name or version that leaves here.
const MAX_FACT: usize = 64;

/// What a client runs on. Empty where unknown. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agent {
    /// Name, for example `Chrome`; of an in-app browser the app's, of a bot the bot's.
    pub browser: Arc<str>,
    /// For example `120.0.0.0`.
    pub browser_version: Arc<str>,
    /// `Windows`, `macOS`, `Linux`, `ChromeOS`, `Android`, `iOS` (iPads too), or a rarer one's name.
    pub os: Arc<str>,
    /// For example `10.15.7`; of Windows the name that people know: `7`, `8.1`, `10`, `11`.
    pub os_version: Arc<str>,
    /// desktop, mobile, tablet or bot.
    pub device_type: Arc<str>,
}

/// Parses user agents and remembers the latest, up to a limit. Clones share what they remember.
#[derive(Clone)]
pub struct UserAgents {
    parsed: Cache<Box<str>, Agent>,
}

impl UserAgents {
    /// One that remembers at most `entries` different clients.
    pub fn new(entries: u64) -> Self {
        Self {
            parsed: Cache::new(entries),
        }
    }

    /// What the User-Agent header and the client hints (by lower-case name) tell; the hints win where both speak. Empty for a
    /// client library, whose name says nothing of the device.
    pub fn parse(&self, user_agent: Option<&str>, hints: &BTreeMap<String, String>) -> Agent {
        let user_agent = beginning(user_agent.unwrap_or_default().trim(), MAX_USER_AGENT);
        let relevant: Vec<(&'static str, &str)> = hints::NAMES
            .into_iter()
            .filter_map(|name| Some((name, hints.get(name)?.as_str())))
            .filter(|(_, value)| value.len() <= MAX_HINT)
            .collect();
        if relevant.is_empty() {
            return self.cached(user_agent, || read(user_agent, &Hints::default()));
        }
        let mut key = user_agent.to_owned();
        for (name, value) in &relevant {
            // A header's value holds no line break.
            key.push('\n');
            key.push_str(name);
            key.push('=');
            key.push_str(value);
        }
        self.cached(&key, || read(user_agent, &Hints::read(&relevant)))
    }

    fn cached(&self, key: &str, read: impl FnOnce() -> Agent) -> Agent {
        if let Some(agent) = self.parsed.get(key) {
            return agent;
        }
        let agent = read();
        self.parsed.insert(key.into(), agent.clone());
        agent
    }
}

impl fmt::Debug for UserAgents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserAgents({} remembered)", self.parsed.entry_count())
    }
}

fn read(user_agent: &str, hints: &Hints<'_>) -> Agent {
    if is_library(user_agent) {
        return Agent::default();
    }
    let mut draft = Draft::of_header(user_agent);
    hints.correct(&mut draft);
    let fact = |text: &str| Arc::from(beginning(text.trim(), MAX_FACT));
    Agent {
        browser: fact(&draft.browser),
        browser_version: fact(&draft.browser_version),
        os: fact(&draft.os),
        os_version: fact(&draft.os_version),
        device_type: draft.device.as_str().into(),
    }
}

/// At most so many bytes, at a character's border.
fn beginning(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests;
