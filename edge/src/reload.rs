//! The configuration read again while the edge runs: when its file changes, and on SIGHUP. What can't be used is refused, and what
//! was in force stays.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use gosight_config::{EdgeSettings, Loaded, Source};
use gosight_lifecycle::telemetry::check_logs;
use gosight_lifecycle::{Latch, Shutdown};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;

/// The file is looked at so often. A change is taken when two looks have seen the same, so that half a file is none: soon enough
/// for a person, and it costs a read of a few kilobytes. The content tells, not the time of the file: it may be swapped by a link
/// around it, or be written twice in a second.
const LOOK: Duration = Duration::from_millis(500);

/// Keys that apply while the edge runs.
const LIVE: [&str; 3] = ["rate_limit", "restrictions", "log.level"];

/// Reads the configuration again.
pub struct Reload {
    /// From where.
    pub source: Source,
    /// What `${NAME}` stands for.
    pub environment: BTreeMap<String, String>,
    /// Where rates and restrictions are taken from.
    pub live: crate::Live,
    /// Sets what is logged.
    pub set_log_level: SetLogLevel,
}

/// Takes `log.level`; the error is for the operator.
pub type SetLogLevel = Box<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// What made us read.
#[derive(Clone, Copy)]
enum Cause {
    File,
    Signal,
}

/// The content of the file as it was seen; `None` where it could not be read.
type Seen = Option<Vec<u8>>;

impl Reload {
    /// Gives the task that watches until the shutdown begins. `started_with` is in force now; `latch` says when the file is not.
    ///
    /// # Errors
    /// The operating system refuses the handler of SIGHUP.
    pub fn run(
        self,
        started_with: Loaded<EdgeSettings>,
        latch: Latch,
        shutdown: Shutdown,
    ) -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
        let mut hangups = signal(SignalKind::hangup())?;
        latch.ready();
        metrics::gauge!("edge_config_refused").set(0.0);
        let mut watched = Watched {
            reload: self,
            read_last: started_with.clone(),
            started_with,
            latch,
        };
        Ok(async move {
            let path = match &watched.reload.source {
                Source::File(path) => Some(path.clone()),
                Source::Shipped => None,
            };
            let mut looks = tokio::time::interval(LOOK);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let first = look(path.as_deref()).await;
            let (mut taken, mut last) = (watched.is_in_force().then_some(first), None);
            loop {
                let cause = tokio::select! {
                    () = shutdown.begun() => return,
                    hangup = hangups.recv() => match hangup {
                        Some(()) => Cause::Signal,
                        None => return,
                    },
                    _ = looks.tick() => Cause::File,
                };
                let seen = look(path.as_deref()).await;
                let due = match cause {
                    Cause::Signal => true,
                    Cause::File => taken.as_ref() != Some(&seen) && last.as_ref() == Some(&seen),
                };
                if due {
                    watched.read(cause);
                    taken = Some(seen.clone());
                }
                last = Some(seen);
            }
        })
    }
}

struct Watched {
    reload: Reload,
    /// In force but for what is live.
    started_with: Loaded<EdgeSettings>,
    /// What is live is in force as it stands here.
    read_last: Loaded<EdgeSettings>,
    latch: Latch,
}

impl Watched {
    /// Whether the file says what is in force: it may have changed since the start read it.
    fn is_in_force(&self) -> bool {
        EdgeSettings::load(&self.reload.source, &self.reload.environment)
            .is_ok_and(|loaded| loaded.differing_keys(&self.started_with).is_empty())
    }

    fn read(&mut self, cause: Cause) {
        let cause = cause.name();
        let check = |settings: &EdgeSettings| Vec::from_iter(check_logs(&settings.log));
        let result = match EdgeSettings::load_and(&self.reload.source, &self.reload.environment, check) {
            Ok(loaded) => self.take(cause, loaded),
            Err(errors) => Err(errors.to_string()),
        };
        let refused = match result {
            Ok(()) => {
                self.latch.ready();
                0.0
            }
            Err(errors) => {
                tracing::error!(
                    cause,
                    "the configuration is refused, the one before stays in force:\n{errors}"
                );
                self.latch
                    .degraded(format!("the file is refused, the one before stays in force: {errors}"));
                1.0
            }
        };
        metrics::gauge!("edge_config_refused").set(refused);
        let result = if refused == 0.0 { "taken" } else { "refused" };
        metrics::counter!("edge_config_reloads_total", "cause" => cause, "result" => result).increment(1);
    }

    fn take(&mut self, cause: &'static str, loaded: Loaded<EdgeSettings>) -> Result<(), String> {
        let (before, now) = (&self.read_last.settings, &loaded.settings);
        // Only where the file changes it: it may have been set by hand meanwhile.
        if before.log.level != now.log.level {
            (self.reload.set_log_level)(&now.log.level)?;
        }
        self.reload.live.replace(now);
        let mut in_place = self.started_with.settings.clone();
        in_place.rate_limit.clone_from(&now.rate_limit);
        in_place.restrictions.clone_from(&now.restrictions);
        in_place.log.level.clone_from(&now.log.level);
        let is_live = |key: &&str| {
            let within = |live: &str| {
                key.strip_prefix(live)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            LIVE.into_iter().any(within)
        };
        let mut changed = self.read_last.differing_keys(&loaded);
        changed.retain(is_live);
        tracing::info!(cause, changed = ?changed, "the configuration is read again");
        if in_place != *now {
            let mut waiting = self.started_with.differing_keys(&loaded);
            waiting.retain(|key| !is_live(key));
            tracing::warn!(keys = ?waiting, "these keys have changed and need a restart; until then they are as before");
        }
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        self.read_last = loaded;
        Ok(())
    }
}

impl Cause {
    fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Signal => "SIGHUP",
        }
    }
}

/// What stands in the file now. A file that is too large is seen as far as it is read; the loader refuses it.
async fn look(path: Option<&Path>) -> Seen {
    use tokio::io::AsyncReadExt;
    const LARGEST: u64 = 1 << 20;
    let file = tokio::fs::File::open(path?).await.ok()?;
    let mut content = Vec::new();
    file.take(LARGEST).read_to_end(&mut content).await.ok()?;
    Some(content)
}
