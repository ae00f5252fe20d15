//! `log` and `tracing`, the same in both files.

use super::Findings;
use crate::forms::is_host_and_port;
use crate::telemetry::{LogSettings, TracingSettings};

pub(super) fn check(log: &LogSettings, tracing: &TracingSettings, findings: &mut Findings) {
    if log.level.trim().is_empty() {
        findings.refuse(["log.level"], "is empty; write for example info");
    }
    let endpoint = tracing.otlp_endpoint.as_str();
    let is_good = endpoint
        .strip_prefix("http://")
        .is_some_and(|address| is_host_and_port(address.strip_suffix('/').unwrap_or(address)));
    if !endpoint.is_empty() && !is_good {
        findings.refuse(
            ["tracing.otlp_endpoint"],
            "is no address of a collector; write for example http://127.0.0.1:4317, or leave it empty for no traces",
        );
    }
}
