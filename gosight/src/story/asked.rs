//! What is asked for.

use gosight_config::kafka::TopicNames;
use gosight_eventlog::Position;
use memchr::memmem;
use uuid::Uuid;

/// Before the time that a UUIDv7 tells it is looked for, too: clocks of clients differ.
const CLIENT_CLOCK_SLACK_MS: i64 = 5 * 60 * 1000;

/// One batch, or one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The batch at a position of staging; with its id where a receipt names it.
    Staged {
        position: Position,
        batch_id: Option<String>,
    },
    /// What a record of raw or errors was made of.
    Output(Position),
    /// An event, by its id.
    Event(Needle),
}

/// An event's id, to be looked for in bytes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Needle {
    /// As it was asked for.
    pub(crate) text: String,
    /// Absent where the client's id is no UUID.
    pub(crate) id: Option<Uuid>,
    /// The ways in which it may be written.
    forms: Vec<String>,
}

/// A text that can't be asked for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no event id, no receipt (gosight.events.staging:3:42;batch_id=…) and no position (gosight.events.raw:3:42) of a topic of \
     this log"
)]
pub(crate) struct NotAsked(String);

impl Asked {
    /// Reads it; positions are those of these topics.
    pub(crate) fn parse(text: &str, topics: &TopicNames) -> Result<Self, NotAsked> {
        let bad = || NotAsked(text.to_owned());
        let text = text.trim();
        if let Some((position, batch_id)) = text.split_once(";batch_id=") {
            let position: Position = position.parse().map_err(|_| bad())?;
            if *position.topic != *topics.staging {
                return Err(bad());
            }
            return Ok(Self::Staged {
                position,
                batch_id: Some(batch_id.to_owned()),
            });
        }
        if let Ok(position) = text.parse::<Position>() {
            if *position.topic == *topics.staging {
                return Ok(Self::Staged {
                    position,
                    batch_id: None,
                });
            }
            if *position.topic == *topics.events || *position.topic == *topics.errors {
                return Ok(Self::Output(position));
            }
        }
        if text.is_empty() {
            return Err(bad());
        }
        Ok(Self::Event(Needle::new(text)))
    }
}

impl Needle {
    pub(crate) fn new(text: &str) -> Self {
        let id = Uuid::try_parse(text).ok();
        let mut forms = vec![text.to_owned()];
        if let Some(id) = id {
            let hyphenated = id.hyphenated().to_string();
            forms.extend([hyphenated.to_uppercase(), hyphenated, id.simple().to_string()]);
            forms.sort();
            forms.dedup();
        }
        Self {
            text: text.to_owned(),
            id,
            forms,
        }
    }

    /// Whether bytes hold the id in any form. They may hold it as something else than an event's id.
    pub(crate) fn may_be_in(&self, bytes: &[u8]) -> bool {
        self.forms
            .iter()
            .any(|form| memmem::find(bytes, form.as_bytes()).is_some())
    }

    /// Whether it is that id: by its UUID, or as the client wrote it.
    pub(crate) fn is(&self, id: Option<Uuid>, original: Option<&str>) -> bool {
        (self.id.is_some() && self.id == id) || original == Some(self.text.as_str())
    }

    /// When an event of that id can have been received at the earliest, Unix ms; `None` where the id doesn't tell, or tells the future.
    pub(crate) fn earliest_ms(&self, now_ms: i64) -> Option<i64> {
        let id = self.id.filter(|id| id.get_version_num() == 7)?;
        let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
        let millis = i64::try_from(seconds).ok()?.checked_mul(1_000)? + i64::from(nanoseconds / 1_000_000);
        (millis <= now_ms).then_some(millis - CLIENT_CLOCK_SLACK_MS)
    }
}

#[cfg(test)]
mod tests {
    use gosight_config::kafka::TopicNames;
    use gosight_eventlog::Position;
    use uuid::Uuid;

    use super::{Asked, Needle};

    const ID: &str = "0197f3a0-1111-7000-8000-00000000000a";

    fn position(text: &str) -> Position {
        text.parse().unwrap()
    }

    #[test]
    fn receipts_positions_and_ids_are_told_apart() {
        let parse = |text: &str| Asked::parse(text, &TopicNames::default());
        let staged = |batch_id: Option<&str>| Asked::Staged {
            position: position("gosight.events.staging:3:42"),
            batch_id: batch_id.map(str::to_owned),
        };
        assert_eq!(parse("gosight.events.staging:3:42;batch_id=b"), Ok(staged(Some("b"))));
        assert_eq!(parse("gosight.events.staging:3:42"), Ok(staged(None)));
        let raw = "gosight.events.raw:3:42";
        assert_eq!(parse(raw), Ok(Asked::Output(position(raw))));
        assert_eq!(parse(ID), Ok(Asked::Event(Needle::new(ID))));
        assert_eq!(parse("order:1:2"), Ok(Asked::Event(Needle::new("order:1:2"))));
        assert!(parse("other:3:42;batch_id=b").is_err());
        assert!(parse(" ").is_err());
    }

    #[test]
    fn an_id_is_found_in_each_of_its_forms_and_a_uuid_v7_tells_its_time() {
        let needle = Needle::new(ID);
        for form in [ID.to_owned(), ID.to_uppercase(), ID.replace('-', "")] {
            assert!(
                needle.may_be_in(format!("{{\"event_id\":\"{form}\"}}").as_bytes()),
                "{form}"
            );
        }
        assert!(!needle.may_be_in(b"0197f3a0-1111-7000-8000-00000000000b"));
        assert!(needle.is(Uuid::try_parse(ID).ok(), None) && needle.is(None, Some(ID)));
        assert!(!needle.is(None, None) && !Needle::new("e-1").is(None, None));
        let time = 0x0197_f3a0_1111_i64;
        assert_eq!(needle.earliest_ms(time + 1), Some(time - 300_000));
        assert_eq!(needle.earliest_ms(time - 1), None);
        assert_eq!(Needle::new("e-1").earliest_ms(time), None);
    }
}
