//! What would come out different from what stands. Pure: both sides are handed in, in any order, and meet by their origin.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::output::Row;

/// Bytes that wait for their other side at the most.
const MOST_WAITING: usize = 512 << 20;
/// What an entry takes beside its value.
const OVERHEAD: usize = 96;
/// Fields that are told apart at the most: payloads have names of strangers.
const MOST_FIELDS: usize = 200;
const OTHER_FIELDS: &str = "(other fields)";
/// Characters of a value that an example shows.
const SHOWN: usize = 80;
/// Fields whose values are about a person: counted, not shown.
const REDACTED: [&str; 2] = ["client_ip", "user_id"];

/// `(partition, offset, index)` on staging.
pub(crate) type Origin = (i32, i64, u32);

/// What becomes, or became, of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// An event's value.
    Event(Bytes),
    /// A reject's code.
    Reject(String),
}

/// One side's events that wait for the other.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    made: HashMap<Origin, Standing>,
    stands: HashMap<Origin, Standing>,
    made_bytes: usize,
    stands_bytes: usize,
    examples: usize,
    report: Differences,
}

/// Both sides have drifted too far apart to be held.
#[derive(Debug, thiserror::Error)]
#[error(
    "staging and raw lie too far apart to compare at once: take a shorter range, or single partitions with --from PARTITION:OFFSET"
)]
pub(crate) struct TooFarApart;

/// What differs.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Differences {
    /// Events that were compared.
    pub(crate) compared: u64,
    /// Of these, those that would come out the same, byte for byte.
    pub(crate) same: u64,
    /// Fields that differ, the most frequent first.
    pub(crate) fields: Vec<Difference>,
    /// Events that would become something else, for example a reject.
    pub(crate) outcomes: Vec<Difference>,
    #[serde(skip)]
    by_field: BTreeMap<String, Difference>,
    #[serde(skip)]
    by_outcome: BTreeMap<String, Difference>,
}

/// One field, or one change of outcome.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Difference {
    /// Path with dots, for example `page.url`; or what becomes what.
    pub(crate) what: String,
    /// How many events.
    pub(crate) events: u64,
    pub(crate) examples: Vec<Example>,
}

/// One event that differs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Example {
    /// `partition:offset:index` on staging.
    pub(crate) origin: String,
    pub(crate) stands: String,
    pub(crate) would_be: String,
}

impl Comparison {
    /// Keeps so many examples of each difference.
    pub(crate) fn new(examples: usize) -> Self {
        Self {
            examples,
            ..Self::default()
        }
    }

    /// Takes what today's enricher makes of an event.
    pub(crate) fn made(&mut self, origin: Origin, made: Standing) -> Result<(), TooFarApart> {
        if let Some(stands) = self.stands.remove(&origin) {
            self.stands_bytes -= stands.size();
            self.compare(origin, Some(&stands), Some(&made));
            return Ok(());
        }
        self.made_bytes += made.size();
        self.made.insert(origin, made);
        self.check()
    }

    /// Takes what stands on raw or errors of an event. A second record of the same event is left to the audit.
    pub(crate) fn stands(&mut self, origin: Origin, stands: Standing) -> Result<(), TooFarApart> {
        if let Some(made) = self.made.remove(&origin) {
            self.made_bytes -= made.size();
            self.compare(origin, Some(&stands), Some(&made));
            return Ok(());
        }
        self.stands_bytes += stands.size();
        if let Some(before) = self.stands.insert(origin, stands) {
            self.stands_bytes -= before.size();
        }
        self.check()
    }

    /// Whether more waits of what was made than of what stands: the other side is read next.
    pub(crate) fn is_ahead(&self) -> bool {
        self.made_bytes > self.stands_bytes
    }

    /// Both sides were read whole.
    pub(crate) fn close(mut self) -> Differences {
        let sorted = |side: HashMap<Origin, Standing>| side.into_iter().collect::<BTreeMap<_, _>>();
        for (origin, made) in sorted(std::mem::take(&mut self.made)) {
            self.compare(origin, None, Some(&made));
        }
        for (origin, stands) in sorted(std::mem::take(&mut self.stands)) {
            self.compare(origin, Some(&stands), None);
        }
        let by_count = |differences: BTreeMap<String, Difference>| {
            let mut sorted: Vec<Difference> = differences.into_values().collect();
            sorted.sort_by_key(|difference| std::cmp::Reverse(difference.events));
            sorted
        };
        self.report.fields = by_count(std::mem::take(&mut self.report.by_field));
        self.report.outcomes = by_count(std::mem::take(&mut self.report.by_outcome));
        self.report
    }

    fn check(&self) -> Result<(), TooFarApart> {
        if self.made_bytes + self.stands_bytes > MOST_WAITING {
            return Err(TooFarApart);
        }
        Ok(())
    }

    fn compare(&mut self, origin: Origin, stands: Option<&Standing>, made: Option<&Standing>) {
        self.report.compared += 1;
        match (stands, made) {
            (Some(Standing::Event(stands)), Some(Standing::Event(made))) if stands != made => {
                for (field, stands, made) in changed_fields(stands, made) {
                    self.report.field(self.examples, &field, origin, stands, made);
                }
            }
            (stands, made) if stands == made => self.report.same += 1,
            (stands, made) => {
                let (stands, made) = (name(stands), name(made));
                let what = format!("{stands} would be {made}");
                self.report.outcome(self.examples, what, origin, stands, made);
            }
        }
    }
}

impl Differences {
    fn field(&mut self, most: usize, field: &str, origin: Origin, stands: String, would_be: String) {
        let is_known = self.by_field.contains_key(field) || self.by_field.len() < MOST_FIELDS;
        let what = if is_known { field } else { OTHER_FIELDS };
        self.by_field
            .entry(what.to_owned())
            .or_default()
            .count(what, most, origin, stands, would_be);
    }

    fn outcome(&mut self, most: usize, what: String, origin: Origin, stands: String, would_be: String) {
        self.by_outcome
            .entry(what.clone())
            .or_default()
            .count(&what, most, origin, stands, would_be);
    }
}

impl Difference {
    fn count(&mut self, what: &str, most: usize, origin: Origin, stands: String, would_be: String) {
        if self.events == 0 {
            what.clone_into(&mut self.what);
        }
        self.events += 1;
        if self.examples.len() < most {
            let (partition, offset, index) = origin;
            self.examples.push(Example {
                origin: format!("{partition}:{offset}:{index}"),
                stands,
                would_be,
            });
        }
    }
}

impl Standing {
    fn size(&self) -> usize {
        OVERHEAD
            + match self {
                Self::Event(value) => value.len(),
                Self::Reject(code) => code.len(),
            }
    }
}

fn name(standing: Option<&Standing>) -> String {
    match standing {
        None => "nothing".to_owned(),
        Some(Standing::Event(_)) => "an event".to_owned(),
        Some(Standing::Reject(code)) => format!("a reject ({code})"),
    }
}

/// The paths whose values differ, with both values as text.
fn changed_fields(stands: &[u8], made: &[u8]) -> Vec<(String, String, String)> {
    let (Ok(stands), Ok(made)) = (
        serde_json::from_slice::<Value>(stands),
        serde_json::from_slice::<Value>(made),
    ) else {
        return vec![("(not readable)".to_owned(), String::new(), String::new())];
    };
    let mut changed = Vec::new();
    add_changed(&mut changed, String::new(), Some(&stands), Some(&made));
    if changed.is_empty() {
        // The same values, written in another way.
        changed.push(("(spelling)".to_owned(), String::new(), String::new()));
    }
    changed
}

fn add_changed(
    changed: &mut Vec<(String, String, String)>,
    path: String,
    stands: Option<&Value>,
    made: Option<&Value>,
) {
    match (stands, made) {
        (stands, made) if stands == made => {}
        (Some(Value::Object(stands)), Some(Value::Object(made))) => {
            let only_made = made.keys().filter(|key| !stands.contains_key(*key));
            for key in stands.keys().chain(only_made) {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                add_changed(changed, path, stands.get(key), made.get(key));
            }
        }
        (stands, made) => {
            let shown = |value: Option<&Value>| shown(&path, value);
            let (stands, made) = (shown(stands), shown(made));
            changed.push((path, stands, made));
        }
    }
}

fn shown(path: &str, value: Option<&Value>) -> String {
    let Some(value) = value else {
        return "(absent)".to_owned();
    };
    if REDACTED.contains(&path) {
        return "(redacted)".to_owned();
    }
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

impl Row for Difference {
    const HEADINGS: &'static [&'static str] = &["DIFFERENT", "EVENTS", "EXAMPLE", "STANDS", "WOULD BE"];

    fn cells(&self) -> Vec<String> {
        let example = self.examples.first();
        let of = |text: fn(&Example) -> &String| example.map(text).cloned().unwrap_or_default();
        vec![
            self.what.clone(),
            self.events.to_string(),
            of(|example| &example.origin),
            of(|example| &example.stands),
            of(|example| &example.would_be),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::{Comparison, Standing};

    fn event(json: &str) -> Standing {
        Standing::Event(json.to_owned().into())
    }

    #[test]
    fn both_sides_meet_in_any_order_and_fields_are_named() {
        let mut comparison = Comparison::new(1);
        let stands = r#"{"city":"Wien","client_ip":"1.2.3.4","page":{"url":"a"},"old":1}"#;
        let made = r#"{"city":"Vienna","client_ip":"1.2.3.0","page":{"url":"b"},"new":2}"#;
        comparison.made((0, 1, 0), event(made)).unwrap();
        assert!(comparison.is_ahead());
        comparison.stands((0, 2, 0), event(stands)).unwrap();
        comparison.stands((0, 1, 0), event(stands)).unwrap();
        comparison.made((0, 2, 0), event(stands)).unwrap();
        comparison.made((0, 3, 0), event(made)).unwrap();
        comparison.stands((0, 3, 0), event(stands)).unwrap();
        assert_eq!((comparison.made_bytes, comparison.stands_bytes), (0, 0));
        let report = comparison.close();
        assert_eq!((report.compared, report.same), (3, 1));
        let mut fields: Vec<(&str, u64)> = report.fields.iter().map(|field| (&*field.what, field.events)).collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            [("city", 2), ("client_ip", 2), ("new", 2), ("old", 2), ("page.url", 2)]
        );
        let example = |what: &str| {
            let field = report.fields.iter().find(|field| field.what == what).unwrap();
            assert_eq!(field.examples.len(), 1, "as many as asked for");
            let example = &field.examples[0];
            (
                example.origin.as_str(),
                example.stands.as_str(),
                example.would_be.as_str(),
            )
        };
        assert_eq!(example("city"), ("0:1:0", "\"Wien\"", "\"Vienna\""));
        assert_eq!(example("client_ip"), ("0:1:0", "(redacted)", "(redacted)"));
        assert_eq!(example("new"), ("0:1:0", "(absent)", "2"));
    }

    #[test]
    fn other_outcomes_are_named() {
        let mut comparison = Comparison::new(3);
        comparison.stands((0, 0, 0), event("{}")).unwrap();
        comparison
            .made((0, 0, 0), Standing::Reject("wrong_type".to_owned()))
            .unwrap();
        comparison
            .stands((0, 1, 0), Standing::Reject("wrong_type".to_owned()))
            .unwrap();
        comparison
            .made((0, 1, 0), Standing::Reject("wrong_type".to_owned()))
            .unwrap();
        comparison.stands((0, 2, 0), event("{}")).unwrap();
        comparison.made((0, 3, 0), event("{}")).unwrap();
        let report = comparison.close();
        assert_eq!((report.compared, report.same), (4, 1));
        let mut outcomes: Vec<&str> = report.outcomes.iter().map(|outcome| &*outcome.what).collect();
        outcomes.sort_unstable();
        assert_eq!(
            outcomes,
            [
                "an event would be a reject (wrong_type)",
                "an event would be nothing",
                "nothing would be an event"
            ]
        );
    }
}
