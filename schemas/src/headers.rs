//! Record headers on raw and errors. Values are UTF-8 text.

/// Where the event stood on staging: [`crate::Origin`], written `topic:partition:offset:index`.
pub const ORIGIN: &str = "origin";
/// The batch it came with (UUIDv7).
pub const BATCH_ID: &str = "batch-id";
/// Version of the enricher that wrote the record.
pub const ENRICHER_VERSION: &str = "enricher-version";
/// Builds of the GeoIP files that it asked: Unix seconds, in the order of the files, with commas between them. Absent without a file.
pub const GEOIP_BUILD: &str = "geoip-build";
/// On errors: the first problem's [`crate::RejectCode`].
pub const CODE: &str = "code";
/// On errors: the project.
pub const PROJECT_ID: &str = "project-id";
/// On errors: how often this event has been tried, from 1.
pub const ATTEMPT: &str = "attempt";
/// The replay that wrote this record.
pub const REPLAY_ID: &str = "replay-id";
/// The reject that a redrive turned into this record.
pub const REDRIVE_OF: &str = "redrive-of";
