//! `gosight-enricher`: reads the configuration, connects to Kafka and runs the lanes until it is told to stop.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use gosight_config::{EnricherSettings, Source, environment};
use gosight_enricher::{Assets, EnricherParts, serve};
use gosight_eventlog::EventLog;
use gosight_eventlog::kafka::KafkaLog;
use gosight_lifecycle::admin::AdminParts;
use gosight_lifecycle::command_line::ServiceArguments;
use gosight_lifecycle::telemetry::LogFilter;
use gosight_lifecycle::traces::init_traces;
use gosight_lifecycle::{Readiness, Shutdown, admin, exit, telemetry};
use tokio::net::TcpListener;

/// Bodies and records of 4 to 40 KB live for milliseconds: glibc's allocator merges and splits them all the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Nothing is appended outside of the lanes' transactions, so the log has nothing to wait for.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Turns staged batches into enriched events: validates, removes duplicates, adds facts, and commits each with its position
#[derive(Debug, Parser)]
#[command(name = "gosight-enricher", version)]
struct Arguments {
    #[command(flatten)]
    service: ServiceArguments,
}

/// Why the process ends, and with which code.
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    fn new(code: u8, message: impl ToString) -> Self {
        Self {
            code,
            message: message.to_string(),
        }
    }

    fn bad_configuration(message: impl ToString) -> Self {
        Self::new(exit::BAD_CONFIGURATION, message)
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { exit::BAD_CONFIGURATION } else { 0 };
            // Nobody is there to hear that the terminal is gone.
            let _ = error.print();
            return exit::code(code);
        }
    };
    match prepare(&arguments.service).and_then(|prepared| prepared.map_or(Ok(()), run)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, message }) => {
            complain(&message);
            exit::code(code)
        }
    }
}

/// Settings and assets that passed every check.
struct Prepared {
    settings: EnricherSettings,
    assets: Assets,
    log_filter: LogFilter,
    warnings: Vec<String>,
}

/// Reads and checks everything that can be checked before anything is bound; `None` where that was all that was asked for.
fn prepare(arguments: &ServiceArguments) -> Result<Option<Prepared>, Failure> {
    let source = Source::file_or_shipped(arguments.config.as_deref());
    let mut read = None;
    let check = |settings: &EnricherSettings| {
        let mut found = Vec::from_iter(telemetry::check_logs(&settings.log));
        match Assets::load(settings) {
            Ok(assets) => read = Some(assets),
            Err(error) => found.push(error.of_settings(&settings.geoip)),
        }
        found
    };
    let loaded = EnricherSettings::load_and(&source, &environment(), check).map_err(Failure::bad_configuration)?;
    if arguments.check {
        for warning in &loaded.warnings {
            complain(warning);
        }
        complain("the configuration is good");
        return Ok(None);
    }
    let Some(assets) = read else {
        return Err(Failure::new(
            exit::FAILED,
            "the GeoIP files were not read; this is a defect",
        ));
    };
    let log_filter = telemetry::init_logs(&loaded.settings.log).map_err(Failure::bad_configuration)?;
    Ok(Some(Prepared {
        log_filter,
        settings: loaded.settings,
        assets,
        warnings: loaded.warnings,
    }))
}

fn run(prepared: Prepared) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(exit::FAILED, format!("the runtime did not start: {error}")))?;
    let result = runtime.block_on(serve_until_stopped(prepared));
    // Threads inside librdkafka's calls may take longer than anyone wants to wait.
    runtime.shutdown_timeout(CLOSE_TIMEOUT);
    result
}

async fn serve_until_stopped(prepared: Prepared) -> Result<(), Failure> {
    let Prepared {
        mut settings,
        assets,
        log_filter,
        warnings,
    } = prepared;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let traces = init_traces(&settings.tracing, "gosight-enricher").map_err(Failure::bad_configuration)?;
    let metrics = telemetry::init_metrics().map_err(|error| Failure::new(exit::FAILED, error))?;
    let shutdown =
        Shutdown::on_signals().map_err(|error| Failure::new(exit::FAILED, format!("signal handlers: {error}")))?;
    let (listener, address) = bind(&settings).await?;
    if settings.consumer.instance_id.is_empty() {
        settings.consumer.instance_id = format!("{}-{}", host_name(), address.port());
    }
    let log = KafkaLog::connect(&settings.kafka, "gosight-enricher").map_err(Failure::bad_configuration)?;

    let readiness = Readiness::new();
    // Answers until the lanes have ended, so that a supervisor sees them end.
    let last = Shutdown::new();
    let shown = AdminParts {
        readiness: readiness.clone(),
        metrics,
        log_filter,
    };
    let admin = tokio::spawn(admin::serve(listener, shown, last.clone()));
    let instance = settings.consumer.instance_id.as_str();
    let lanes = settings.consumer.lanes;
    tracing::info!(admin = %address, instance, lanes, version = env!("CARGO_PKG_VERSION"), "listening");

    let served = serve(
        EnricherParts {
            settings,
            assets: Arc::new(assets),
            log: Arc::clone(&log) as Arc<dyn EventLog>,
            readiness,
        },
        shutdown,
    )
    .await;
    if let Err(error) = log.close(CLOSE_TIMEOUT).await {
        tracing::warn!(%error, "the log did not close in time");
    }
    traces.close(CLOSE_TIMEOUT).await;
    last.begin();
    // It holds nothing that could be lost.
    admin.abort();
    served.map_err(|error| Failure::new(exit::FAILED, error))
}

async fn bind(settings: &EnricherSettings) -> Result<(TcpListener, SocketAddr), Failure> {
    let wanted = SocketAddr::new(settings.server.host, settings.server.admin_port);
    let refused = |error: std::io::Error| {
        let message = format!("cannot listen on {wanted}: {error}; change server.host or server.admin_port");
        Failure::new(exit::UNAVAILABLE, message)
    };
    let listener = TcpListener::bind(wanted).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address))
}

/// The machine's name; it needs to be the same after a restart, and no more.
fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

#[expect(
    clippy::print_stderr,
    reason = "before telemetry is up, and at the very end, standard error is the only place"
)]
fn complain(message: &str) {
    eprintln!("gosight-enricher: {message}");
}
