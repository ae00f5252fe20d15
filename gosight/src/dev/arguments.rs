//! What `gosight dev` takes.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

/// Start everything on this machine in one process: edge, enricher and an embedded log
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  gosight dev\n  gosight dev --data /var/lib/gosight --http-port 9080")]
pub(crate) struct DevArguments {
    /// Directory of the log and the keys
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub(crate) data: PathBuf,

    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,

    /// HTTP port; 0 takes any free one
    #[arg(long, value_name = "PORT", env = "HTTP_PORT", default_value_t = 8080)]
    pub(crate) http_port: u16,

    /// gRPC port; 0 takes any free one
    #[arg(long, value_name = "PORT", env = "GRPC_PORT", default_value_t = 50051)]
    pub(crate) grpc_port: u16,

    /// Port of health, readiness and metrics; 0 takes any free one
    #[arg(long, value_name = "PORT", env = "ADMIN_PORT", default_value_t = 9464)]
    pub(crate) admin_port: u16,

    /// GeoLite2-City or GeoIP2-City file; without one country and city stay empty
    #[arg(long, value_name = "FILE", env = "GEOIP_DATABASE")]
    pub(crate) geoip: Option<PathBuf>,

    /// What to log, for example info or gosight_edge=debug,warn
    #[arg(long, value_name = "FILTER", env = "LOG_LEVEL", default_value = "warn")]
    pub(crate) log_level: String,

    /// Collector for traces, OTLP over gRPC, for example http://127.0.0.1:4317
    #[arg(
        long,
        value_name = "URL",
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) otlp_endpoint: String,
}
