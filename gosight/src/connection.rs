//! Which log a command works on, and the settings that say so.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use gosight_config::kafka::TopicNames;
use gosight_config::{EdgeSettings, EnricherSettings, Source};
use gosight_eventlog::EventLog;
use gosight_eventlog::embedded::{EmbeddedLog, EmbeddedOptions};
use gosight_eventlog::kafka::KafkaLog;

use crate::failure::Failure;

/// Where `gosight dev` keeps its log unless told otherwise.
const DEFAULT_DATA: &str = "data";

// Which log a command works on: Kafka where brokers or a configuration are named, else the embedded log of `--data`.
#[derive(Debug, Args)]
pub(crate) struct LogArguments {
    /// Directory of an embedded log [default: data, unless Kafka is named]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["brokers", "config"])]
    pub(crate) data: Option<PathBuf>,

    /// Kafka brokers, host:port separated by commas
    #[arg(long, value_name = "BROKERS", env = "KAFKA_BROKERS")]
    pub(crate) brokers: Option<String>,

    /// Edge configuration whose `kafka` section says how to reach the brokers
    #[arg(long, value_name = "FILE", env = "CONFIG_PATH")]
    pub(crate) config: Option<PathBuf>,
}

/// A log that was there, and the names of its topics.
pub(crate) struct Opened {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) topics: TopicNames,
    /// What the edge that writes to it is configured with; the defaults where the log is embedded.
    pub(crate) edge: EdgeSettings,
}

/// Opens the log that the arguments name: Kafka where brokers or a configuration are named, else an embedded one.
pub(crate) async fn open_existing(arguments: &LogArguments, client_id: &str) -> Result<Opened, Failure> {
    let names_kafka = arguments.brokers.is_some() || arguments.config.is_some();
    if arguments.data.is_none() && names_kafka {
        let settings = edge_settings(arguments.config.as_deref(), arguments.brokers.as_deref())?;
        let log = KafkaLog::connect(&settings.kafka, client_id)?;
        return Ok(Opened {
            log,
            topics: settings.kafka.topics.clone(),
            edge: settings,
        });
    }
    let directory = arguments.data.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_DATA));
    if !directory.join("log.db").exists() {
        let path = directory.display();
        return Err(Failure::unavailable(format!(
            "there is no log in {path}; start one with `gosight dev --data {path}`, or name Kafka's with --brokers"
        )));
    }
    let log = EmbeddedLog::open(&directory, EmbeddedOptions::default()).await?;
    Ok(Opened {
        log,
        topics: TopicNames::default(),
        edge: EdgeSettings::default(),
    })
}

/// The edge's settings from a file or the built-in defaults, with other brokers where some are named.
pub(crate) fn edge_settings(file: Option<&Path>, brokers: Option<&str>) -> Result<EdgeSettings, Failure> {
    let source = Source::file_or_shipped(file);
    let mut settings = EdgeSettings::load(&source, &gosight_config::environment())
        .map_err(bad)?
        .settings;
    if let Some(brokers) = brokers {
        settings.kafka.brokers = brokers.split(',').map(|broker| broker.trim().to_owned()).collect();
    }
    Ok(settings)
}

/// The enricher's settings from a file or the built-in defaults.
pub(crate) fn enricher_settings(file: Option<&Path>) -> Result<EnricherSettings, Failure> {
    let source = Source::file_or_shipped(file);
    Ok(EnricherSettings::load(&source, &gosight_config::environment())
        .map_err(bad)?
        .settings)
}

fn bad(errors: impl std::fmt::Display) -> Failure {
    Failure::usage(errors.to_string())
}
