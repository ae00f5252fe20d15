//! `restrictions` of `edge.yaml`: what an operator stops or samples.

use serde::{Deserialize, Deserializer};

/// Rules at the most; each is tried on every batch.
const MOST: usize = 100;
const NAME_LENGTH: usize = 64;
const NOTE_LENGTH: usize = 500;
/// Characters of a key that may stand here: enough to tell keys apart, and not the key.
const KEY_PREFIX: std::ops::RangeInclusive<usize> = 6..=16;
/// Length of an id that is a UUID.
const UUID_LENGTH: usize = 36;

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenRestriction")]
pub struct RestrictionSettings {
    /// Label of its metrics.
    pub name: String,
    /// What it is about.
    pub matches: RestrictionMatch,
    /// What becomes of it.
    pub action: RestrictionAction,
    /// With `keep`: of so many sessions one passes, the others are dropped. At least 1.
    pub keep_one_in: u32,
    /// With `refuse`: what the client is told.
    pub note: Option<String>,
}

/// `match`: all that is named must match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RestrictionMatch {
    /// Id of the project.
    pub project: Option<String>,
    /// Id of the key, or how the key begins.
    pub key: Option<String>,
    /// The `Origin` of a browser's request.
    pub origin: Option<String>,
    /// Id of the session.
    pub session: Option<String>,
    /// A session with more events than that within a minute.
    pub events_per_minute: Option<u32>,
}

/// `action`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RestrictionAction {
    /// Refused, and not to be sent again.
    Refuse,
    /// Answered as success, kept nowhere.
    Drop,
    /// Passes, or one in so many does.
    Keep,
}

/// A rule as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRestriction {
    name: String,
    #[serde(rename = "match")]
    matches: RestrictionMatch,
    action: RestrictionAction,
    #[serde(default)]
    keep_one_in: Option<u32>,
    #[serde(default)]
    note: Option<String>,
}

impl TryFrom<WrittenRestriction> for RestrictionSettings {
    type Error = String;

    fn try_from(written: WrittenRestriction) -> Result<Self, String> {
        let WrittenRestriction {
            name,
            mut matches,
            action,
            keep_one_in,
            note,
        } = written;
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        if !(1..=NAME_LENGTH).contains(&name.len()) || !name.chars().all(is_plain) {
            return Err(format!(
                "name is no label; write 1 to {NAME_LENGTH} of a-z A-Z 0-9 . _ -"
            ));
        }
        matches.check()?;
        if let Some(origin) = &mut matches.origin {
            origin.make_ascii_lowercase();
        }
        match (action, keep_one_in) {
            (RestrictionAction::Keep, Some(0)) => return Err("keep_one_in is 0; write at least 1".to_owned()),
            (RestrictionAction::Refuse | RestrictionAction::Drop, Some(_)) => {
                return Err("keep_one_in goes with action: keep; change the action or leave it out".to_owned());
            }
            _ => {}
        }
        if note.as_ref().is_some_and(|note| note.len() > NOTE_LENGTH) {
            return Err(format!("note is too long; write at most {NOTE_LENGTH} bytes"));
        }
        Ok(Self {
            name,
            matches,
            action,
            keep_one_in: keep_one_in.unwrap_or(1),
            note,
        })
    }
}

impl RestrictionMatch {
    fn check(&self) -> Result<(), String> {
        if *self == Self::default() {
            return Err(
                "match names nothing, so that everything would match; name a project, key, origin, session or events_per_minute"
                    .to_owned(),
            );
        }
        let texts = [
            ("project", &self.project),
            ("key", &self.key),
            ("origin", &self.origin),
            ("session", &self.session),
        ];
        for (key, text) in texts {
            if text.as_ref().is_some_and(String::is_empty) {
                return Err(format!("match.{key} is empty; write its value or leave the key out"));
            }
        }
        let is_key = |key: &String| key.len() == UUID_LENGTH || KEY_PREFIX.contains(&key.len());
        if !self.key.as_ref().is_none_or(is_key) {
            return Err(format!(
                "match.key is neither the id of a key nor how one begins; write the id, or the first {} to {} characters of the key",
                KEY_PREFIX.start(),
                KEY_PREFIX.end()
            ));
        }
        let is_origin = |origin: &String| origin == "null" || (origin.contains("://") && !origin.ends_with('/'));
        if !self.origin.as_ref().is_none_or(is_origin) {
            return Err("match.origin is no origin; write for example https://shop.example, without a path".to_owned());
        }
        Ok(())
    }
}

/// The list of rules.
pub(crate) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<RestrictionSettings>, D::Error> {
    let rules = Option::<Vec<RestrictionSettings>>::deserialize(deserializer)?.unwrap_or_default();
    if rules.len() > MOST {
        let what = format!("are {}; keep at most {MOST}", rules.len());
        return Err(serde::de::Error::custom(what));
    }
    for (position, rule) in rules.iter().enumerate() {
        if rules[..position].iter().any(|earlier| earlier.name == rule.name) {
            let what = format!("has two rules named {}; give each a name of its own", rule.name);
            return Err(serde::de::Error::custom(what));
        }
    }
    Ok(rules)
}
