//! The identity of a staged event: where its batch stands and which of the batch's events it is.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// Where an event stood on the staging topic. Written `topic:partition:offset:index`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// The staging topic.
    pub topic: Arc<str>,
    /// The partition, from 0.
    pub partition: i32,
    /// The offset of the batch, from 0.
    pub offset: i64,
    /// Which event of the batch, from 0.
    pub index: u32,
}

impl Origin {
    /// The id of the reject that this event may become: UUIDv5 of the origin's text, so that the same event gives the same id.
    pub fn reject_id(&self) -> Uuid {
        Uuid::new_v5(&Uuid::NAMESPACE_OID, self.to_string().as_bytes())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}:{}", self.topic, self.partition, self.offset, self.index)
    }
}

/// A text that is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an origin; write topic:partition:offset:index, for example gosight.events.staging:0:42:3")]
pub struct NotAnOrigin {
    text: String,
}

impl FromStr for Origin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        let parse = || {
            let mut parts = text.rsplitn(4, ':');
            let index = parts.next()?.parse().ok()?;
            let offset = parts.next()?.parse().ok()?;
            let partition = parts.next()?.parse().ok()?;
            let topic = parts.next().filter(|topic| !topic.is_empty())?;
            Some(Self {
                topic: topic.into(),
                partition,
                offset,
                index,
            })
        };
        parse().ok_or_else(|| NotAnOrigin { text: text.to_owned() })
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::Origin;

    #[test]
    fn an_origin_reads_back_as_it_is_written() {
        let origin = Origin {
            topic: "gosight.events.staging".into(),
            partition: 11,
            offset: 9_000_000_000,
            index: 3,
        };
        assert_eq!(origin.to_string().parse(), Ok(origin.clone()));
        assert_eq!(origin.reject_id(), origin.clone().reject_id());
        assert!("a:b:c".parse::<Origin>().is_err());
    }
}
