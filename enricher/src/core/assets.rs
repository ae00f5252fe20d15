//! Everything that a batch is validated and enriched with: one immutable snapshot.

use std::sync::Arc;

use gosight_config::EnricherSettings;

use crate::core::geo::{Geo, GeoError, GeoReader};
use crate::core::rules::Rules;
use crate::core::user_agents::UserAgents;

/// One snapshot; a batch sees the same one from its first event to its last. Clones share the large parts.
#[derive(Debug, Clone)]
pub struct Assets {
    /// Country and city; absent where no file is configured.
    pub geo: Option<Geo>,
    /// Browser, operating system, device.
    pub user_agents: UserAgents,
    /// What a valid event is, and what leaves of a person's address.
    pub rules: Rules,
    /// Version of the enricher, for rejects and headers.
    pub enricher_version: Arc<str>,
}

impl Assets {
    /// Reads what the settings name.
    ///
    /// # Errors
    /// A GeoIP file can't be read or is no city file.
    pub fn load(settings: &EnricherSettings) -> Result<Self, GeoError> {
        let files = settings.geoip.files();
        let readers: Result<Vec<GeoReader>, GeoError> = files.iter().map(|path| GeoReader::open(path)).collect();
        Ok(Self::new(settings, Geo::new(readers?)))
    }

    /// Assets of those settings with those city files.
    pub fn new(settings: &EnricherSettings, geo: Option<Geo>) -> Self {
        Self {
            geo,
            user_agents: UserAgents::new(settings.user_agent.cache_entries),
            rules: Rules::new(settings),
            enricher_version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}
