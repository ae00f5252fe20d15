//! What every session sends, and what has to come of it: pure, so that neither side has to remember a million events.

use std::fmt::Write;

use gosight_schemas::RejectCode;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The namespace of derived ids; it never changes, so it stands here once more.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f0d_2c84_51c3_5b0e_9d57_2a1e_84f3_66b7);

/// One of so many events is bad.
const BAD: u64 = 64;

/// The events of all sessions. Those of equal sessions of two projects are the same to the byte, ids included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Story {
    /// Decides everything.
    pub(super) seed: u64,
    /// The first event's timestamp, Unix ms.
    pub(super) began: i64,
}

/// One event.
#[derive(Debug)]
pub(super) struct Event {
    /// As it is sent.
    pub(super) json: String,
    /// Its payload alone, which holds its number in the session first of all.
    pub(super) payload: String,
    /// What has to become of it.
    pub(super) fate: Fate,
}

/// What has to become of an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stands on raw, once, however often it was staged.
    Raw {
        /// The type as downstream knows it.
        event_type: &'static str,
        /// Unix ms.
        timestamp: i64,
        /// As it was given.
        id: GivenId,
        /// A field that nobody knows, as it was sent.
        unknown: Option<String>,
    },
    /// It stands on errors under this code, once for each time that it was staged.
    Reject(RejectCode),
}

/// How an event is named.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum GivenId {
    /// By a UUID.
    Uuid(Uuid),
    /// By a text that is none.
    Text(String),
    /// Not at all.
    None,
}

/// A session's name.
pub(super) fn session_name(number: usize) -> String {
    format!("session-{number}")
}

/// The number of a session by its name.
pub(super) fn session_number(name: &str) -> Option<usize> {
    name.strip_prefix("session-")?.parse().ok()
}

/// The number of the event that a payload belongs to.
pub(super) fn event_number(payload: &[u8]) -> Option<usize> {
    let digits = payload.strip_prefix(br#"{"n":"#)?;
    let length = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&digits[..length]).ok()?.parse().ok()
}

/// The number of the first event of a batch as it was sent.
pub(super) fn first_number(body: &[u8]) -> Option<usize> {
    event_number(&body[memchr::memmem::find(body, br#"{"n":"#)?..])
}

impl Story {
    /// The session's event of that number, from 0.
    pub(super) fn event(&self, session: usize, number: usize) -> Event {
        let mut chance = Chance::of(self.seed, session as u64, number as u64);
        let timestamp = self.began + number as i64;
        let id = match chance.below(4) {
            0 | 1 => GivenId::Uuid(Uuid::from_u128(chance.wide())),
            2 => GivenId::Text(format!("event {session}/{number}")),
            _ => GivenId::None,
        };
        if chance.below(BAD) == 0 {
            return bad(number, timestamp, &mut chance);
        }
        let (event_type, leaves_as, fields) = good(&mut chance);
        let payload = format!(r#"{{"n":{number}{fields}}}"#);
        let unknown = (chance.below(3) == 0).then(|| format!(r#"{{"step" : {number}.50,"of":"\u00e9"}}"#));
        let mut json = format!(
            r#"{{"type":"{event_type}","timestamp":{timestamp},"page":{{"url":"https://shop.example/p/{number}","path":"/p/{number}"}}"#
        );
        match &id {
            GivenId::Uuid(id) => write!(json, r#","event_id":"{id}""#).expect("a string grows"),
            GivenId::Text(id) => write!(json, r#","event_id":"{id}""#).expect("a string grows"),
            GivenId::None => {}
        }
        if let Some(unknown) = &unknown {
            write!(json, r#","experiment":{unknown}"#).expect("a string grows");
        }
        write!(json, r#","payload":{payload}}}"#).expect("a string grows");
        Event {
            json,
            payload,
            fate: Fate::Raw {
                event_type: leaves_as,
                timestamp,
                id,
                unknown,
            },
        }
    }
}

impl Event {
    /// The id under which it has to leave: the client's UUID, or one that every resend gives again.
    pub(super) fn id(&self, project: &str, session: &str) -> Option<Uuid> {
        let Fate::Raw { id, .. } = &self.fate else { return None };
        Some(match id {
            GivenId::Uuid(id) => *id,
            GivenId::Text(text) => derived(&[b"id", project.as_bytes(), text.as_bytes()]),
            GivenId::None => {
                let hash = Sha256::digest(self.json.as_bytes());
                let parts: [&[u8]; 5] = [b"content", project.as_bytes(), &hash, &[0; 4], session.as_bytes()];
                derived(&parts)
            }
        })
    }
}

fn derived(parts: &[&[u8]]) -> Uuid {
    let mut name = Vec::new();
    for part in parts {
        name.extend_from_slice(&(part.len() as u64).to_be_bytes());
        name.extend_from_slice(part);
    }
    Uuid::new_v5(&NAMESPACE, &name)
}

/// The type as it is sent, as it leaves, and the payload's fields.
fn good(chance: &mut Chance) -> (&'static str, &'static str, String) {
    let (number, filler) = (chance.below(1_000), chance.filler());
    match chance.below(7) {
        0 => (
            "click",
            "click",
            format!(r#","x":{number},"y":4,"target_selector":"{filler}""#),
        ),
        1 => (
            "EVENT_TYPE_PAGE_VIEW",
            "page_view",
            format!(r#", "big" : 12345678901234567890123,"filler":"{filler}""#),
        ),
        2 => ("scroll", "scroll", format!(r#","depth_percent":{}"#, number % 101)),
        3 => (
            "custom",
            "EVENT_TYPE_CUSTOM",
            format!(r#","name":"bought","properties":{{"item":"{filler}","price":{number}.90}}"#),
        ),
        4 => (
            "js_error",
            "js_error",
            format!(r#","message":"x is \"undefined\"","stack":"{filler}\nat y""#),
        ),
        5 => (
            "web_vitals",
            "web_vitals",
            format!(r#","metric":"LCP","value":{number}.25"#),
        ),
        _ => (
            "visibility_change",
            "visibility_change",
            format!(r#","hidden":{}"#, number % 2 == 0),
        ),
    }
}

/// Bad ones have ids as well, but nobody asks for them.
fn bad(number: usize, timestamp: i64, chance: &mut Chance) -> Event {
    let (event_type, timestamp, fields, code) = match chance.below(4) {
        0 => ("no_such_type", timestamp, "", RejectCode::UnknownType),
        1 => ("js_error", timestamp, "", RejectCode::MissingField),
        2 => ("scroll", timestamp, r#","depth_percent":101"#, RejectCode::OutOfRange),
        _ => ("click", -1, "", RejectCode::TimestampOutOfRange),
    };
    let payload = format!(r#"{{"n":{number}{fields}}}"#);
    Event {
        json: format!(r#"{{"type":"{event_type}","timestamp":{timestamp},"payload":{payload}}}"#),
        payload,
        fate: Fate::Reject(code),
    }
}

/// Numbers that look random and can be asked for again: splitmix64.
#[derive(Debug)]
pub(super) struct Chance(u64);

impl Chance {
    /// The numbers of an event.
    pub(super) fn of(seed: u64, session: u64, number: u64) -> Self {
        let mut chance = Self(seed ^ (session << 40) ^ number);
        // Neighbours differ in all bits then.
        Self(chance.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `end`, without it.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn wide(&mut self) -> u128 {
        (u128::from(self.next()) << 64) | u128::from(self.next() | 1)
    }

    /// Up to 300 bytes that compress badly.
    fn filler(&mut self) -> String {
        (0..self.below(20)).fold(String::new(), |mut text, _| {
            write!(text, "{:x}", self.next() >> 4).expect("a string grows");
            text
        })
    }
}
