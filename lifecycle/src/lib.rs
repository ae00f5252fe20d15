//! What every running process of ours shares: its command line and exit codes, logs, metrics and traces, the admin port, readiness
//! latches and an orderly shutdown. Knows nothing of events or the log. May depend on `config` only.

pub mod admin;
pub mod command_line;
pub mod exit;
pub mod readiness;
pub mod shutdown;
pub mod telemetry;
pub mod traces;

pub use readiness::{Latch, Readiness};
pub use shutdown::Shutdown;
