//! Which records are shown.

use std::borrow::Cow;

use gosight_eventlog::LogRecord;
use gosight_schemas::{decode_raw_batch, headers};
use serde::Deserialize;

use super::arguments::{TailArguments, TopicChoice};
use crate::outputs;

/// What every shown record must have; nothing is asked where a field is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) project: Option<String>,
    pub(crate) session: Option<String>,
    /// As [`plain_type`] writes it.
    pub(crate) event_type: Option<String>,
    pub(crate) code: Option<String>,
}

/// A filter that no record of the topic can have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{option} filters {works_on}; add --topic {instead}, or leave it out")]
pub(crate) struct NoSuchField {
    option: &'static str,
    works_on: &'static str,
    instead: &'static str,
}

/// What is asked of a value, where key and headers don't tell.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Value<'a> {
    #[serde(borrow, rename = "type")]
    event_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    project_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    session_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    original: Option<Original<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Original<'a> {
    #[serde(borrow)]
    json: Option<OriginalEvent<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OriginalEvent<'a> {
    #[serde(borrow, rename = "type", alias = "event_type")]
    event_type: Option<Cow<'a, str>>,
}

impl Filter {
    /// As the command line asks for.
    pub(crate) fn new(arguments: &TailArguments) -> Result<Self, NoSuchField> {
        let topic = arguments.topic;
        if arguments.code.is_some() && topic != TopicChoice::Errors {
            return Err(NoSuchField {
                option: "--code",
                works_on: "rejects",
                instead: "errors",
            });
        }
        if arguments.event_type.is_some() && !matches!(topic, TopicChoice::Raw | TopicChoice::Errors) {
            return Err(NoSuchField {
                option: "--type",
                works_on: "single events",
                instead: "raw",
            });
        }
        Ok(Self {
            project: arguments.project.clone(),
            session: arguments.session.clone(),
            event_type: arguments.event_type.as_deref().map(plain_type),
            code: arguments.code.clone(),
        })
    }

    /// Whether a record of the topic is to be shown.
    pub(crate) fn lets_through(&self, record: &LogRecord, topic: TopicChoice) -> bool {
        if *self == Self::default() {
            return true;
        }
        match topic {
            TopicChoice::Staging => decode_raw_batch(&record.value).is_ok_and(|batch| {
                is_or_absent(self.project.as_deref(), Some(&batch.project_id))
                    && is_or_absent(self.session.as_deref(), Some(&batch.session_id))
            }),
            TopicChoice::Raw | TopicChoice::Errors | TopicChoice::Replay => self.lets_json_through(record, topic),
        }
    }

    fn lets_json_through(&self, record: &LogRecord, topic: TopicChoice) -> bool {
        let has_code = || record.header(headers::CODE).map(|code| String::from_utf8_lossy(code));
        if self.code.is_some() && !is_or_absent(self.code.as_deref(), has_code().as_deref()) {
            return false;
        }
        // The key tells it without a look at the value.
        let key_tells = matches!(topic, TopicChoice::Raw | TopicChoice::Errors);
        if key_tells && self.project.is_some() && self.project.as_deref() != Some(&outputs::project(record)) {
            return false;
        }
        if self.session.is_none() && self.event_type.is_none() && key_tells {
            return true;
        }
        let Ok(value) = serde_json::from_slice::<Value<'_>>(&record.value) else {
            return false;
        };
        let original = value.original.and_then(|original| original.json);
        let event_type = value.event_type.or_else(|| original.and_then(|event| event.event_type));
        let event_type = event_type.as_deref().map(plain_type);
        is_or_absent(self.project.as_deref(), value.project_id.as_deref())
            && is_or_absent(self.session.as_deref(), value.session_id.as_deref())
            && is_or_absent(self.event_type.as_deref(), event_type.as_deref())
    }
}

/// A type in one of its spellings, as all of them compare: `EVENT_TYPE_PAGE_VIEW` is `page_view`.
pub(crate) fn plain_type(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    lower.strip_prefix("event_type_").map_or(lower.clone(), str::to_owned)
}

fn is_or_absent(asked: Option<&str>, has: Option<&str>) -> bool {
    asked.is_none_or(|asked| has == Some(asked))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use gosight_eventlog::{Header, LogRecord, Position};
    use gosight_schemas::headers;

    use super::Filter;
    use crate::tail::arguments::TopicChoice;

    fn record(key: &'static str, value: &'static str) -> LogRecord {
        LogRecord {
            position: Position {
                topic: "t".into(),
                partition: 0,
                offset: 0,
            },
            timestamp_ms: 0,
            key: Some(Bytes::from_static(key.as_bytes())),
            value: Bytes::from_static(value.as_bytes()),
            headers: vec![Header::new(headers::CODE, "missing_field")],
        }
    }

    fn filter(option: &str, value: &str) -> Filter {
        let value = Some(value.to_owned());
        let mut filter = Filter::default();
        match option {
            "project" => filter.project = value,
            "session" => filter.session = value,
            "type" => filter.event_type = value,
            _ => filter.code = value,
        }
        filter
    }

    #[test]
    fn each_filter_lets_its_own_through_and_nothing_else() {
        let event = record(
            "p:s",
            r#"{"type":"EVENT_TYPE_CUSTOM","project_id":"p","session_id":"s"}"#,
        );
        let reject = record(
            "p",
            r#"{"code":"missing_field","project_id":"p","session_id":"s","original":{"json":{"event_type":"Custom"}}}"#,
        );
        for (topic, stands) in [(TopicChoice::Raw, &event), (TopicChoice::Errors, &reject)] {
            for (option, value) in [("project", "p"), ("session", "s"), ("type", "custom")] {
                assert!(
                    filter(option, value).lets_through(stands, topic),
                    "{option} on {topic:?}"
                );
                assert!(
                    !filter(option, "x").lets_through(stands, topic),
                    "{option} on {topic:?}"
                );
            }
        }
        assert!(filter("code", "missing_field").lets_through(&reject, TopicChoice::Errors));
        assert!(!filter("code", "wrong_type").lets_through(&reject, TopicChoice::Errors));
        let chunk = record("s", r#"{"project_id":"p","session_id":"s"}"#);
        assert!(filter("project", "p").lets_through(&chunk, TopicChoice::Replay));
        assert!(!filter("project", "q").lets_through(&chunk, TopicChoice::Replay));
        assert!(!filter("session", "s").lets_through(&record("p:s", "no JSON"), TopicChoice::Raw));
    }
}
