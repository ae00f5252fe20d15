//! Records of raw and errors as what became of a staged event: by their headers.

use gosight_eventlog::LogRecord;
use gosight_schemas::headers;

/// Which staged event a record was made of; borrows from its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OriginRef<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) index: u32,
}

/// Who wrote a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writer {
    /// The enricher, when it consumed the staged record.
    Enricher,
    /// A replay.
    Replay,
    /// A redrive of a reject.
    Redrive,
}

/// The origin header of a record; `None` where it has none that can be read.
pub(crate) fn origin(record: &LogRecord) -> Option<OriginRef<'_>> {
    let text = str::from_utf8(record.header(headers::ORIGIN)?).ok()?;
    let mut parts = text.rsplitn(4, ':');
    let index = parts.next()?.parse().ok()?;
    let offset = parts.next()?.parse().ok()?;
    let partition = parts.next()?.parse().ok()?;
    let topic = parts.next()?;
    Some(OriginRef {
        topic,
        partition,
        offset,
        index,
    })
}

/// Who wrote a record.
pub(crate) fn writer(record: &LogRecord) -> Writer {
    if record.header(headers::REPLAY_ID).is_some() {
        Writer::Replay
    } else if record.header(headers::REDRIVE_OF).is_some() {
        Writer::Redrive
    } else {
        Writer::Enricher
    }
}

/// The project that a record's key names: the whole key on errors, and what stands before the session on raw.
pub(crate) fn project(record: &LogRecord) -> String {
    let key = record.key.as_deref().unwrap_or_default();
    let end = key.iter().position(|byte| *byte == b':').unwrap_or(key.len());
    String::from_utf8_lossy(&key[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use gosight_eventlog::{Header, LogRecord, Position};
    use gosight_schemas::headers;

    use super::{OriginRef, Writer, origin, project, writer};

    fn record(key: &'static str, headers: Vec<Header>) -> LogRecord {
        LogRecord {
            position: Position {
                topic: "raw".into(),
                partition: 0,
                offset: 0,
            },
            timestamp_ms: 0,
            key: Some(Bytes::from_static(key.as_bytes())),
            value: Bytes::new(),
            headers,
        }
    }

    #[test]
    fn a_record_tells_its_origin_its_writer_and_its_project() {
        let plain = record("p:s:1", vec![Header::new(headers::ORIGIN, "a:b:3:42:7")]);
        let expected = OriginRef {
            topic: "a:b",
            partition: 3,
            offset: 42,
            index: 7,
        };
        assert_eq!(origin(&plain), Some(expected));
        assert_eq!((writer(&plain), project(&plain)), (Writer::Enricher, "p".to_owned()));
        let redriven = record("p", vec![Header::new(headers::REDRIVE_OF, "id")]);
        assert_eq!((origin(&redriven), writer(&redriven)), (None, Writer::Redrive));
        assert_eq!(project(&redriven), "p");
    }
}
