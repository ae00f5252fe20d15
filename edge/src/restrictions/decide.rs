//! Whether a restriction concerns a batch, and what becomes of it then. Pure: the same batch gets the same answer on every edge.

use gosight_config::restrictions::{RestrictionAction, RestrictionMatch, RestrictionSettings};
use sha2::{Digest, Sha256};

/// Bytes of a body that tell batches without a session apart; more would cost time and tell nothing new.
const SAMPLED: usize = 64 * 1024;

/// What is known of a batch or a replay chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) project_id: &'a str,
    pub(crate) key_id: &'a str,
    pub(crate) key: &'a str,
    pub(crate) origin: Option<&'a str>,
    /// Empty where there is none.
    pub(crate) session_id: &'a str,
    pub(crate) body: &'a [u8],
    /// Events of the session within the minute, this batch's included; 0 where nobody counts.
    pub(crate) events_this_minute: u64,
}

/// What becomes of a batch that a rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Refuse,
    Drop,
    Keep,
}

/// The first rule that matches, by its place in the list, and its verdict.
pub(crate) fn decide<'r>(
    rules: impl IntoIterator<Item = &'r RestrictionSettings>,
    subject: &Subject<'_>,
) -> Option<(usize, Verdict)> {
    let (place, rule) = rules
        .into_iter()
        .enumerate()
        .find(|(_, rule)| matches(&rule.matches, subject))?;
    let verdict = match rule.action {
        RestrictionAction::Refuse => Verdict::Refuse,
        RestrictionAction::Drop => Verdict::Drop,
        RestrictionAction::Keep if is_kept(subject, rule.keep_one_in) => Verdict::Keep,
        RestrictionAction::Keep => Verdict::Drop,
    };
    Some((place, verdict))
}

fn matches(named: &RestrictionMatch, subject: &Subject<'_>) -> bool {
    let project = |id: &String| id.eq_ignore_ascii_case(subject.project_id);
    // An id is longer than any beginning of a key that the configuration takes.
    let key = |key: &String| key.eq_ignore_ascii_case(subject.key_id) || subject.key.starts_with(key.as_str());
    let origin = |named: &String| subject.origin.is_some_and(|origin| origin.eq_ignore_ascii_case(named));
    named.project.as_ref().is_none_or(project)
        && named.key.as_ref().is_none_or(key)
        && named.origin.as_ref().is_none_or(origin)
        && named.session.as_ref().is_none_or(|id| id == subject.session_id)
        && named
            .events_per_minute
            .is_none_or(|most| subject.events_this_minute > u64::from(most))
}

/// One session in `one_in` passes, with all its batches and chunks; without a session each batch, and it again when it is sent again.
fn is_kept(subject: &Subject<'_>, one_in: u32) -> bool {
    let mut hash = Sha256::new_with_prefix(subject.project_id);
    hash.update([0]);
    match subject.session_id.is_empty() {
        true => hash.update(&subject.body[..subject.body.len().min(SAMPLED)]),
        false => hash.update(subject.session_id),
    }
    let hash = hash.finalize();
    let number = hash
        .iter()
        .take(8)
        .fold(0, |number, byte| number << 8 | u64::from(*byte));
    number.is_multiple_of(u64::from(one_in.max(1)))
}

#[cfg(test)]
mod tests {
    use gosight_config::restrictions::{RestrictionAction, RestrictionMatch, RestrictionSettings};

    use super::{Subject, Verdict, decide};

    const SUBJECT: Subject<'_> = Subject {
        project_id: "b0000000-0000-0000-0000-000000000001",
        key_id: "c0000000-0000-0000-0000-000000000001",
        key: "gs_live_abcdef",
        origin: Some("https://shop.example"),
        session_id: "s-1",
        body: b"{}",
        events_this_minute: 100,
    };

    fn rule(matches: RestrictionMatch, action: RestrictionAction, keep_one_in: u32) -> RestrictionSettings {
        RestrictionSettings {
            name: "rule".to_owned(),
            matches,
            action,
            keep_one_in,
            note: None,
        }
    }

    fn is_matched(matches: RestrictionMatch) -> bool {
        decide(&[rule(matches, RestrictionAction::Drop, 1)], &SUBJECT).is_some()
    }

    #[test]
    fn each_name_matches_its_own_and_all_that_are_named_must() {
        let text = |text: &str| Some(text.to_owned());
        let none = RestrictionMatch::default;
        for (value, expected) in [(SUBJECT.project_id, true), ("b0000000", false)] {
            let project = text(value);
            assert_eq!(is_matched(RestrictionMatch { project, ..none() }), expected, "{value}");
        }
        for (value, expected) in [(SUBJECT.key_id, true), ("gs_live_ab", true), ("live_ab", false)] {
            let key = text(value);
            assert_eq!(is_matched(RestrictionMatch { key, ..none() }), expected, "{value}");
        }
        for (value, expected) in [("https://shop.example", true), ("https://shop.example.evil", false)] {
            let origin = text(value);
            assert_eq!(is_matched(RestrictionMatch { origin, ..none() }), expected, "{value}");
        }
        for (value, expected) in [("s-1", true), ("s-10", false), ("s", false)] {
            let session = text(value);
            assert_eq!(is_matched(RestrictionMatch { session, ..none() }), expected, "{value}");
        }
        for (most, expected) in [(99, true), (100, false)] {
            let events_per_minute = Some(most);
            assert_eq!(
                is_matched(RestrictionMatch {
                    events_per_minute,
                    ..none()
                }),
                expected,
                "{most}"
            );
        }
        let both = RestrictionMatch {
            session: text("s-1"),
            origin: text("https://other.example"),
            ..none()
        };
        assert!(!is_matched(both));
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let of_session = RestrictionMatch {
            session: Some("s-1".to_owned()),
            ..RestrictionMatch::default()
        };
        let of_project = RestrictionMatch {
            project: Some(SUBJECT.project_id.to_owned()),
            ..RestrictionMatch::default()
        };
        let rules = [
            rule(of_session, RestrictionAction::Keep, 1),
            rule(of_project, RestrictionAction::Refuse, 1),
        ];
        assert_eq!(decide(&rules, &SUBJECT), Some((0, Verdict::Keep)));
        let other = Subject {
            session_id: "s-2",
            ..SUBJECT
        };
        assert_eq!(decide(&rules, &other), Some((1, Verdict::Refuse)));
        let elsewhere = Subject {
            project_id: "another",
            ..other
        };
        assert_eq!(decide(&rules, &elsewhere), None);
    }

    #[test]
    fn of_ten_sessions_one_is_kept_whole() {
        let rules = [rule(RestrictionMatch::default(), RestrictionAction::Keep, 10)];
        let verdict = |session_id: &str, body: &[u8]| {
            let subject = Subject {
                session_id,
                body,
                ..SUBJECT
            };
            decide(&rules, &subject).unwrap().1
        };
        let mut kept = 0;
        for index in 0..2_000 {
            let session = format!("session-{index}");
            let first = verdict(&session, b"one");
            assert_eq!(verdict(&session, b"two"), first, "{session}");
            kept += u32::from(first == Verdict::Keep);
        }
        assert!((140..=260).contains(&kept), "{kept} of 2,000");
        let without_session: Vec<Verdict> = (0..200_u8).map(|byte| verdict("", &[byte])).collect();
        assert!(without_session.contains(&Verdict::Keep) && without_session.contains(&Verdict::Drop));
        assert_eq!(
            without_session[7],
            verdict("", &[7]),
            "sent again it gets the same answer"
        );
    }
}
