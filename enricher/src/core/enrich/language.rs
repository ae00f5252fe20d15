//! The visitor's language: the event's own, else the batch's, else the browser's.

use std::borrow::Cow;

use gosight_config::enricher::Addition;
use gosight_schemas::{EnrichedEvent, RawBatch};

use crate::core::event::BatchFacts;
use crate::core::json::{self, Raw};
use crate::core::rules::Rules;

/// Characters of a language tag that are worth keeping (RFC 5646 §4.4.1 asks for 35).
const MAX_TAG: usize = 35;

pub(super) struct Language<'a> {
    /// What the client said of its session.
    said: Option<&'a str>,
    /// What the browser likes best; absent where the configuration asks for no more than the client's word.
    accepted: Option<&'a str>,
    /// Whether an event's own word counts.
    own: Own,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Own {
    Counts,
    IsAnUnknownField,
}

impl<'a> Language<'a> {
    pub(super) fn of(batch: &'a RawBatch, facts: &'a BatchFacts<'_>, rules: &Rules) -> Self {
        let said = facts.language.as_deref();
        if !rules.adds(Addition::Language) {
            return Self {
                said,
                accepted: None,
                own: Own::IsAnUnknownField,
            };
        }
        Self {
            said,
            accepted: batch.accept_language.as_deref().and_then(preferred),
            own: Own::Counts,
        }
    }

    pub(super) fn add(&self, event: &mut EnrichedEvent<'a>) {
        event.language = self.own(event).or(self.said.or(self.accepted).map(Cow::Borrowed));
    }

    fn own(&self, event: &EnrichedEvent<'a>) -> Option<Cow<'a, str>> {
        if self.own == Own::IsAnUnknownField {
            return None;
        }
        let own = event.properties.get("language")?;
        let own = json::text(Raw::new(own.get())).filter(|tag| is_tag(tag))?;
        Some(Cow::Owned(own.into_owned()))
    }
}

/// The tag of the highest weight in an Accept-Language header, the first of several (RFC 9110 §12.5.4).
fn preferred(header: &str) -> Option<&str> {
    let mut best: Option<(&str, f32)> = None;
    for item in header.split(',') {
        let (tag, parameter) = item.split_once(';').unwrap_or((item, ""));
        let weight = match parameter.trim().split_once('=') {
            Some((name, weight)) if name.trim() == "q" => weight.trim().parse().unwrap_or(0.0),
            _ => 1.0,
        };
        let tag = tag.trim();
        if is_tag(tag) && weight > best.map_or(0.0, |(_, weight)| weight) {
            best = Some((tag, weight));
        }
    }
    best.map(|(tag, _)| tag)
}

fn is_tag(text: &str) -> bool {
    let letters = text.split('-').next().unwrap_or_default();
    text.len() <= MAX_TAG
        && (2..=8).contains(&letters.len())
        && letters.bytes().all(|byte| byte.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::preferred;

    #[test]
    fn the_highest_weight_counts() {
        for (header, expected) in [
            ("de-AT,de;q=0.9,en;q=0.8", Some("de-AT")),
            ("en;q=0.5, fr ; q=0.7 ,*;q=0.9", Some("fr")),
            ("en;q=0.8,de;q=0.8", Some("en")),
            ("zh-Hant-TW", Some("zh-Hant-TW")),
            ("en;q=0,*", None),
            ("*", None),
            ("", None),
            ("en_US, <b>, 12, x", None),
            ("en;q=much", None),
        ] {
            assert_eq!(preferred(header), expected, "{header}");
        }
    }
}
