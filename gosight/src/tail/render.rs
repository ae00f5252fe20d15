//! How a record is shown.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gosight_eventlog::LogRecord;
use gosight_schemas::{RawBatch, decode_raw_batch};
use serde_json::{Value, json};

use super::arguments::{TailFormat, TopicChoice};
use super::body;
use crate::{moment, output};

/// Writes one record. A staging record is shown decoded; what is no JSON is shown as base64.
pub(super) fn record(
    output: &mut impl Write,
    record: &LogRecord,
    topic: TopicChoice,
    format: TailFormat,
) -> io::Result<()> {
    match format {
        TailFormat::Json => json_line(output, record, topic),
        TailFormat::Pretty => pretty(output, record, topic),
    }
}

fn json_line(output: &mut impl Write, record: &LogRecord, topic: TopicChoice) -> io::Result<()> {
    let is_one_line = !record.value.contains(&b'\n');
    if topic != TopicChoice::Staging
        && is_one_line
        && serde_json::from_slice::<&serde_json::value::RawValue>(&record.value).is_ok()
    {
        output.write_all(&record.value)?;
    } else {
        serde_json::to_writer(&mut *output, &value(record, topic))?;
    }
    output.write_all(b"\n")
}

fn pretty(output: &mut impl Write, record: &LogRecord, topic: TopicChoice) -> io::Result<()> {
    let time = moment::shown(record.timestamp_ms);
    let key = record.key.as_deref().unwrap_or_default();
    write!(output, "── {}  {time}  key {}", record.position, printable(key))?;
    for header in &record.headers {
        write!(output, "  {}={}", header.name, printable(&header.value))?;
    }
    output.write_all(b"\n")?;
    serde_json::to_writer_pretty(&mut *output, &value(record, topic))?;
    output.write_all(b"\n")
}

/// A session id is a stranger's.
fn printable(bytes: &[u8]) -> String {
    output::printable(&String::from_utf8_lossy(bytes))
}

fn value(record: &LogRecord, topic: TopicChoice) -> Value {
    match topic {
        TopicChoice::Staging => match decode_raw_batch(&record.value) {
            Ok(batch) => staged(batch),
            Err(error) => body::undecodable(&record.value, &error.to_string()),
        },
        TopicChoice::Raw | TopicChoice::Errors | TopicChoice::Replay => json_or_base64(&record.value),
    }
}

/// The batch with its body as JSON where it is JSON: the Avro type would show bytes. The client's key is not shown.
fn staged(batch: RawBatch) -> Value {
    let body = body::shown(&batch.body, batch.body_format);
    match serde_json::to_value(RawBatch {
        body: bytes::Bytes::new(),
        ..batch
    }) {
        Ok(Value::Object(mut fields)) => {
            fields.insert("body".to_owned(), body);
            Value::Object(fields)
        }
        Ok(other) => other,
        Err(error) => json!({ "unprintable": error.to_string() }),
    }
}

fn json_or_base64(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| json!({ "base64": STANDARD.encode(bytes) }))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use gosight_eventlog::{LogRecord, Position};

    use super::record;
    use crate::tail::arguments::{TailFormat, TopicChoice};

    fn shown(value: &'static [u8], topic: TopicChoice) -> String {
        let position = Position {
            topic: "gosight.events.raw".into(),
            partition: 0,
            offset: 7,
        };
        let stands = LogRecord {
            position,
            timestamp_ms: 0,
            key: None,
            value: Bytes::from_static(value),
            headers: Vec::new(),
        };
        let mut output = Vec::new();
        record(&mut output, &stands, topic, TailFormat::Json).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn a_json_record_is_one_line_and_exactly_as_it_stands() {
        let value = br#"{"payload":{"big":12345678901234567890123}}"#;
        assert_eq!(
            shown(value, TopicChoice::Raw),
            format!("{}\n", str::from_utf8(value).unwrap())
        );
        assert_eq!(shown(b"{\"a\":\n1}", TopicChoice::Raw), "{\"a\":1}\n");
    }

    #[test]
    fn a_number_that_no_double_holds_is_shown_wherever_it_stands() {
        let reject = br#"{"code":"out_of_range","original":{"base64":"eyJ4IjoxZTk5OX0="}}"#;
        for value in [&reject[..], br#"{"original":{"json":{"x":1e999}}}"#] {
            let expected = format!("{}\n", str::from_utf8(value).unwrap());
            assert_eq!(shown(value, TopicChoice::Errors), expected);
        }
    }

    #[test]
    fn what_cannot_be_read_is_shown_as_base64() {
        assert_eq!(shown(&[0xff], TopicChoice::Raw), "{\"base64\":\"/w==\"}\n");
        assert!(shown(&[0xff], TopicChoice::Staging).contains("\"base64\":\"/w==\""));
    }
}
