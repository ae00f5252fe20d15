//! What a reject would become today. Pure: tests of a fix, dry runs and redrives ask the same question.

use gosight_enricher::Assets;
use gosight_enricher::core::{self, Unrepeatable};
use gosight_enricher::redrive::{RedriveTopics, Redriven, redrive};
use gosight_schemas::Problem;

use super::letter::Letter;
use super::patch::Patch;

/// How a reject is tried.
pub(crate) struct Bench<'a> {
    pub(crate) assets: &'a Assets,
    pub(crate) topics: &'a RedriveTopics,
    pub(crate) patch: Option<&'a Patch>,
    /// A reject that was tried so often is left alone.
    pub(crate) max_attempts: u32,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is an event now.
    Passes(Box<Redriven>),
    /// It is a reject again, for another reason, by another version, or after a patch.
    Fails(Box<Redriven>),
    /// The same version finds the same problems in the same event: trying it again would go round for ever.
    Unchanged(Vec<Problem>),
    /// It was tried as often as is allowed.
    Exhausted,
    /// It can't be tried.
    Impossible(Unrepeatable),
    /// The patch can't be applied.
    Unpatchable(String),
}

impl Verdict {
    /// The name in JSON, in tables and in counts.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Passes(_) => "passes",
            Self::Fails(_) => "still_fails",
            Self::Unchanged(_) => "unchanged",
            Self::Exhausted => "attempts_exhausted",
            Self::Impossible(_) => "impossible",
            Self::Unpatchable(_) => "unpatchable",
        }
    }

    /// Why it does not pass; empty where it does.
    pub(crate) fn reason(&self) -> String {
        let first = |problems: &[Problem]| {
            problems
                .first()
                .map(|problem| problem.message.clone())
                .unwrap_or_default()
        };
        match self {
            Self::Passes(_) => String::new(),
            Self::Fails(redriven) => first(&redriven.problems),
            Self::Unchanged(problems) => first(problems),
            Self::Exhausted => "it was tried as often as --max-attempts allows".to_owned(),
            Self::Impossible(reason) => reason.to_string(),
            Self::Unpatchable(reason) => reason.clone(),
        }
    }

    /// The first problem's field, as far as it is known.
    pub(crate) fn field(&self) -> &str {
        let problems: &[Problem] = match self {
            Self::Fails(redriven) => &redriven.problems,
            Self::Unchanged(problems) => problems,
            _ => &[],
        };
        problems.first().map_or("", |problem| &problem.field)
    }
}

/// Tries a reject. `now_ms` (Unix ms) only dates a new reject.
pub(crate) fn try_again(letter: &Letter, bench: &Bench<'_>, now_ms: i64) -> Verdict {
    let reject = &letter.reject;
    if reject.attempt >= bench.max_attempts {
        return Verdict::Exhausted;
    }
    let patched = match bench.patch.map(|patch| patched(letter, patch)) {
        None => None,
        Some(Ok(event)) => Some(event),
        Some(Err(verdict)) => return verdict,
    };
    let redriven = match redrive(reject, patched.as_deref(), bench.assets, bench.topics, now_ms) {
        Ok(redriven) => Box::new(redriven),
        Err(reason) => return Verdict::Impossible(reason),
    };
    if redriven.problems.is_empty() {
        return Verdict::Passes(redriven);
    }
    let same_version = reject.enricher_version == *bench.assets.enricher_version;
    if same_version && redriven.problems == reject.problems {
        return Verdict::Unchanged(redriven.problems);
    }
    Verdict::Fails(redriven)
}

/// The event with the patch applied.
fn patched(letter: &Letter, patch: &Patch) -> Result<Box<serde_json::value::RawValue>, Verdict> {
    let event = core::original_json(&letter.reject).map_err(Verdict::Impossible)?;
    let Some(event) = event else {
        let reason = "the event came as protobuf; a merge patch changes JSON only";
        return Err(Verdict::Unpatchable(reason.to_owned()));
    };
    patch
        .apply(&event)
        .map_err(|error| Verdict::Unpatchable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use gosight_config::EnricherSettings;
    use gosight_enricher::Assets;
    use gosight_enricher::redrive::RedriveTopics;
    use gosight_schemas::{Reject, headers};
    use serde_json::{Value, json};

    use super::{Bench, Verdict, try_again};
    use crate::dlq::letter::Letter;
    use crate::dlq::letter::tests::letter;
    use crate::dlq::patch::Patch;

    fn tried(letter: &Letter, patch: Option<&str>) -> Verdict {
        let assets = Assets::new(&EnricherSettings::default(), None);
        let topics = RedriveTopics {
            raw: "raw".into(),
            errors: "errors".into(),
        };
        let patch = patch.map(|text| Patch::parse(text).unwrap());
        let bench = Bench {
            assets: &assets,
            topics: &topics,
            patch: patch.as_ref(),
            max_attempts: 3,
        };
        try_again(letter, &bench, 1_800_000_000_000)
    }

    const FIX: &str = r#"{"timestamp":1700000000000,"page":{"url":"https://shop.example/","path":"/"}}"#;

    #[test]
    fn a_patched_event_passes_under_its_first_id() {
        let letter = letter(&json!({ "type": "page_view" }));
        let Verdict::Passes(first) = tried(&letter, Some(FIX)) else {
            panic!("{:?}", tried(&letter, Some(FIX)))
        };
        assert_eq!(&*first.record.topic, "raw");
        assert_eq!(first.record.key, "b0000000-0000-0000-0000-000000000001:sess-1");
        let event: Value = serde_json::from_slice(&first.record.value).unwrap();
        assert_eq!(event["event_id"], first.event_id.to_string());
        assert_eq!(event["user_id"], "user-7");
        let header = |name: &str| {
            let header = first.record.headers.iter().find(|header| header.name == name);
            String::from_utf8(header.unwrap().value.to_vec()).unwrap()
        };
        assert_eq!(header(headers::REDRIVE_OF), letter.reject.reject_id.to_string());
        assert_eq!(header(headers::ORIGIN), letter.reject.origin.to_string());
        // Another patch makes another event, but not another id.
        let Verdict::Passes(other) = tried(&letter, Some(&FIX.replace("/\",", "/x\","))) else {
            panic!("it does not pass")
        };
        assert_ne!(other.record.value, first.record.value);
        assert_eq!(other.event_id, first.event_id);
    }

    #[test]
    fn what_still_fails_is_the_next_attempt_of_the_same_reject() {
        let letter = letter(&json!({ "type": "page_view" }));
        let Verdict::Fails(redriven) = tried(&letter, Some(r#"{"timestamp":"soon"}"#)) else {
            panic!("it does not fail")
        };
        let next: Reject = serde_json::from_slice(&redriven.record.value).unwrap();
        assert_eq!((next.reject_id, next.attempt), (letter.reject.reject_id, 2));
        assert_eq!(next.origin, letter.reject.origin);
        assert_eq!(next.event_id, Some(redriven.event_id));
        assert_eq!(next.problems, redriven.problems);
    }

    #[test]
    fn what_cannot_change_is_not_tried_for_ever() {
        let found = letter(&json!({ "type": "page_view" }));
        // The fixture's message is not today's, so today's answer is a new one; that answer again is none.
        let Verdict::Fails(redriven) = tried(&found, None) else {
            panic!("it does not fail")
        };
        let mut again = found.clone();
        again.reject = serde_json::from_slice(&redriven.record.value).unwrap();
        assert!(matches!(tried(&again, None), Verdict::Unchanged(_)));
        again.reject.attempt = 3;
        assert!(matches!(tried(&again, Some(FIX)), Verdict::Exhausted));
    }
}
