//! The oracle: what was acknowledged became an obligation, and every one of them is looked up on the topics. It keeps a few bytes
//! for each event, however many there are.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use gosight_eventlog::{EventLog, LogRecord};
use gosight_schemas::{OriginalEvent, Reject, decode_raw_batch};
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::clients::Sent;
use super::story::{Event, Fate, GivenId, Story, event_number, first_number, session_name, session_number};
use crate::stack::Stack;
use crate::topic;

/// So many findings are told in full; the others are counted.
const TOLD: usize = 20;

/// What is owed to one session, and what was found of it.
#[derive(Debug)]
struct Ledger {
    /// How often each event stands on staging; its length is what was acknowledged.
    staged: Vec<u16>,
    /// How often each stands on raw, or on errors.
    found: Vec<u16>,
    /// The last event on raw.
    last: Option<usize>,
    /// The partition of raw.
    partition: Option<i32>,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Acknowledged, and on no topic, or not where the receipt says.
    pub(super) lost: u64,
    /// More often than owed.
    pub(super) doubled: u64,
    /// Other than it was sent.
    pub(super) altered: u64,
    /// Before an earlier one of its session.
    pub(super) disordered: u64,
    /// What nobody has sent.
    pub(super) invented: u64,
    /// Some of them in words.
    pub(super) told: Vec<String>,
    /// Events that were acknowledged.
    pub(super) acknowledged: u64,
    /// Events on staging, resends included.
    pub(super) staged: u64,
    /// Records on raw.
    pub(super) raw: u64,
    /// Records on errors.
    pub(super) rejects: u64,
    /// Events that were staged again and are good, so that they had to be suppressed.
    pub(super) duplicates: u64,
    /// The same in batches, good or not.
    pub(super) batches_again: u64,
}

/// A kind of finding.
#[derive(Clone, Copy)]
enum Wrong {
    Lost,
    Doubled,
    Altered,
    Disordered,
    Invented,
}

/// Reads the topics and compares.
#[derive(Debug)]
pub(super) struct Oracle<'a> {
    story: &'a Story,
    /// Ids of the projects, in the order of their keys.
    projects: &'a [String],
    ledgers: HashMap<(usize, usize), Ledger>,
    findings: Findings,
}

/// An event on raw, as far as it is compared.
#[derive(Deserialize)]
struct OnRaw<'a> {
    event_id: Uuid,
    #[serde(borrow)]
    original_event_id: Option<Cow<'a, str>>,
    #[serde(rename = "type", borrow)]
    event_type: Cow<'a, str>,
    timestamp: i64,
    original_timestamp: Option<i64>,
    project_id: Cow<'a, str>,
    session_id: Cow<'a, str>,
    #[serde(borrow)]
    page: Option<PageOnRaw<'a>>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    #[serde(borrow, default)]
    properties: BTreeMap<Cow<'a, str>, &'a RawValue>,
}

#[derive(Deserialize)]
struct PageOnRaw<'a> {
    #[serde(borrow)]
    url: Cow<'a, str>,
    #[serde(borrow)]
    path: Cow<'a, str>,
}

impl<'a> Oracle<'a> {
    /// What was sent and acknowledged is owed.
    pub(super) fn new(story: &'a Story, projects: &'a [String], sent: &[Sent]) -> Self {
        let ledgers = sent
            .iter()
            .map(|sent| {
                let ledger = Ledger {
                    staged: vec![0; sent.events],
                    found: vec![0; sent.events],
                    last: None,
                    partition: None,
                };
                ((sent.project, sent.session), ledger)
            })
            .collect();
        Self {
            story,
            projects,
            ledgers,
            findings: Findings {
                acknowledged: sent.iter().map(|sent| sent.events as u64).sum(),
                ..Findings::default()
            },
        }
    }

    /// Reads everything; nothing may be on its way any more.
    pub(super) async fn judge(mut self, stack: &Stack, sent: &[Sent]) -> Findings {
        let log = stack.log();
        let log: &dyn EventLog = &*log;
        let mut stands = HashMap::new();
        topic::each(log, &stack.topic("staging"), |record| self.staged(&record, &mut stands)).await;
        self.check_receipts(sent, &stands);
        topic::each(log, &stack.topic("raw"), |record| self.raw(&record)).await;
        let mut origins = HashSet::new();
        topic::each(log, &stack.topic("errors"), |record| self.reject(&record, &mut origins)).await;
        self.settle();
        self.findings
    }

    fn wrong(&mut self, wrong: Wrong, words: impl FnOnce() -> String) {
        let findings = &mut self.findings;
        let (count, name) = match wrong {
            Wrong::Lost => (&mut findings.lost, "lost"),
            Wrong::Doubled => (&mut findings.doubled, "doubled"),
            Wrong::Altered => (&mut findings.altered, "altered"),
            Wrong::Disordered => (&mut findings.disordered, "out of order"),
            Wrong::Invented => (&mut findings.invented, "invented"),
        };
        *count += 1;
        if findings.told.len() < TOLD {
            findings.told.push(format!("{name}: {}", words()));
        }
    }

    fn project(&self, id: &str) -> Option<usize> {
        self.projects.iter().position(|project| project == id)
    }

    /// Counts the events of a staged batch. `stands` gets whose batch stands where.
    fn staged(&mut self, record: &LogRecord, stands: &mut HashMap<(i32, i64), (usize, usize, usize)>) {
        let at = &record.position;
        let Ok(batch) = decode_raw_batch(&record.value) else {
            return self.wrong(Wrong::Invented, || format!("{at} is no batch"));
        };
        let count = usize::try_from(batch.event_count).unwrap_or_default();
        let found = self
            .project(&batch.project_id)
            .zip(session_number(&batch.session_id))
            .zip(first_number(&batch.body));
        let Some(((project, session), first)) = found else {
            return self.wrong(Wrong::Invented, || format!("{at} is nobody's batch"));
        };
        self.findings.staged += count as u64;
        stands.insert((at.partition, at.offset), (project, session, first));
        let staged = self.ledgers.get_mut(&(project, session)).and_then(|ledger| {
            let staged = ledger.staged.get_mut(first..first + count)?;
            staged.iter_mut().for_each(|count| *count += 1);
            Some(staged[0])
        });
        match staged {
            None => self.wrong(Wrong::Invented, || format!("{at} holds events that were not sent")),
            Some(count) => self.findings.batches_again += u64::from(count > 1),
        }
    }

    /// Acked is staged.
    fn check_receipts(&mut self, sent: &[Sent], stands: &HashMap<(i32, i64), (usize, usize, usize)>) {
        for sent in sent {
            for receipt in &sent.receipts {
                let found = stands.get(&(receipt.partition, receipt.offset));
                if found != Some(&(sent.project, sent.session, receipt.first)) {
                    self.wrong(Wrong::Lost, || {
                        format!("the batch of {receipt:?} is not there; there stands {found:?}")
                    });
                }
            }
        }
    }

    fn raw(&mut self, record: &LogRecord) {
        self.findings.raw += 1;
        let at = &record.position;
        let event: OnRaw<'_> = match serde_json::from_slice(&record.value) {
            Ok(event) => event,
            Err(error) => return self.wrong(Wrong::Altered, || format!("{at} does not read: {error}")),
        };
        let payload = event.payload.map_or("", RawValue::get);
        let found = self
            .project(&event.project_id)
            .zip(session_number(&event.session_id))
            .zip(event_number(payload.as_bytes()));
        let Some(((project, session), number)) = found else {
            return self.wrong(Wrong::Invented, || format!("{at} is nobody's event: {payload}"));
        };
        let who = || format!("project {project} session {session} event {number}, at {at}");

        let sent = self.story.event(session, number);
        if let Some(what) = difference(&event, &sent, &self.projects[project], session) {
            self.wrong(Wrong::Altered, || format!("{}: {what}", who()));
        }
        let key = format!("{}:{}", event.project_id, event.session_id);
        if record.key.as_deref() != Some(key.as_bytes()) {
            self.wrong(Wrong::Altered, || format!("{}: its key is {:?}", who(), record.key));
        }
        let Some(ledger) = self
            .ledgers
            .get_mut(&(project, session))
            .filter(|ledger| number < ledger.found.len())
        else {
            return self.wrong(Wrong::Invented, || format!("{} was not sent", who()));
        };
        ledger.found[number] = ledger.found[number].saturating_add(1);
        let is_again = ledger.found[number] > 1;
        let partition = *ledger.partition.get_or_insert(at.partition);
        let last = ledger.last.replace(number);
        if is_again {
            self.wrong(Wrong::Doubled, who);
        } else if partition != at.partition || last.is_some_and(|last| last > number) {
            self.wrong(Wrong::Disordered, || format!("{} came after {last:?}", who()));
        }
    }

    /// Rejects are owed once for each time that they were staged.
    fn reject(&mut self, record: &LogRecord, origins: &mut HashSet<Uuid>) {
        self.findings.rejects += 1;
        let at = &record.position;
        let reject: Reject = match serde_json::from_slice(&record.value) {
            Ok(reject) => reject,
            Err(error) => return self.wrong(Wrong::Altered, || format!("{at} does not read: {error}")),
        };
        if !origins.insert(reject.origin.reject_id()) {
            self.wrong(Wrong::Doubled, || format!("the reject of {}", reject.origin));
        }
        let original = match &reject.original {
            OriginalEvent::Json(original) => original.get(),
            _ => "",
        };
        let found = self
            .project(&reject.project_id)
            .zip(session_number(&reject.session_id))
            .zip(first_number(original.as_bytes()));
        let Some(((project, session), number)) = found else {
            return self.wrong(Wrong::Invented, || {
                format!("the reject of {} is nobody's: {original}", reject.origin)
            });
        };
        let sent = self.story.event(session, number);
        if sent.json != original || sent.fate != Fate::Reject(reject.code) {
            self.wrong(Wrong::Altered, || {
                format!("{} was rejected as {:?}: {original}", reject.origin, reject.code)
            });
        }
        match self
            .ledgers
            .get_mut(&(project, session))
            .and_then(|ledger| ledger.found.get_mut(number))
        {
            Some(found) => *found = found.saturating_add(1),
            None => self.wrong(Wrong::Invented, || {
                format!("the reject of {} was not sent", reject.origin)
            }),
        }
    }

    /// Compares what is owed with what was found.
    fn settle(&mut self) {
        let mut ledgers: Vec<_> = std::mem::take(&mut self.ledgers).into_iter().collect();
        ledgers.sort_by_key(|(who, _)| *who);
        for ((project, session), ledger) in ledgers {
            for (number, (staged, found)) in ledger.staged.iter().zip(&ledger.found).enumerate() {
                let who = || format!("project {project} session {session} event {number}, staged {staged} times");
                let is_good = matches!(self.story.event(session, number).fate, Fate::Raw { .. });
                let owed = if is_good { 1 } else { *staged };
                if is_good {
                    self.findings.duplicates += u64::from(staged.saturating_sub(1));
                }
                if *staged == 0 || *found < owed {
                    self.wrong(Wrong::Lost, who);
                } else if *found > owed && !is_good {
                    self.wrong(Wrong::Doubled, who);
                }
            }
        }
        // A check of the books that needs no single event.
        let Findings {
            staged,
            raw,
            rejects,
            duplicates,
            ..
        } = self.findings;
        if staged != raw + rejects + duplicates {
            self.findings.told.push(format!(
                "the books: {staged} staged, {raw} raw, {rejects} rejects, {duplicates} duplicates"
            ));
        }
    }
}

/// What is other than it was sent.
fn difference(found: &OnRaw<'_>, sent: &Event, project: &str, session: usize) -> Option<String> {
    let Fate::Raw {
        event_type,
        timestamp,
        id,
        unknown,
    } = &sent.fate
    else {
        return Some("it had to be rejected".to_owned());
    };
    let name = session_name(session);
    let number = event_number(sent.payload.as_bytes())?;
    let page = format!("https://shop.example/p/{number}");
    let original_id = match id {
        GivenId::Text(text) => Some(text.as_str()),
        GivenId::Uuid(_) | GivenId::None => None,
    };
    let payload = found.payload.map(RawValue::get);
    let properties: Vec<&str> = found.properties.values().map(|value| value.get()).collect();
    let expected: Vec<&str> = unknown.as_deref().into_iter().collect();
    let checks = [
        (sent.id(project, &name) == Some(found.event_id), "event_id"),
        (found.original_event_id.as_deref() == original_id, "original_event_id"),
        (found.event_type == *event_type, "type"),
        (
            found.timestamp == *timestamp && found.original_timestamp.is_none(),
            "timestamp",
        ),
        (payload == Some(&sent.payload), "payload"),
        (properties == expected, "properties"),
        (
            found
                .page
                .as_ref()
                .is_some_and(|found| found.url == page && page.ends_with(&*found.path)),
            "page",
        ),
    ];
    let (_, what) = checks.iter().find(|(is_same, _)| !is_same)?;
    Some(format!("{what} differs from {}", sent.json))
}

impl Findings {
    /// Whether every obligation was met.
    pub(super) fn are_good(&self) -> bool {
        self.told.is_empty()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} events acknowledged; {} staged = {} raw + {} rejects + {} duplicates; {} batches staged again",
            self.acknowledged, self.staged, self.raw, self.rejects, self.duplicates, self.batches_again
        )?;
        writeln!(
            f,
            "{} lost, {} doubled, {} altered, {} out of order, {} invented",
            self.lost, self.doubled, self.altered, self.disordered, self.invented
        )?;
        self.told.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}
