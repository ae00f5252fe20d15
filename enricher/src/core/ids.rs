//! The identity of an event: the client's, or one that a retry of the same bytes gives again (invariant 5).

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};
use std::sync::LazyLock;

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Namespace of the ids that we derive. Never changes: ids on the topics and in stores downstream rest on it.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f0d_2c84_51c3_5b0e_9d57_2a1e_84f3_66b7);

/// An event's id and where it comes from.
pub(super) struct EventId<'a> {
    pub(super) id: Uuid,
    /// The client's own id where that is no UUID.
    pub(super) original: Option<Cow<'a, str>>,
}

/// Of this process: nobody can send ids whose keys fall together. Keys never leave the process, and which events are duplicates does
/// not depend on it.
static SECRETS: LazyLock<[RandomState; 2]> = LazyLock::new(|| [RandomState::new(), RandomState::new()]);

/// What the window remembers of a project's events: another project that sends the same id must not suppress them (invariant 6).
pub(super) struct DedupeKeys {
    /// Both have read the project.
    halves: [DefaultHasher; 2],
}

impl DedupeKeys {
    /// For events of that project.
    pub(super) fn of(project_id: &str) -> Self {
        let halves = SECRETS.each_ref().map(|secret| {
            let mut half = secret.build_hasher();
            half.write(project_id.as_bytes());
            half
        });
        Self { halves }
    }

    /// The key of an event: 128 bits of keyed hashes (SipHash) of (project, id).
    pub(super) fn key(&self, event_id: Uuid) -> Uuid {
        let [high, low] = self.halves.each_ref().map(|half| {
            let mut half = half.clone();
            half.write(event_id.as_bytes());
            half.finish()
        });
        Uuid::from_u64_pair(high, low)
    }
}

/// Derives the ids of one batch's events.
pub(super) struct IdMaker<'a> {
    project_id: &'a str,
    session_id: &'a str,
    /// How often each event without an id came in this batch, by its hash.
    identical: HashMap<[u8; 32], u32>,
}

impl<'a> IdMaker<'a> {
    /// For a batch of that project and session.
    pub(super) fn new(project_id: &'a str, session_id: &'a str) -> Self {
        Self {
            project_id,
            session_id,
            identical: HashMap::new(),
        }
    }

    /// The id of the next event. `bytes` are the event as it came.
    pub(super) fn id<'e>(&mut self, original: Option<Cow<'e, str>>, bytes: &[u8]) -> EventId<'e> {
        let Some(text) = original else {
            return EventId {
                id: self.of_content(bytes),
                original: None,
            };
        };
        match Uuid::try_parse(&text) {
            // A client that sends the nil UUID has no id to give; all of its events would be duplicates of one.
            Ok(id) if id.is_nil() => EventId {
                id: self.of_content(bytes),
                original: None,
            },
            Ok(id) => EventId { id, original: None },
            Err(_) => EventId {
                id: derive(&[b"id", self.project_id.as_bytes(), text.as_bytes()]),
                original: Some(text),
            },
        }
    }

    fn of_content(&mut self, bytes: &[u8]) -> Uuid {
        let hash: [u8; 32] = Sha256::digest(bytes).into();
        let count = self.identical.entry(hash).or_default();
        let number = count.to_be_bytes();
        *count += 1;
        let (project, session) = (self.project_id.as_bytes(), self.session_id.as_bytes());
        derive(&[b"content", project, &hash, &number, session])
    }
}

/// UUIDv5 of parts, each with its length before it, so that no two lists of parts read alike.
fn derive(parts: &[&[u8]]) -> Uuid {
    let mut name = Vec::with_capacity(192);
    for part in parts {
        name.extend_from_slice(&(part.len() as u64).to_be_bytes());
        name.extend_from_slice(part);
    }
    Uuid::new_v5(&NAMESPACE, &name)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use uuid::Uuid;

    use super::IdMaker;

    const UUID: &str = "0197f3a0-1111-7000-8000-00000000000a";

    fn id(project: &str, session: &str, text: Option<&str>, bytes: &[u8]) -> Uuid {
        IdMaker::new(project, session).id(text.map(Cow::Borrowed), bytes).id
    }

    #[test]
    fn a_uuid_stays_and_another_id_is_derived_within_the_project() {
        assert_eq!(id("p", "s", Some(UUID), b"x").to_string(), UUID);
        assert_eq!(id("p", "s", Some(&UUID.to_uppercase()), b"x").to_string(), UUID);
        assert_eq!(id("p", "s", Some("e-1"), b"x"), id("p", "other", Some("e-1"), b"y"));
        assert_ne!(id("p", "s", Some("e-1"), b"x"), id("q", "s", Some("e-1"), b"x"));
        let made = IdMaker::new("p", "s").id(Some("e-1".into()), b"x");
        assert_eq!(made.original.as_deref(), Some("e-1"));
    }

    #[test]
    fn a_missing_id_comes_from_the_content_and_its_count() {
        let mut batch = IdMaker::new("p", "s");
        let (first, second) = (batch.id(None, b"x").id, batch.id(None, b"x").id);
        let mut retry = IdMaker::new("p", "s");
        assert_ne!(first, second);
        assert_eq!([first, second], [retry.id(None, b"x").id, retry.id(None, b"x").id]);
        assert_ne!(first, id("p", "t", None, b"x"));
        assert_ne!(first, id("q", "s", None, b"x"));
        assert_ne!(first, id("p", "s", None, b"y"));
        assert_eq!(first, id("p", "s", Some("00000000-0000-0000-0000-000000000000"), b"x"));
    }

    #[test]
    fn derived_ids_never_change() {
        assert_eq!(
            id("p", "s", Some("e-1"), b"x").to_string(),
            "00f681a8-bb1c-5ea7-8936-b43245c0fccf"
        );
        assert_eq!(
            id("p", "s", None, b"x").to_string(),
            "97dc4736-8552-597b-a1d7-20d350dab6c4"
        );
    }
}
