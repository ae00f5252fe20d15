//! Records as they are appended and as they are read.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;

/// One record header. Names are ASCII; values are bytes, for ours UTF-8 text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The header's name, one of `gosight_schemas::headers` for records of ours.
    pub name: Cow<'static, str>,
    /// The header's value.
    pub value: Bytes,
}

impl Header {
    /// A header under one of our own names.
    pub fn new(name: &'static str, value: impl Into<Bytes>) -> Self {
        Self {
            name: Cow::Borrowed(name),
            value: value.into(),
        }
    }

    /// Bytes of the name and the value.
    pub fn size(&self) -> usize {
        self.name.len() + self.value.len()
    }
}

/// A record to append. The key decides the partition (murmur2, as Java clients place it).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The key; equal keys share a partition.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
    /// Headers in order.
    pub headers: Vec<Header>,
}

impl NewRecord {
    /// Bytes that count against limits and queues: key, value and headers.
    pub fn size(&self) -> usize {
        self.as_output().size()
    }
}

/// A record as it stands on the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Where it stands.
    pub position: Position,
    /// Unix ms: the log's append time or the producer's, as the topic is configured.
    pub timestamp_ms: i64,
    /// The key; `None` where the producer gave none (never a record of ours).
    pub key: Option<Bytes>,
    /// The value; empty for a tombstone.
    pub value: Bytes,
    /// Headers in order.
    pub headers: Vec<Header>,
}

impl LogRecord {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        self.headers
            .iter()
            .find(|header| header.name == name)
            .map(|header| &header.value)
    }

    /// Bytes that count against limits and queues: key, value and headers.
    pub fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(Header::size).sum();
        self.key.as_ref().map_or(0, Bytes::len) + self.value.len() + headers
    }
}

/// Where a record stands. Written `topic:partition:offset`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition, from 0.
    pub partition: i32,
    /// The offset, from 0.
    pub offset: i64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.topic, self.partition, self.offset)
    }
}

/// A text that is no position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a position; write topic:partition:offset, for example gosight.events.staging:0:42")]
pub struct NotAPosition {
    text: String,
}

impl FromStr for Position {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, NotAPosition> {
        let parse = || {
            let mut parts = text.rsplitn(3, ':');
            let offset = parts.next()?.parse().ok()?;
            let partition = parts.next()?.parse().ok()?;
            let topic = parts.next().filter(|topic| !topic.is_empty())?;
            Some(Self {
                topic: topic.into(),
                partition,
                offset,
            })
        };
        parse().ok_or_else(|| NotAPosition { text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::Position;

    #[test]
    fn a_position_reads_back_as_it_is_written() {
        let position = Position {
            topic: "gosight.events.staging".into(),
            partition: 3,
            offset: 42,
        };
        assert_eq!(position.to_string().parse(), Ok(position));
        assert!("gosight.events.staging:3".parse::<Position>().is_err());
        assert!(":3:4".parse::<Position>().is_err());
    }
}
