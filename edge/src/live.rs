//! Settings that change while the edge runs: one snapshot, which everybody reads anew with each request.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use gosight_config::EdgeSettings;
use gosight_config::edge::RateLimitSettings;

use crate::restrictions::Restrictions;

/// The settings that are in force now. Clones share them.
#[derive(Clone)]
pub struct Live {
    current: Arc<ArcSwap<LiveSettings>>,
}

/// One snapshot.
pub(crate) struct LiveSettings {
    pub(crate) rate_limit: RateLimitSettings,
    pub(crate) restrictions: Restrictions,
}

impl Live {
    /// What the settings say, until [`Self::replace`].
    pub fn new(settings: &EdgeSettings) -> Self {
        Self::of(LiveSettings {
            rate_limit: settings.rate_limit.clone(),
            restrictions: Restrictions::new(&settings.restrictions),
        })
    }

    /// From now on these settings are in force. Buckets keep their fill, restrictions that stay keep their counts.
    pub fn replace(&self, settings: &EdgeSettings) {
        let before = self.current.load();
        self.current.store(Arc::new(LiveSettings {
            rate_limit: settings.rate_limit.clone(),
            restrictions: before.restrictions.followed_by(&settings.restrictions),
        }));
    }

    pub(crate) fn load(&self) -> Guard<Arc<LiveSettings>> {
        self.current.load()
    }

    fn of(settings: LiveSettings) -> Self {
        Self {
            current: Arc::new(ArcSwap::from_pointee(settings)),
        }
    }
}

impl From<&Self> for Live {
    fn from(live: &Self) -> Self {
        live.clone()
    }
}

/// Rates alone, for a limiter without an edge around it.
impl From<&RateLimitSettings> for Live {
    fn from(rate_limit: &RateLimitSettings) -> Self {
        Self::of(LiveSettings {
            rate_limit: rate_limit.clone(),
            restrictions: Restrictions::default(),
        })
    }
}
