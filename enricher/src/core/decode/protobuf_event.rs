//! One `gosight.Event` of a protobuf body. What proto3 calls a default is absent: an empty text is no text.

use std::borrow::Cow;

use bytes::Bytes;
use gosight_proto::event::Payload;
use gosight_proto::{Event as ProtobufEvent, EventType};
use gosight_schemas::{Page, Properties, RejectCode};
use prost::Message;

use super::{protobuf_payload, unknown_fields};
use crate::core::catalogue;
use crate::core::event::{Event, TypeName};
use crate::core::problems::Problems;

pub(super) fn read(bytes: &Bytes, problems: &mut Problems) -> Option<Event<'static>> {
    let event = match ProtobufEvent::decode(bytes.clone()) {
        Ok(event) => event,
        Err(error) => {
            let message = format!("the bytes are no protobuf message gosight.Event: {error}");
            problems.add(RejectCode::InvalidProtobuf, "", message);
            return None;
        }
    };
    let page = event.page.unwrap_or_default();
    Some(Event {
        event_type: type_name(event.r#type),
        timestamp: event.timestamp,
        id: present(event.event_id),
        page: Page {
            url: present(page.url),
            path: present(page.path),
            title: present(page.title),
            referrer: present(page.referrer),
            ..Page::default()
        },
        is_input: matches!(event.payload, Some(Payload::Input(_))),
        payload: event
            .payload
            .and_then(|payload| protobuf_payload::to_json(payload, problems)),
        properties: unknown(bytes),
        ..Event::default()
    })
}

/// What prost has dropped.
fn unknown(bytes: &[u8]) -> Properties<'static> {
    let unknown = unknown_fields::of_event(bytes);
    unknown
        .map(|fields| (Cow::Borrowed(unknown_fields::NAME), fields))
        .into_iter()
        .collect()
}

fn type_name(number: i32) -> TypeName<'static> {
    let Ok(known) = EventType::try_from(number) else {
        return TypeName::Unknown(Cow::Owned(number.to_string()));
    };
    let name = known.as_str_name();
    catalogue::find(name).map_or(TypeName::Unknown(Cow::Borrowed(name)), TypeName::Known)
}

fn present(text: String) -> Option<Cow<'static, str>> {
    Some(text).filter(|text| !text.is_empty()).map(Cow::Owned)
}
