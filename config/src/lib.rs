//! `edge.yaml` and `enricher.yaml` (every key, commented: they are the reference) and the typed, validated settings that they
//! become. Loading is pure but for reading the file; nothing is bound or connected here. May depend on `schemas` only.
//!
//! The way of a file: `document` (YAML to a tree that knows its lines, `${NAME}` replaced), `read` (tree to typed settings),
//! `checks` (contradictions), and [`ConfigErrors`] for whatever was found on the way.

mod checks;
mod document;
pub mod edge;
pub mod enricher;
mod errors;
mod forms;
mod interpolate;
pub mod kafka;
mod load;
mod nearest;
mod read;
pub mod restrictions;
pub mod telemetry;
mod values;

pub use checks::Contradiction;
pub use edge::EdgeSettings;
pub use enricher::EnricherSettings;
pub use errors::ConfigErrors;
pub use load::{Loaded, Source, environment};
