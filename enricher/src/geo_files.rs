//! The city files on the disk: looked at every few seconds, and a changed one is read, checked and taken over while the lanes work.
//! One that can't serve is refused, and the last good one stays.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use gosight_config::enricher::GeoipSettings;
use gosight_lifecycle::{Latch, Shutdown};

use crate::core::{Geo, GeoError, GeoReader, Stamp};
use crate::outputs::now_ms;

/// The city files that count now. A lane takes them once for each transaction.
pub(crate) type LiveGeo = ArcSwapOption<Geo>;

/// The files that are watched.
pub(crate) struct GeoFiles {
    files: Vec<Watched>,
    live: Arc<LiveGeo>,
    interval: Duration,
    latch: Latch,
}

struct Watched {
    path: PathBuf,
    /// Its path, as metrics name it.
    name: String,
    /// What stood there the last time.
    seen: Option<Stamp>,
    /// What was read last, good or bad.
    read: Option<Stamp>,
    /// The last good one.
    reader: GeoReader,
    /// Why what stands there now is not `reader`.
    refused: Option<String>,
}

/// What a look at a file led to.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    Unchanged,
    Refused,
    Taken,
}

impl GeoFiles {
    /// Watches the files from which `live` was read.
    pub(crate) fn new(settings: &GeoipSettings, live: Arc<LiveGeo>, latch: Latch) -> Self {
        let geo = live.load_full();
        let readers = geo.iter().flat_map(|geo| geo.files());
        let watched = |(path, reader): (PathBuf, &GeoReader)| Watched {
            name: path.display().to_string(),
            path,
            seen: reader.stamp(),
            read: reader.stamp(),
            reader: reader.clone(),
            refused: None,
        };
        Self {
            files: settings.files().into_iter().zip(readers).map(watched).collect(),
            live,
            interval: settings.check_interval,
            latch,
        }
    }

    /// Looks until the shutdown begins.
    pub(crate) async fn watch(mut self, shutdown: Shutdown) {
        self.latch.ready();
        self.report();
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.interval) => {}
                () = shutdown.begun() => return,
            }
            // Reading through a hundred megabytes is not for a thread that serves sockets.
            let looked = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            match looked.await {
                Ok(files) => self = files,
                Err(error) => {
                    tracing::error!(%error, "looking at the GeoIP files crashed; changed ones are not taken over any more");
                    return;
                }
            }
            self.report();
        }
    }

    fn look(&mut self) {
        let looks: Vec<Look> = self.files.iter_mut().map(Watched::look).collect();
        if looks.contains(&Look::Taken) {
            let readers = self.files.iter().map(|file| file.reader.clone()).collect();
            self.live.store(Geo::new(readers).map(Arc::new));
        }
        if looks.iter().any(|look| *look != Look::Unchanged) {
            let refused: Vec<&str> = self.files.iter().filter_map(|file| file.refused.as_deref()).collect();
            if refused.is_empty() {
                self.latch.ready();
            } else {
                self.latch
                    .degraded(format!("{}; the last good file stays", refused.join("; ")));
            }
        }
    }

    fn report(&self) {
        for file in &self.files {
            let build = file.reader.build_epoch();
            let age = (now_ms() / 1000).saturating_sub_unsigned(build);
            metrics::gauge!("enricher_geoip_build_timestamp_seconds", "file" => file.name.clone()).set(build as f64);
            metrics::gauge!("enricher_geoip_age_seconds", "file" => file.name.clone()).set(age as f64);
            for counter in ["enricher_geoip_swaps_total", "enricher_geoip_refused_total"] {
                metrics::counter!(counter, "file" => file.name.clone()).increment(0);
            }
        }
    }
}

impl Watched {
    fn look(&mut self) -> Look {
        let stands = Stamp::of(&self.path);
        let before = std::mem::replace(&mut self.seen, stands);
        // One that was changed since the last look may still be written to.
        if stands == self.read || stands != before {
            return Look::Unchanged;
        }
        let started = Instant::now();
        let opened = self.open();
        if Stamp::of(&self.path) != stands {
            // Changed while it was read: what was read may be half of each.
            return Look::Unchanged;
        }
        self.read = stands;
        let file = self.name.clone();
        match opened {
            Ok(reader) => {
                let (from, to) = (self.reader.build_epoch(), reader.build_epoch());
                tracing::info!(file, from, to, took = ?started.elapsed(), "GeoIP file taken over");
                metrics::counter!("enricher_geoip_swaps_total", "file" => file).increment(1);
                self.reader = reader;
                self.refused = None;
                Look::Taken
            }
            Err(error) => {
                tracing::error!(file, %error, "a changed GeoIP file is refused; the last good one stays");
                metrics::counter!("enricher_geoip_refused_total", "file" => file).increment(1);
                self.refused = Some(error.to_string());
                Look::Refused
            }
        }
    }

    fn open(&self) -> Result<GeoReader, GeoError> {
        let reader = GeoReader::open(&self.path)?;
        reader.read_through(&self.path)?;
        Ok(reader)
    }
}
