//! What a topic that stands lacks against the contract.

use gosight_eventlog::{TopicInfo, TopicSpec};
use serde::Serialize;

use super::{age, clock};
use crate::output::Row;

/// One property that is not as the services need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Difference {
    topic: String,
    /// Named as Kafka names it, where it does.
    property: &'static str,
    expected: String,
    actual: String,
}

/// All differences of one topic; `stands` is `None` where it does not exist.
pub(super) fn of(spec: &TopicSpec, stands: Option<&TopicInfo>) -> Vec<Difference> {
    let difference = |property, expected: String, actual: String| {
        (expected != actual).then(|| Difference {
            topic: spec.name.clone(),
            property,
            expected,
            actual,
        })
    };
    let Some(info) = stands else {
        return difference("topic", "exists".to_owned(), "missing".to_owned())
            .into_iter()
            .collect();
    };
    // As `topics create` makes it: one copy may be missing without stopping writes, but never all.
    let min_insync = (info.replication - 1).max(1);
    [
        difference("partitions", spec.partitions.to_string(), info.partitions.to_string()),
        difference(
            "min.insync.replicas",
            min_insync.to_string(),
            info.min_insync.to_string(),
        ),
        difference(
            "retention.ms",
            age(spec.retention),
            info.retention.map_or_else(|| "for ever".to_owned(), age),
        ),
        difference(
            "max.message.bytes",
            spec.max_message_bytes.to_string(),
            info.max_message_bytes.to_string(),
        ),
        difference(
            "message.timestamp.type",
            clock(spec.timestamps).to_owned(),
            clock(info.timestamps).to_owned(),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl Row for Difference {
    const HEADINGS: &'static [&'static str] = &["TOPIC", "PROPERTY", "EXPECTED", "ACTUAL"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.topic.clone(),
            self.property.to_owned(),
            self.expected.clone(),
            self.actual.clone(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gosight_eventlog::{TimestampSource, TopicInfo, TopicSpec};

    use super::of;

    fn spec() -> TopicSpec {
        TopicSpec {
            name: "t".to_owned(),
            partitions: 12,
            retention: Duration::from_secs(86_400),
            max_message_bytes: 1_000,
            timestamps: TimestampSource::LogAppendTime,
        }
    }

    fn as_asked() -> TopicInfo {
        TopicInfo {
            name: "t".to_owned(),
            partitions: 12,
            replication: 3,
            min_insync: 2,
            retention: Some(Duration::from_secs(86_400)),
            max_message_bytes: 1_000,
            timestamps: TimestampSource::LogAppendTime,
        }
    }

    #[test]
    fn each_property_is_compared() {
        assert_eq!(of(&spec(), Some(&as_asked())), []);
        let named = |info: TopicInfo| {
            let found = of(&spec(), Some(&info));
            assert_eq!(found.len(), 1, "{found:?}");
            found[0].property
        };
        assert_eq!(
            named(TopicInfo {
                partitions: 11,
                ..as_asked()
            }),
            "partitions"
        );
        assert_eq!(
            named(TopicInfo {
                min_insync: 1,
                ..as_asked()
            }),
            "min.insync.replicas"
        );
        assert_eq!(
            named(TopicInfo {
                min_insync: 3,
                ..as_asked()
            }),
            "min.insync.replicas"
        );
        assert_eq!(
            named(TopicInfo {
                retention: None,
                ..as_asked()
            }),
            "retention.ms"
        );
        assert_eq!(
            named(TopicInfo {
                max_message_bytes: 999,
                ..as_asked()
            }),
            "max.message.bytes"
        );
        let by_producer = TimestampSource::CreateTime;
        assert_eq!(
            named(TopicInfo {
                timestamps: by_producer,
                ..as_asked()
            }),
            "message.timestamp.type"
        );
    }

    #[test]
    fn a_missing_topic_is_one_difference() {
        let found = of(&spec(), None);
        assert_eq!((found.len(), found[0].actual.as_str()), (1, "missing"));
    }
}
