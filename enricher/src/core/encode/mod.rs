//! From outcomes to the bytes of their records.

mod event;
mod reject;

pub(super) use event::{ADDED, metric_name, write_raw_value};
pub(super) use reject::{Original, Rejecter};
