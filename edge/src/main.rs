//! `gosight-edge`: reads and checks its configuration before anything is bound, then serves until it is told to stop.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use gosight_config::{EdgeSettings, Loaded, Source};
use gosight_edge::admission::{KeyDirectory, PostgresKeys, RedisKeyCache, RedisLimiter};
use gosight_edge::reload::Reload;
use gosight_edge::{EdgeParts, Listeners, Live, Tls};
use gosight_eventlog::EventLog;
use gosight_eventlog::kafka::KafkaLog;
use gosight_lifecycle::admin::AdminParts;
use gosight_lifecycle::command_line::ServiceArguments;
use gosight_lifecycle::telemetry::{LogFilter, PrometheusHandle};
use gosight_lifecycle::traces::init_traces;
use gosight_lifecycle::{Readiness, Shutdown, admin, exit, telemetry};
use tokio::net::TcpListener;

/// Bodies and records of 4 to 40 KB live for milliseconds: glibc's allocator merges and splits them all the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The name under which Kafka's logs and quotas know the process.
const CLIENT_ID: &str = "gosight-edge";
/// After the last answer, what is still queued for Kafka has so long.
const CLOSE_LOG: Duration = Duration::from_secs(5);
/// And after that, the last spans for their collector.
const CLOSE_TRACES: Duration = Duration::from_secs(2);

/// Takes events over HTTP, gRPC and gRPC-Web and stages them durably
#[derive(Debug, Parser)]
#[command(name = "gosight-edge", version)]
struct CommandLine {
    #[command(flatten)]
    service: ServiceArguments,
}

/// Why the process ends without being asked to, and its exit code.
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    fn configuration(error: impl ToString) -> Self {
        Self {
            code: exit::BAD_CONFIGURATION,
            message: error.to_string(),
        }
    }

    fn unavailable(error: impl ToString) -> Self {
        Self {
            code: exit::UNAVAILABLE,
            message: error.to_string(),
        }
    }

    fn software(error: impl ToString) -> Self {
        Self {
            code: exit::FAILED,
            message: error.to_string(),
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match CommandLine::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return exit::code(if error.use_stderr() { exit::BAD_CONFIGURATION } else { 0 });
        }
    };
    match run(arguments.service).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Also where logs could not be started: whoever starts the process must see it.
            let _ = writeln!(std::io::stderr(), "gosight-edge: {}", failure.message);
            exit::code(failure.code)
        }
    }
}

async fn run(arguments: ServiceArguments) -> Result<(), Failure> {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let source = Source::file_or_shipped(arguments.config.as_deref());
    let mut tls = None;
    let check = |settings: &EdgeSettings| {
        let mut found = Vec::from_iter(telemetry::check_logs(&settings.log));
        match Tls::load(&settings.server.tls) {
            Ok(loaded) => tls = loaded,
            Err(error) => found.push(error.into()),
        }
        found
    };
    let loaded = EdgeSettings::load_and(&source, &environment, check).map_err(Failure::configuration)?;
    if arguments.check {
        let mut person = std::io::stderr();
        for warning in &loaded.warnings {
            let _ = writeln!(person, "gosight-edge: {warning}");
        }
        let _ = writeln!(person, "gosight-edge: the configuration is good");
        return Ok(());
    }
    let log_filter = telemetry::init_logs(&loaded.settings.log).map_err(Failure::configuration)?;
    let traces = init_traces(&loaded.settings.tracing, "gosight-edge").map_err(Failure::configuration)?;
    let metrics = telemetry::init_metrics().map_err(Failure::software)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let live = Live::new(&loaded.settings);
    let reload = Reload {
        source,
        environment,
        live: live.clone(),
        set_log_level: {
            let log_filter = log_filter.clone();
            Box::new(move |level| log_filter.set(level).map_err(|error| error.to_string()))
        },
    };
    let telemetry = Telemetry { metrics, log_filter };
    let served = serve(loaded, tls, live, reload, telemetry).await;
    traces.close(CLOSE_TRACES).await;
    served
}

/// What the admin port shows of it.
struct Telemetry {
    metrics: PrometheusHandle,
    log_filter: LogFilter,
}

async fn serve(
    loaded: Loaded<EdgeSettings>,
    tls: Option<Tls>,
    live: Live,
    reload: Reload,
    telemetry: Telemetry,
) -> Result<(), Failure> {
    let settings = loaded.settings.clone();
    // The stores need not answer yet: readiness tells, and answers say that they can't serve.
    let log: Arc<dyn EventLog> = KafkaLog::connect(&settings.kafka, CLIENT_ID).map_err(Failure::configuration)?;
    let postgres = PostgresKeys::connect(&settings.postgres).map_err(Failure::configuration)?;
    let cache = RedisKeyCache::connect(&settings.redis, &settings.keys).map_err(Failure::configuration)?;
    let limiter = RedisLimiter::connect(&settings.redis, &live).map_err(Failure::configuration)?;
    let keys = KeyDirectory::new(&settings.keys, Arc::new(postgres), Some(cache));

    // Before anyone can know that we are there: a signal without a handler ends the process.
    let readiness = Readiness::new();
    let shutdown = Shutdown::on_signals().map_err(Failure::software)?;
    let reloading = reload
        .run(loaded, readiness.latch("configuration"), shutdown.clone())
        .map_err(Failure::software)?;
    let reloading = tokio::spawn(reloading);

    let http = bind(&settings, "http_port", settings.server.http_port).await?;
    let grpc = bind(&settings, "grpc_port", settings.server.grpc_port).await?;
    let admin_port = bind(&settings, "admin_port", settings.server.admin_port).await?;
    let address = |listener: &TcpListener| listener.local_addr().map_err(Failure::software);
    tracing::info!(
        http = %address(&http)?,
        grpc = %address(&grpc)?,
        admin = %address(&admin_port)?,
        "listening"
    );

    // Readiness and metrics are answered until the last request has its answer.
    let last = Shutdown::new();
    let shown = AdminParts {
        readiness: readiness.clone(),
        metrics: telemetry.metrics,
        log_filter: telemetry.log_filter,
    };
    let admin = tokio::spawn(admin::serve(admin_port, shown, last.clone()));
    let parts = EdgeParts {
        keys,
        limiter: Arc::new(limiter),
        live,
        log: Arc::clone(&log),
        log_name: "kafka",
        readiness,
        tls,
        settings,
    };
    let served = gosight_edge::serve(parts, Listeners { http, grpc }, shutdown).await;
    let closed = log.close(CLOSE_LOG).await;
    reloading.abort();
    last.begin();
    admin.abort();
    served.map_err(Failure::software)?;
    closed.map_err(Failure::unavailable)?;
    tracing::info!("stopped");
    Ok(())
}

async fn bind(settings: &EdgeSettings, key: &str, port: u16) -> Result<TcpListener, Failure> {
    let host = settings.server.host;
    TcpListener::bind((host, port)).await.map_err(|error| {
        Failure::unavailable(format!(
            "{host}:{port} (server.{key}) can't be listened on: {error}; stop what listens there, or choose another port"
        ))
    })
}
