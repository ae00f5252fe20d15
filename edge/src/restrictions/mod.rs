//! What an operator stops or samples: the rules in force, and what each has done. `decide` is pure; here it is counted and shown.

mod decide;
mod heavy;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use gosight_config::restrictions::RestrictionSettings;

use self::decide::{Verdict, decide};
use self::heavy::SessionCounts;
use crate::outcome::{Reason, Refusal};

pub(crate) use self::decide::Subject;

/// A rule is logged once in so many milliseconds.
const LOG_INTERVAL_MS: u64 = 1_000;

/// The rules in force.
#[derive(Default)]
pub(crate) struct Restrictions {
    rules: Vec<Rule>,
    /// Where a rule counts a session's events.
    sessions: Option<Arc<SessionCounts>>,
}

struct Rule {
    settings: RestrictionSettings,
    hits: Arc<Hits>,
}

/// What a rule has done since it came into force.
struct Hits {
    since: Instant,
    total: AtomicU64,
    /// Milliseconds after `since` before which no further line is due.
    next_line_at: AtomicU64,
}

/// What becomes of a batch that is not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ruling {
    Passes,
    Dropped,
}

impl Restrictions {
    pub(crate) fn new(settings: &[RestrictionSettings]) -> Self {
        Self::default().followed_by(settings)
    }

    /// The rules that come after these; one that stays as it is keeps its counts.
    pub(crate) fn followed_by(&self, settings: &[RestrictionSettings]) -> Self {
        let hits_of = |new: &RestrictionSettings| {
            let before = self.rules.iter().find(|rule| rule.settings == *new);
            before.map_or_else(|| Arc::new(Hits::new()), |rule| Arc::clone(&rule.hits))
        };
        let rules: Vec<Rule> = settings
            .iter()
            .map(|settings| Rule {
                settings: settings.clone(),
                hits: hits_of(settings),
            })
            .collect();
        let counts = settings.iter().any(|rule| rule.matches.events_per_minute.is_some());
        let sessions = counts.then(|| self.sessions.clone().unwrap_or_else(|| Arc::new(SessionCounts::new())));
        Self { rules, sessions }
    }

    /// What becomes of a batch of so many events.
    ///
    /// # Errors
    /// [`Reason::Restricted`], with the operator's note.
    pub(crate) fn apply(&self, subject: Subject<'_>, events: u32) -> Result<Ruling, Refusal> {
        if self.rules.is_empty() {
            return Ok(Ruling::Passes);
        }
        let events_this_minute = self.sessions.as_ref().map_or(0, |sessions| {
            sessions.add(subject.project_id, subject.session_id, events, Instant::now())
        });
        let subject = Subject {
            events_this_minute,
            ..subject
        };
        let decided = decide(self.rules.iter().map(|rule| &rule.settings), &subject);
        let Some((rule, verdict)) = decided.and_then(|(place, verdict)| Some((self.rules.get(place)?, verdict))) else {
            return Ok(Ruling::Passes);
        };
        rule.count(verdict, subject.project_id, events);
        match verdict {
            Verdict::Keep => Ok(Ruling::Passes),
            Verdict::Drop => Ok(Ruling::Dropped),
            Verdict::Refuse => Err(rule.refusal()),
        }
    }

    /// The rules and how often each has matched, for the operator; `None` where there are none.
    pub(crate) fn shown(&self) -> Option<String> {
        let shown: Vec<String> = self.rules.iter().map(Rule::shown).collect();
        (!shown.is_empty()).then(|| shown.join("; "))
    }
}

impl Rule {
    fn count(&self, verdict: Verdict, project_id: &str, events: u32) {
        let action = match verdict {
            Verdict::Refuse => "refused",
            Verdict::Drop => "dropped",
            Verdict::Keep => "kept",
        };
        let name = &self.settings.name;
        metrics::counter!("edge_restriction_hits_total", "restriction" => name.clone(), "action" => action)
            .increment(1);
        metrics::counter!("edge_restriction_events_total", "restriction" => name.clone(), "action" => action)
            .increment(u64::from(events));
        let hits = self.hits.total.fetch_add(1, Ordering::Relaxed) + 1;
        if self.hits.line_is_due() {
            tracing::info!(restriction = %name, action, project_id, hits, "a restriction applies");
        }
    }

    fn refusal(&self) -> Refusal {
        match &self.settings.note {
            Some(note) => Refusal::new(Reason::Restricted, format!("The operator has restricted this: {note}")),
            None => Refusal::new(Reason::Restricted, "The operator has restricted this"),
        }
    }

    fn shown(&self) -> String {
        let settings = &self.settings;
        let action = format!("{:?}", settings.action).to_ascii_lowercase();
        let one_in = match settings.keep_one_in {
            1 => String::new(),
            one_in => format!(" one in {one_in}"),
        };
        let hits = self.hits.total.load(Ordering::Relaxed);
        format!("{} ({action}{one_in}): {hits} hits", settings.name)
    }
}

impl Hits {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            total: AtomicU64::new(0),
            next_line_at: AtomicU64::new(0),
        }
    }

    fn line_is_due(&self) -> bool {
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let next_at = self.next_line_at.load(Ordering::Relaxed);
        now >= next_at
            && self
                .next_line_at
                .compare_exchange(next_at, now + LOG_INTERVAL_MS, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}
