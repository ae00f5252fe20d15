//! `gosight console`: a page that shows the flow, dead letters and events as they come. Its files are built in; what it shows is asked
//! of the same parts that the commands use. [`access`] says who may look and who may change.

mod access;
mod arguments;
mod assets;
mod books;
mod dead_letters;
mod flow;
mod jobs;
mod live;
mod router;
mod seconds;

use std::sync::Arc;

use gosight_config::EnricherSettings;
use gosight_config::kafka::TopicNames;
use gosight_config::telemetry::{LogFormat, LogSettings};
use gosight_eventlog::EventLog;
use gosight_lifecycle::{Shutdown, telemetry};
use rand::distr::{Alphanumeric, SampleString};
use tokio::net::TcpListener;

use crate::failure::Failure;
use crate::{connection, ledger, output};

use self::access::Door;
use self::dead_letters::DeadLetters;
use self::flow::Flow;

pub(crate) use self::arguments::ConsoleArguments;
pub(crate) use self::live::Personal;

const TOKEN_LENGTH: usize = 24;

/// What a console shows and where it stands.
pub(crate) struct ConsoleParts {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) topics: TopicNames,
    pub(crate) enricher: EnricherSettings,
    /// `Kafka` or `the embedded log`.
    pub(crate) engine: &'static str,
    /// Where Try it sends, as `http://127.0.0.1:8080`.
    pub(crate) edge: Option<String>,
    /// What Try it sends with.
    pub(crate) key: Option<String>,
    pub(crate) token: String,
    pub(crate) personal: Personal,
}

/// `gosight console`
pub(crate) async fn run(arguments: ConsoleArguments) -> Result<(), Failure> {
    let enricher = connection::enricher_settings(arguments.enricher_config.as_deref())?;
    // What a page can't be told, an operator finds here.
    telemetry::init_logs(&LogSettings {
        format: LogFormat::Human,
        level: arguments.log_level.clone(),
    })
    .map_err(|error| Failure::usage(error.to_string()))?;
    let opened = connection::open_existing(&arguments.log, "gosight-console").await?;
    let listener = TcpListener::bind(arguments.listen).await.map_err(|error| {
        Failure::unavailable(format!(
            "cannot listen on {}: {error}; choose another address with --listen",
            arguments.listen
        ))
    })?;
    let token = arguments.token.unwrap_or_else(new_token);
    let shutdown = Shutdown::on_signals().map_err(|error| Failure::software(format!("signals: {error}")))?;
    let console = serve(
        listener,
        ConsoleParts {
            log: opened.log,
            topics: opened.topics,
            enricher,
            engine: opened.engine,
            edge: arguments.edge.map(|edge| edge.trim_end_matches('/').to_owned()),
            key: arguments.key,
            token: token.clone(),
            personal: if arguments.reveal {
                Personal::Shown
            } else {
                Personal::Redacted
            },
        },
        shutdown,
    )?;
    output::say(&format!("console  http://{}\ntoken    {token}", console.address))?;
    console.ended().await
}

/// A token that nobody guesses.
pub(crate) fn new_token() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), TOKEN_LENGTH)
}

/// A console at work.
pub(crate) struct Serving {
    pub(crate) address: std::net::SocketAddr,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Serving {
    /// Waits until the shutdown has begun and what is under way has ended.
    pub(crate) async fn ended(self) -> Result<(), Failure> {
        match self.task.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::software(format!("the console stopped: {error}"))),
            Err(error) => Err(Failure::software(format!("the console crashed: {error}"))),
        }
    }
}

/// Serves the page until the shutdown begins.
pub(crate) fn serve(listener: TcpListener, parts: ConsoleParts, shutdown: Shutdown) -> Result<Serving, Failure> {
    let address = listener
        .local_addr()
        .map_err(|error| Failure::software(format!("the console's address: {error}")))?;
    let door = Door::new(&parts.token, address).map_err(|error| Failure::usage(error.to_string()))?;
    let flow = Flow::new(
        Arc::clone(&parts.log),
        parts.topics.clone(),
        parts.enricher.consumer.group.clone(),
    );
    let dead_letters = DeadLetters::new(&parts, ledger::operator());
    let state = router::State::new(parts, door, flow, dead_letters, shutdown.clone());
    let app = router::router(state);
    let task = tokio::spawn(async move {
        axum::serve(listener, app)
            .with_graceful_shutdown(async move { shutdown.begun().await })
            .await
    });
    Ok(Serving { address, task })
}
