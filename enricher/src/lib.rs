//! `gosight-enricher`: consumes staged batches and turns each event into exactly one record on raw, record on errors, or counted
//! duplicate; outputs and consumed positions commit in one transaction. [`core`] is the pure part (staged record in, outcomes
//! out); the rest moves records between it and the log. May depend on `proto`, `schemas`, `config`, `eventlog` and
//! `lifecycle`, never on `edge`.

mod breaker;
pub mod core;
mod geo_files;
mod lane;
mod outputs;
mod partitions;
mod prime;
mod progress;
pub mod redrive;
mod rerun;
mod service;
#[doc(hidden)]
pub mod steps;
mod topic_limits;
mod window;

pub use crate::core::Assets;
pub use rerun::Rerun;
pub use service::{EnricherError, EnricherParts, serve};
pub use window::Window;
