//! Browser, operating system and kind of device: a browser's header says it best, and what the SDK saw fills its gaps. The user
//! agent of a client library says nothing of the device ([`crate::core::UserAgents`] gives nothing there), so the SDK's word is the
//! only one.

use std::borrow::Cow;
use std::sync::Arc;

use gosight_schemas::{BatchFields, RawBatch};

use crate::core::assets::Assets;
use crate::core::event::BatchFacts;

pub(super) struct AgentFacts {
    browser: Pair,
    os: Pair,
    device_type: Arc<str>,
}

/// A name and its version; they stay together.
struct Pair {
    name: Arc<str>,
    version: Arc<str>,
}

impl AgentFacts {
    pub(super) fn of(batch: &RawBatch, facts: &BatchFacts<'_>, assets: &Assets) -> Self {
        let device = &facts.device;
        let agent = assets
            .user_agents
            .parse(batch.user_agent.as_deref(), &batch.client_hints);
        let browser = Pair {
            name: agent.browser,
            version: agent.browser_version,
        };
        let os = Pair {
            name: agent.os,
            version: agent.os_version,
        };
        let device_type = if agent.device_type.is_empty() {
            device.device_type.unwrap_or_default().into()
        } else {
            agent.device_type
        };
        Self {
            browser: browser.or(device.browser.as_ref(), device.browser_version.as_ref()),
            os: os.or(device.os.as_ref(), device.os_version.as_ref()),
            device_type,
        }
    }

    pub(super) fn add<'a>(&'a self, fields: &mut BatchFields<'a>) {
        fields.browser = Cow::Borrowed(&self.browser.name);
        fields.browser_version = Cow::Borrowed(&self.browser.version);
        fields.os = Cow::Borrowed(&self.os.name);
        fields.os_version = Cow::Borrowed(&self.os.version);
        fields.device_type = Cow::Borrowed(&self.device_type);
    }
}

impl Pair {
    /// This one, or the SDK's where its name is unknown; the SDK's version also where both give the same name.
    fn or(self, name: Option<&Cow<'_, str>>, version: Option<&Cow<'_, str>>) -> Self {
        let Some(name) = name else { return self };
        let same = self.name.eq_ignore_ascii_case(name);
        if self.name.is_empty() || (same && self.version.is_empty()) {
            let name = if same { self.name } else { Arc::from(&**name) };
            let version = version.map_or_else(Arc::default, |version| Arc::from(&**version));
            return Self { name, version };
        }
        self
    }
}
