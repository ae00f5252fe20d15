//! The envelope of a protobuf batch (`gosight.EventBatch`), read from the wire. It takes and refuses exactly what decoding a
//! `gosight.envelope.EventBatchEnvelope` would, but counts the events instead of collecting them: two bytes of a body can be an
//! event, and a list entry takes sixteen times that.

use bytes::{Buf, Bytes};
use gosight_proto::envelope::SessionEnvelope;
use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType, check_wire_type, decode_key, int64, message, skip_field, string};

use super::{Envelope, EnvelopeLimits};
use crate::outcome::{Reason, Refusal};

const PROJECT_KEY: u32 = 1;
const SESSION: u32 = 2;
const EVENTS: u32 = 3;
const SENT_AT: u32 = 4;

/// Reads the envelope of a `gosight.EventBatch`.
pub(super) fn read(body: &Bytes, limits: EnvelopeLimits) -> Result<Envelope, Refusal> {
    let batch = scan(body.clone()).map_err(|error| {
        Refusal::new(
            Reason::InvalidProtobuf,
            format!("The body is not a protobuf message gosight.EventBatch: {error}"),
        )
    })?;
    let events = batch.events;
    let present = |text: String| Some(text).filter(|text| !text.is_empty());
    let envelope = Envelope {
        project_key: present(batch.project_key),
        session_id: batch.session.session_id,
        user_id: present(batch.session.user_id),
        sent_at: Some(batch.sent_at).filter(|ms| *ms != 0),
        events,
    };
    envelope.within(limits).map_err(|refusal| refusal.of_events(events))
}

#[derive(Debug, Default, PartialEq)]
struct Batch {
    project_key: String,
    session: SessionEnvelope,
    events: u32,
    sent_at: i64,
}

fn scan(mut rest: Bytes) -> Result<Batch, DecodeError> {
    let mut batch = Batch::default();
    while rest.has_remaining() {
        let (tag, wire_type) = decode_key(&mut rest)?;
        let context = DecodeContext::default();
        match tag {
            PROJECT_KEY => string::merge(wire_type, &mut batch.project_key, &mut rest, context)?,
            SESSION => message::merge(wire_type, &mut batch.session, &mut rest, context)?,
            EVENTS => {
                check_wire_type(WireType::LengthDelimited, wire_type)?;
                skip_field(wire_type, tag, &mut rest, context)?;
                batch.events = batch.events.saturating_add(1);
            }
            SENT_AT => int64::merge(wire_type, &mut batch.sent_at, &mut rest, context)?,
            _ => skip_field(wire_type, tag, &mut rest, context)?,
        }
    }
    Ok(batch)
}
