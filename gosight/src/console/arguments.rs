//! What `gosight console` takes.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::connection::LogArguments;

/// Serve a page that shows the flow, the dead letters and events as they come, and a place to try events out
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  gosight console --listen 127.0.0.1:0\n  \
                  gosight console --brokers 127.0.0.1:9092 --edge http://127.0.0.1:8080 --key gs_test_key --listen 127.0.0.1:0\n\n\
                  On loopback anyone on this machine may look; elsewhere looking needs the token, too. What changes anything always \
                  needs it. Put a proxy with TLS in front where it is reached over a network.")]
pub(crate) struct ConsoleArguments {
    #[command(flatten)]
    pub(crate) log: LogArguments,

    /// Enricher configuration: its group, its rules, and what dead letters are run through
    #[arg(long, value_name = "FILE")]
    pub(crate) enricher_config: Option<PathBuf>,

    /// Address to listen on; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9470")]
    pub(crate) listen: SocketAddr,

    /// Token of at least 16 characters [default: a new one, which is printed]
    #[arg(long, value_name = "TOKEN", env = "GOSIGHT_CONSOLE_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,

    /// Where an edge takes events over HTTP, for the page Try it, as http://127.0.0.1:8080
    #[arg(long, value_name = "URL")]
    pub(crate) edge: Option<String>,

    /// API key that the page Try it sends with
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,

    /// Show addresses and user ids
    #[arg(long)]
    pub(crate) reveal: bool,

    /// What to log on standard error, for example info
    #[arg(long, value_name = "FILTER", env = "LOG_LEVEL", default_value = "warn")]
    pub(crate) log_level: String,
}
