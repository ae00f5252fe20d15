//! Protobuf fields that the published files don't know: prost drops them, so they are kept beside, as the bytes that came.
//!
//! What is known is read from the descriptors of those files once, so that a field added there is known here.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use gosight_proto::{FILE_DESCRIPTOR_SET, wire};
use gosight_schemas::RawJson;
use prost::Message;
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

/// The property that holds them: an object of base64 by the path of the message that they stood in.
pub(super) const NAME: &str = "protobuf_fields";

static PUBLISHED: LazyLock<Published> = LazyLock::new(Published::read);

/// The messages of the published files.
struct Published {
    messages: Vec<Known>,
    /// Where `Event` stands among them; absent only where the descriptors can't be read.
    event: Option<usize>,
    /// Where `EventBatch` does.
    batch: Option<usize>,
}

/// What is known of a message's fields.
struct Known {
    /// A bit for each number.
    numbers: u64,
    /// Fields that are messages.
    messages: Vec<Nested>,
}

struct Nested {
    number: u32,
    name: String,
    /// Its place among all messages.
    message: usize,
}

/// Those of an encoded `gosight.Event`; `None` where there are none.
pub(super) fn of_event(event: &[u8]) -> Option<RawJson<'static>> {
    of(event, PUBLISHED.event?)
}

/// Those of an encoded `gosight.EventBatch`, its events left out.
pub(super) fn of_batch(batch: &[u8]) -> Option<RawJson<'static>> {
    of(batch, PUBLISHED.batch?)
}

fn of(bytes: &[u8], message: usize) -> Option<RawJson<'static>> {
    let mut found = BTreeMap::new();
    collect(bytes, message, &mut Vec::new(), &mut found);
    if found.is_empty() {
        return None;
    }
    let encoded: BTreeMap<String, String> = found
        .into_iter()
        .map(|(path, bytes)| (path, BASE64_STANDARD.encode(bytes)))
        .collect();
    serde_json::to_string(&encoded).ok().map(RawJson::owned)
}

/// Goes as deep as the published messages do, whatever a client sends.
fn collect(bytes: &[u8], message: usize, path: &mut Vec<&'static str>, found: &mut BTreeMap<String, Vec<u8>>) {
    let known: &'static Known = &PUBLISHED.messages[message];
    for field in wire::fields(bytes).map_while(Result::ok) {
        if field.number >= u64::BITS || known.numbers & 1 << field.number == 0 {
            let path = path.iter().flat_map(|name| ["/", *name]).collect();
            found.entry(path).or_default().extend(field.bytes);
            continue;
        }
        let nested = known.messages.iter().find(|nested| nested.number == field.number);
        if let (Some(nested), Some(value)) = (nested, field.value) {
            path.push(&nested.name);
            collect(value, nested.message, path, found);
            path.pop();
        }
    }
}

impl Published {
    fn read() -> Self {
        let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap_or_default().file;
        let messages: Vec<(String, &DescriptorProto)> = files
            .iter()
            .flat_map(|file| file.message_type.iter().map(|message| (file.package(), message)))
            .map(|(package, message)| (format!(".{package}.{}", message.name()), message))
            .collect();
        let place = |name: &str| messages.iter().position(|(message, _)| message == name);
        let (event, batch) = (place(".gosight.Event"), place(".gosight.EventBatch"));
        let known = messages.iter().map(|(_, message)| Known {
            numbers: message
                .field
                .iter()
                .filter_map(number)
                .fold(0, |bits, number| bits | 1 << number),
            // An event of a batch has properties of its own; an entry of a map is no message of its own.
            messages: message
                .field
                .iter()
                .filter_map(|field| {
                    let message = place(field.type_name()).filter(|message| Some(*message) != event)?;
                    Some(Nested {
                        number: number(field)?,
                        name: field.name().to_owned(),
                        message,
                    })
                })
                .collect(),
        });
        Self {
            messages: known.collect(),
            event,
            batch,
        }
    }
}

/// `None` of a number that has no bit: its fields would count as unknown.
fn number(field: &FieldDescriptorProto) -> Option<u32> {
    u32::try_from(field.number()).ok().filter(|number| *number < u64::BITS)
}

#[cfg(test)]
mod tests {
    use gosight_proto::event::Payload;
    use gosight_proto::{
        ClickEvent, Device, Event, EventBatch, MouseMoveEvent, MousePosition, Page, SessionMeta, TargetElement,
    };
    use prost::Message;

    use super::{of_batch, of_event};

    /// Field 90, the number 1.
    const UNKNOWN: [u8; 3] = [0xd0, 0x05, 0x01];

    fn with_unknown(field: u8, message: &impl Message) -> Vec<u8> {
        let mut inner = message.encode_to_vec();
        inner.extend(UNKNOWN);
        let mut outer = vec![field << 3 | 2, u8::try_from(inner.len()).unwrap()];
        outer.extend(inner);
        outer
    }

    #[test]
    fn every_message_of_an_event_keeps_what_it_does_not_know() {
        let known = Event {
            event_id: "e".to_owned(),
            page: Some(Page::default()),
            payload: Some(Payload::Click(ClickEvent {
                x: 1,
                y: 2,
                target: Some(TargetElement {
                    attributes: [("role".to_owned(), "button".to_owned())].into(),
                    ..TargetElement::default()
                }),
            })),
            ..Event::default()
        };
        assert!(of_event(&known.encode_to_vec()).is_none());
        assert!(of_event(b"").is_none());

        let mut event = known.encode_to_vec();
        event.extend(with_unknown(4, &Page::default()));
        event.extend(UNKNOWN);
        event.extend(with_unknown(10, &ClickEvent::default()));
        event.extend([10 << 3 | 2, 7]);
        event.extend(with_unknown(
            3,
            &TargetElement {
                id: String::new(),
                ..TargetElement::default()
            },
        ));
        event.extend([0x08, 0x01]);
        event.extend(UNKNOWN);
        let kept = of_event(&event).unwrap();
        assert_eq!(
            kept.get(),
            r#"{"":"0AUB0AUB","/click":"0AUB","/click/target":"0AUB","/page":"0AUB"}"#
        );
    }

    #[test]
    fn of_repeated_messages_they_stand_together() {
        let moves = MouseMoveEvent {
            positions: vec![MousePosition::default()],
        };
        let mut inner = moves.encode_to_vec();
        inner.extend(with_unknown(1, &MousePosition::default()));
        inner.extend(with_unknown(1, &MousePosition::default()));
        let mut event = vec![13 << 3 | 2, u8::try_from(inner.len()).unwrap()];
        event.extend(inner);
        assert_eq!(
            of_event(&event).unwrap().get(),
            r#"{"/mouse_move/positions":"0AUB0AUB"}"#
        );
    }

    #[test]
    fn a_batch_keeps_its_own_and_leaves_those_of_its_events_to_them() {
        let mut batch = EventBatch {
            session: Some(SessionMeta::default()),
            ..EventBatch::default()
        }
        .encode_to_vec();
        batch.extend(with_unknown(3, &Event::default()));
        assert!(of_batch(&batch).is_none());
        batch.extend(UNKNOWN);
        let mut session = with_unknown(3, &Device::default());
        session.extend(UNKNOWN);
        batch.extend([2 << 3 | 2, u8::try_from(session.len()).unwrap()]);
        batch.extend(session);
        assert_eq!(
            of_batch(&batch).unwrap().get(),
            r#"{"":"0AUB","/session":"0AUB","/session/device":"0AUB"}"#
        );
    }
}
