//! stub
use bytes::Bytes;

use super::{Envelope, EnvelopeLimits};
use crate::outcome::Refusal;

pub(super) fn read(_body: &Bytes, _limits: EnvelopeLimits) -> Result<Envelope, Refusal> {
    Err(Refusal::invalid_json())
}
