//! Everything that a batch is validated and enriched with: one immutable snapshot.

use std::sync::Arc;

use gosight_config::EnricherSettings;

use crate::core::geo::{GeoError, GeoReader};
use crate::core::rules::Rules;
use crate::core::user_agents::UserAgents;

/// One snapshot; a batch sees the same one from its first event to its last. Clones share the large parts.
#[derive(Debug, Clone)]
pub struct Assets {
    /// Country and city; absent where no file is configured.
    pub geo: Option<GeoReader>,
    /// Browser, operating system, device.
    pub user_agents: UserAgents,
    /// What a valid event is, and what leaves of a person's address.
    pub rules: Rules,
    /// Version of the enricher, for rejects.
    pub enricher_version: Arc<str>,
}

impl Assets {
    /// Reads what the settings name.
    ///
    /// # Errors
    /// The GeoIP file can't be read or is no city file.
    pub fn load(settings: &EnricherSettings) -> Result<Self, GeoError> {
        let path = &settings.geoip.database_path;
        let geo = if path.as_os_str().is_empty() {
            None
        } else {
            Some(GeoReader::open(path)?)
        };
        Ok(Self::new(settings, geo))
    }

    /// Assets of those settings with that city file.
    pub fn new(settings: &EnricherSettings, geo: Option<GeoReader>) -> Self {
        Self {
            geo,
            user_agents: UserAgents::new(settings.user_agent.cache_entries),
            rules: Rules::new(settings),
            enricher_version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}
