//! Batches from a file.

use bytes::Bytes;
use gosight_proto::EventBatch;
use prost::Message;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::batch::{Batch, Encoding};

/// What the file holds, as batches in order.
///
/// # Errors
/// For a person: what is wrong with the file.
pub(super) fn batches(body: &Bytes, key: &str, session: &str, most_events: usize) -> Result<Vec<Batch>, String> {
    let Ok(text) = std::str::from_utf8(body) else {
        return protobuf(body);
    };
    if text
        .chars()
        .any(|character| character.is_control() && !character.is_whitespace())
    {
        return protobuf(body);
    }
    if let Ok(Value::Object(batch)) = serde_json::from_str(text)
        && let Some(events) = batch.get("events")
    {
        return Ok(vec![Batch {
            body: with_key(body, &batch, key),
            encoding: Encoding::Json,
            events: events.as_array().map_or(0, Vec::len) as u64,
        }]);
    }
    let events: Vec<&RawValue> = match serde_json::from_str::<Vec<&RawValue>>(text) {
        Ok(events) => events,
        Err(_) => text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
            .map(|(index, line)| {
                serde_json::from_str(line).map_err(|error| format!("line {} is no JSON event: {error}", index + 1))
            })
            .collect::<Result<_, _>>()?,
    };
    events
        .chunks(most_events.max(1))
        .map(|chunk| {
            // Each event stays as it was written: a number that no double holds too.
            let events: Vec<&str> = chunk.iter().map(|event| event.get()).collect();
            let body = format!(
                r#"{{"project_key":{},"session_id":{},"events":[{}]}}"#,
                Value::from(key),
                Value::from(session),
                events.join(",")
            );
            Ok(Batch {
                body: body.into(),
                encoding: Encoding::Json,
                events: chunk.len() as u64,
            })
        })
        .collect()
}

/// A batch as it stands in the file; only a missing key is added.
fn with_key(body: &Bytes, batch: &Map<String, Value>, key: &str) -> Bytes {
    if batch.contains_key("project_key") {
        return body.clone();
    }
    let mut batch = batch.clone();
    batch.insert("project_key".to_owned(), Value::from(key));
    Value::Object(batch).to_string().into()
}

fn protobuf(body: &Bytes) -> Result<Vec<Batch>, String> {
    let batch = EventBatch::decode(body.clone())
        .map_err(|error| format!("neither JSON nor a protobuf gosight.EventBatch: {error}"))?;
    Ok(vec![Batch {
        body: body.clone(),
        encoding: Encoding::Protobuf,
        events: batch.events.len() as u64,
    }])
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use gosight_proto::{Event, EventBatch};
    use prost::Message;
    use serde_json::{Value, json};

    use super::batches;
    use crate::send::batch::Encoding;

    fn read(text: &str) -> Vec<(Value, u64)> {
        let read = batches(&Bytes::copy_from_slice(text.as_bytes()), "k", "s", 2).unwrap();
        read.iter()
            .map(|batch| (serde_json::from_slice(&batch.body).unwrap(), batch.events))
            .collect()
    }

    #[test]
    fn a_batch_an_array_and_lines_are_read() {
        let whole = json!({ "project_key": "own", "events": [1, 2, 3] });
        assert_eq!(read(&whole.to_string()), [(whole, 3)]);
        assert_eq!(
            read(r#"{"events":[]}"#),
            [(json!({ "project_key": "k", "events": [] }), 0)]
        );
        let of = |events: Value| json!({ "project_key": "k", "session_id": "s", "events": events });
        for text in ["[{\"a\":1},{},{\"b\":2}]", "{\"a\":1}\n\n{}\n{\"b\":2}\n"] {
            assert_eq!(
                read(text),
                [(of(json!([{ "a": 1 }, {}])), 2), (of(json!([{ "b": 2 }])), 1)]
            );
        }
    }

    #[test]
    fn protobuf_is_known_and_other_bytes_are_not() {
        let batch = EventBatch {
            project_key: "gs_test_key".to_owned(),
            events: vec![Event::default(); 2],
            ..EventBatch::default()
        };
        let read = batches(&batch.encode_to_vec().into(), "k", "s", 10).unwrap();
        assert_eq!((read[0].encoding, read[0].events), (Encoding::Protobuf, 2));
        assert!(batches(&Bytes::from_static(b"\xff\x01"), "k", "s", 10).is_err());
        let error = batches(&Bytes::from_static(b"{\"type\":\"click\"}\nno"), "k", "s", 10).unwrap_err();
        assert!(error.contains("line 2"), "{error}");
    }
}
