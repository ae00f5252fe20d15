//! What stands on each topic: the Avro schemas (`avro/*.avsc`) and their Rust types [`RawBatch`], [`EnrichedEvent`] and
//! [`Reject`], the topics' names and keys, the record headers, the ledger's entries and the closed list of reject codes. Depends on no other crate of
//! this workspace; everything that reads or writes a topic may depend on it.

mod additions;
mod avro_fields;
mod batch_fields;
mod enriched_event;
mod event_count;
pub mod headers;
pub mod json;
pub mod ledger;
mod origin;
mod raw_batch;
mod raw_batch_avro;
mod reject;
mod reject_code;
mod single_object;
pub mod topics;

pub use additions::{Campaign, Geo, Referrer};
pub use batch_fields::{BatchFields, WrittenBatchFields};
pub use enriched_event::{EnrichedEvent, Page, Properties};
pub use event_count::event_count;
pub use json::RawJson;
pub use origin::{NotAnOrigin, Origin};
pub use raw_batch::{BodyFormat, PrivacyRules, RawBatch, Transport};
pub use reject::{KnownPlace, OriginalEvent, Problem, Reject, RejectContext, Stage};
pub use reject_code::RejectCode;
pub use single_object::{DecodeError, EncodeError, decode_raw_batch, encode_raw_batch, is_single_object};
