//! How a record is shown.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gosight_eventlog::LogRecord;
use gosight_schemas::{RawBatch, decode_raw_batch};
use serde_json::json;
use serde_json::value::RawValue;

use super::arguments::{TailFormat, TopicChoice};
use super::body;
use crate::pretty_json::{self, Colours};
use crate::{moment, output};

/// Writes one record. A staging record is shown decoded; what is no JSON is shown as base64.
pub(super) fn record(
    output: &mut impl Write,
    record: &LogRecord,
    topic: TopicChoice,
    format: TailFormat,
    colours: Colours,
) -> io::Result<()> {
    match format {
        TailFormat::Json => json_line(output, record, topic),
        TailFormat::Pretty => pretty(output, record, topic, colours),
    }
}

fn json_line(output: &mut impl Write, record: &LogRecord, topic: TopicChoice) -> io::Result<()> {
    let value = value(record, topic);
    if value.contains('\n') {
        // Between tokens, a line break is a space; within a text it can't stand.
        output.write_all(value.replace(['\n', '\r'], " ").as_bytes())?;
    } else {
        output.write_all(value.as_bytes())?;
    }
    output.write_all(b"\n")
}

fn pretty(output: &mut impl Write, record: &LogRecord, topic: TopicChoice, colours: Colours) -> io::Result<()> {
    let time = moment::shown(record.timestamp_ms);
    let key = record.key.as_deref().unwrap_or_default();
    let mut heading = format!("── {}  {time}  key {}", record.position, printable(key));
    for header in &record.headers {
        heading.push_str(&format!("  {}={}", header.name, printable(&header.value)));
    }
    writeln!(output, "{}", colours.dim(&heading))?;
    writeln!(output, "{}", pretty_json::pretty(&value(record, topic), colours))
}

/// A session id is a stranger's.
fn printable(bytes: &[u8]) -> String {
    output::printable(&String::from_utf8_lossy(bytes))
}

/// The value as JSON, with keys in their order.
pub(crate) fn value(record: &LogRecord, topic: TopicChoice) -> String {
    match topic {
        TopicChoice::Staging => match decode_raw_batch(&record.value) {
            Ok(batch) => staged(batch),
            Err(error) => body::undecodable(&record.value, &error.to_string()).to_string(),
        },
        TopicChoice::Raw | TopicChoice::Errors | TopicChoice::Replay => json_or_base64(&record.value),
    }
}

/// The batch with its body as JSON where it is JSON: the Avro type would show bytes. The client's key is not shown.
fn staged(batch: RawBatch) -> String {
    let body = body::shown(&batch.body, batch.body_format);
    let fields = serde_json::to_string(&RawBatch {
        body: bytes::Bytes::new(),
        ..batch
    });
    match fields {
        // Quotes within a text are escaped, so that this stands there once.
        Ok(fields) => fields.replacen("\"body\":[]", &format!("\"body\":{body}"), 1),
        Err(error) => json!({ "unprintable": error.to_string() }).to_string(),
    }
}

fn json_or_base64(bytes: &[u8]) -> String {
    serde_json::from_slice::<&RawValue>(bytes).map_or_else(
        |_| json!({ "base64": STANDARD.encode(bytes) }).to_string(),
        |json| json.get().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use gosight_eventlog::{LogRecord, Position};

    use super::record;
    use crate::pretty_json::Colours;
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
        record(&mut output, &stands, topic, TailFormat::Json, Colours::Off).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn a_json_record_is_one_line_and_exactly_as_it_stands() {
        let value = br#"{"payload":{"big":12345678901234567890123}}"#;
        assert_eq!(
            shown(value, TopicChoice::Raw),
            format!("{}\n", str::from_utf8(value).unwrap())
        );
        assert_eq!(shown(b"{\"a\":\n1}", TopicChoice::Raw), "{\"a\": 1}\n");
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
