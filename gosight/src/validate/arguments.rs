//! What `gosight validate` takes.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use uuid::Uuid;

use crate::output::OutputFormat;

/// Say what would become of each event of a batch, without staging anything or needing any service
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gosight validate batch.json\n  gosight validate - < batch.json\n  \
                  gosight validate batch.json --user-agent 'Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0'\n  \
                  gosight validate batch.pb --body protobuf --format json\n\n\
                  Exit code 1 when the batch would be refused or an event rejected."
)]
pub(crate) struct ValidateArguments {
    /// A batch as an SDK sends it, JSON or protobuf, compressed with gzip or not; - reads standard input
    #[arg(value_name = "FILE|-")]
    pub(crate) file: PathBuf,

    /// How the body is encoded
    #[arg(long, value_enum, default_value_t = BodyChoice::Auto)]
    pub(crate) body: BodyChoice,

    /// User-Agent header of the client
    #[arg(long, value_name = "TEXT")]
    pub(crate) user_agent: Option<String>,

    /// Address of the client
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) ip: IpAddr,

    /// The project that the key would belong to; derived event ids depend on it
    #[arg(long, value_name = "UUID", default_value = "b0000000-0000-0000-0000-000000000001")]
    pub(crate) project: Uuid,

    /// When the batch arrives: a time (2026-01-31T12:00:00Z) or an age (10m); without it now
    #[arg(long, value_name = "TIME|AGE")]
    pub(crate) at: Option<String>,

    /// GeoLite2-City or GeoIP2-City file, over the one of the configuration
    #[arg(long, value_name = "FILE", env = "GEOIP_DATABASE")]
    pub(crate) geoip: Option<PathBuf>,

    /// Edge configuration: limits
    #[arg(long, value_name = "FILE", env = "CONFIG_PATH")]
    pub(crate) config: Option<PathBuf>,

    /// Enricher configuration: validation, clock, privacy
    #[arg(long, value_name = "FILE")]
    pub(crate) enricher_config: Option<PathBuf>,

    /// How to show the outcomes
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: OutputFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BodyChoice {
    /// JSON, unless it has bytes that no JSON text has
    Auto,
    /// A JSON document
    Json,
    /// A protobuf gosight.EventBatch
    Protobuf,
}
