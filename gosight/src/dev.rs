//! `gosight dev`: edge and enricher in one process on the embedded log, with nothing else to start.

mod arguments;
mod banner;
mod directory;
mod ports;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gosight_config::telemetry::{LogFormat, LogSettings, TracingSettings};
use gosight_config::{EdgeSettings, EnricherSettings};
use gosight_edge::admission::{KeyDirectory, LocalLimiter, SqliteKeys};
use gosight_edge::{EdgeParts, Listeners, Live};
use gosight_enricher::{Assets, EnricherParts};
use gosight_eventlog::EventLog;
use gosight_eventlog::embedded::{EmbeddedLog, EmbeddedOptions};
use gosight_lifecycle::admin::AdminParts;
use gosight_lifecycle::traces::init_traces;
use gosight_lifecycle::{Readiness, Shutdown, admin, telemetry};

use crate::failure::Failure;
use crate::topics;

pub(crate) use self::arguments::DevArguments;

/// The keys that every development set-up has, and the project that they belong to.
const KEYS: [&str; 2] = ["gs_test_key", "gs_test_project_key"];
const PROJECT: &str = "b0000000-0000-0000-0000-000000000001";

/// After Ctrl-C, requests in flight have so long, and then the log: together under the ten seconds that a person is promised.
const DRAIN: Duration = Duration::from_secs(4);
const CLOSE: Duration = Duration::from_secs(3);
const CLOSE_TRACES: Duration = Duration::from_secs(1);

/// `gosight dev`
pub(crate) async fn run(arguments: DevArguments) -> Result<(), Failure> {
    let log_filter = telemetry::init_logs(&LogSettings {
        format: LogFormat::Human,
        level: arguments.log_level.clone(),
    })
    .map_err(|error| Failure::usage(error.to_string()))?;
    let tracing = TracingSettings {
        otlp_endpoint: arguments.otlp_endpoint.clone(),
        sampling_ratio: 1.0,
    };
    let traces = init_traces(&tracing, "gosight-dev").map_err(|error| Failure::usage(error.to_string()))?;
    let metrics = telemetry::init_metrics().map_err(|error| Failure::software(error.to_string()))?;

    let edge_settings = edge_settings(&arguments);
    let enricher_settings = enricher_settings(&arguments);
    // Whoever is told that a port or the directory is taken must not find anything changed.
    let ports = ports::bind(&arguments).await?;
    let directory = directory::Directory::lock(&arguments.data)?;
    let assets = Assets::load(&enricher_settings).map_err(|error| Failure::usage(error.to_string()))?;

    let log = open_log(directory.path(), &edge_settings, &enricher_settings).await?;
    let keys = open_keys(directory.path()).await?;
    let readiness = Readiness::new();
    let shutdown = Shutdown::on_signals().map_err(|error| Failure::software(format!("signals: {error}")))?;

    let addresses = ports.addresses();
    // Its own stop: what is accepted while the edge drains is still answered for by the log and the admin port.
    let last = Shutdown::new();
    let live = Live::new(&edge_settings);
    let shown = AdminParts {
        readiness: readiness.clone(),
        metrics,
        log_filter,
    };
    let admin = tokio::spawn(admin::serve(ports.admin, shown, last.clone()));
    let edge = tokio::spawn(gosight_edge::serve(
        EdgeParts {
            keys: KeyDirectory::new(&edge_settings.keys, Arc::new(keys), None),
            limiter: Arc::new(LocalLimiter::new(&live)),
            live,
            log: Arc::clone(&log),
            log_name: "log",
            readiness: readiness.clone(),
            tls: None,
            settings: edge_settings,
        },
        Listeners {
            http: ports.http,
            grpc: ports.grpc,
        },
        shutdown.child(),
    ));
    let enricher = tokio::spawn(gosight_enricher::serve(
        EnricherParts {
            settings: enricher_settings,
            assets: Arc::new(assets),
            log: Arc::clone(&log),
            readiness,
        },
        shutdown.child(),
    ));
    banner::print(&addresses, directory.path());

    let (edge, enricher) = tokio::join!(ended("edge", edge, &shutdown), ended("enricher", enricher, &shutdown));
    let closed = log.close(CLOSE).await;
    traces.close(CLOSE_TRACES).await;
    last.begin();
    // The admin port holds nothing that could be lost.
    admin.abort();
    edge?;
    enricher?;
    closed?;
    Ok(())
}

/// Waits for a part to end; when one ends by itself, the other must not go on alone.
async fn ended<E: std::fmt::Display>(
    name: &str,
    part: tokio::task::JoinHandle<Result<(), E>>,
    shutdown: &Shutdown,
) -> Result<(), Failure> {
    let result = part.await;
    shutdown.begin();
    match result {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Failure::software(format!("the {name} stopped: {error}"))),
        Err(error) => Err(Failure::software(format!("the {name} crashed: {error}"))),
    }
}

async fn open_log(
    directory: &Path,
    edge: &EdgeSettings,
    enricher: &EnricherSettings,
) -> Result<Arc<dyn EventLog>, Failure> {
    let log = EmbeddedLog::open(directory, EmbeddedOptions::default()).await?;
    log.create_topics(&topics::contract(edge, enricher)).await?;
    Ok(log)
}

async fn open_keys(directory: &Path) -> Result<SqliteKeys, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::software(format!("keys: {error}"));
    let keys = SqliteKeys::open(&directory.join("keys.db"))
        .await
        .map_err(|error| failed(&error))?;
    for key in KEYS {
        keys.ensure_key(PROJECT, key, "development")
            .await
            .map_err(|error| failed(&error))?;
    }
    Ok(keys)
}

fn edge_settings(arguments: &DevArguments) -> EdgeSettings {
    let mut settings = EdgeSettings::default();
    settings.server.host = arguments.host;
    settings.server.http_port = arguments.http_port;
    settings.server.grpc_port = arguments.grpc_port;
    settings.server.admin_port = arguments.admin_port;
    settings.server.drain_delay = Duration::ZERO;
    settings.server.shutdown_timeout = DRAIN;
    // One developer on one machine, load tests included: the limiter works but does not stand in the way.
    settings.rate_limit.requests_per_second = 20_000;
    settings.rate_limit.burst = 40_000;
    settings.rate_limit.events_per_second = 200_000;
    settings.rate_limit.events_burst = 400_000;
    settings
}

fn enricher_settings(arguments: &DevArguments) -> EnricherSettings {
    let mut settings = EnricherSettings::default();
    settings.consumer.lanes = 1;
    settings.consumer.instance_id = "dev".to_owned();
    settings.server.shutdown_timeout = DRAIN;
    if let Some(file) = &arguments.geoip {
        settings.geoip.database_path.clone_from(file);
    }
    settings
}
