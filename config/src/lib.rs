//! `edge.yaml` and `enricher.yaml` (every key, commented: they are the reference) and the typed, validated settings that they
//! become. Loading is pure but for reading the file and the environment; nothing is bound or connected here. May depend on
//! `schemas` only.

pub mod edge;
pub mod enricher;
pub mod kafka;
mod load;
pub mod telemetry;

pub use edge::EdgeSettings;
pub use enricher::EnricherSettings;
pub use load::{ConfigErrors, Loaded, Source};
