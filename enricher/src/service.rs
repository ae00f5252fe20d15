//! The running enricher: its lanes, each started anew when it fails, until the shutdown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gosight_config::EnricherSettings;
use gosight_eventlog::{EventLog, LaneError};
use gosight_lifecycle::telemetry::begin_at_zero;
use gosight_lifecycle::{Latch, Readiness, Shutdown};
use tokio::task::JoinSet;

use crate::core::Assets;
use crate::geo_files::{GeoFiles, LiveGeo};
use crate::lane::{LaneFailure, LaneTask};
use crate::progress::{self, Positions};

/// A lane that failed is opened anew after so long, and after twice as long each further time, up to the last. It is always the
/// last where only a person can help: each attempt makes the group share its partitions anew.
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
const LAST_BACKOFF: Duration = Duration::from_secs(30);
/// A lane that has worked for so long begins with the first wait again.
const STEADY: Duration = Duration::from_secs(60);

/// What the enricher is made of.
pub struct EnricherParts {
    /// Its settings.
    pub settings: EnricherSettings,
    /// What events are enriched with.
    pub assets: Arc<Assets>,
    /// Where batches come from and events go.
    pub log: Arc<dyn EventLog>,
    /// Where each lane says whether it works.
    pub readiness: Readiness,
}

/// Why the enricher ended without being asked to.
#[derive(Debug, thiserror::Error)]
pub enum EnricherError {
    /// Another process runs under the same identity; going on would make both fence each other for ever.
    #[error("{0}")]
    Fenced(LaneError),
    /// A lane's task panicked.
    #[error("a lane crashed: {0}")]
    Crashed(tokio::task::JoinError),
}

/// Runs the lanes until the shutdown begins and their open transactions are settled, within `server.shutdown_timeout`.
///
/// # Errors
/// Another process took this one's identity over, or a lane crashed.
pub async fn serve(parts: EnricherParts, shutdown: Shutdown) -> Result<(), EnricherError> {
    begin_at_zero("enricher_");
    let drain = parts.settings.server.shutdown_timeout;
    let parts = Arc::new(parts);
    let live_geo = Arc::new(LiveGeo::from(parts.assets.geo.clone().map(Arc::new)));
    // Ends with us; it holds nothing that could be lost.
    let mut watching = JoinSet::new();
    if parts.assets.geo.is_some() {
        let latch = parts.readiness.latch("geoip");
        let files = GeoFiles::new(&parts.settings.geoip, Arc::clone(&live_geo), latch);
        watching.spawn(files.watch(shutdown.clone()));
    }
    let positions = Positions::default();
    watching.spawn(progress::watch(
        Arc::clone(&parts.log),
        parts.settings.kafka.topics.staging.clone(),
        positions.clone(),
        parts.settings.consumer.stalled_after,
        parts.readiness.latch("progress"),
        shutdown.clone(),
    ));
    let mut lanes = JoinSet::new();
    for number in 0..parts.settings.consumer.lanes {
        let latch = parts.readiness.latch(format!("lane-{number}"));
        let (parts, live_geo) = (Arc::clone(&parts), Arc::clone(&live_geo));
        lanes.spawn(keep_running(
            parts,
            live_geo,
            positions.clone(),
            number,
            latch,
            shutdown.clone(),
        ));
    }

    let mut result = Ok(());
    let all_ended = async {
        while let Some(ended) = lanes.join_next().await {
            let lane_result = ended.unwrap_or_else(|error| Err(EnricherError::Crashed(error)));
            if lane_result.is_err() {
                // The others leave the group in order; a supervisor starts the process anew.
                shutdown.begin();
                result = lane_result;
            }
        }
    };
    let deadline = async {
        shutdown.begun().await;
        tokio::time::sleep(drain).await;
    };
    tokio::select! {
        () = all_ended => {}
        () = deadline => tracing::warn!(?drain, "lanes did not end in time; their transactions will be aborted and repeated"),
    }
    result
}

/// Opens lane `number` and runs it, again and again while it fails in a way that may pass.
async fn keep_running(
    parts: Arc<EnricherParts>,
    live_geo: Arc<LiveGeo>,
    positions: Positions,
    number: u32,
    latch: Latch,
    shutdown: Shutdown,
) -> Result<(), EnricherError> {
    let mut backoff = FIRST_BACKOFF;
    while !shutdown.has_begun() {
        let began = Instant::now();
        let failure = match run_once(&parts, &live_geo, &positions, number, &latch, &shutdown).await {
            Ok(()) => return Ok(()),
            Err(LaneFailure::Lane(error @ LaneError::Fenced { .. })) => return Err(EnricherError::Fenced(error)),
            Err(failure) => failure,
        };
        if needs_a_person(&failure) {
            backoff = LAST_BACKOFF;
        } else if began.elapsed() >= STEADY {
            backoff = FIRST_BACKOFF;
        }
        tracing::error!(lane = number, %failure, retry_in = ?backoff, "the lane stopped");
        metrics::counter!("enricher_lane_failures_total").increment(1);
        latch.unready(failure.to_string());
        tokio::select! {
            () = tokio::time::sleep(backoff) => {}
            () = shutdown.begun() => {}
        }
        backoff = (backoff * 2).min(LAST_BACKOFF);
    }
    Ok(())
}

async fn run_once(
    parts: &Arc<EnricherParts>,
    live_geo: &Arc<LiveGeo>,
    positions: &Positions,
    number: u32,
    latch: &Latch,
    shutdown: &Shutdown,
) -> Result<(), LaneFailure> {
    // Opening waits for the log, which may be down.
    let lane = tokio::select! {
        lane = LaneTask::open(parts, live_geo, number, latch.clone(), positions.of_lane()) => lane?,
        () = shutdown.begun() => return Ok(()),
    };
    lane.run(shutdown).await
}

fn needs_a_person(failure: &LaneFailure) -> bool {
    matches!(
        failure,
        LaneFailure::Lane(LaneError::OffsetsLost { .. }) | LaneFailure::NoSmaller(_) | LaneFailure::OutOfOrder(_)
    )
}
