//! From outcomes to records and counters.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use gosight_config::kafka::TopicNames;
use gosight_eventlog::{Doomed, Header, LogRecord, Output, Outputs};
use gosight_lifecycle::traces::Span;
use gosight_schemas::{Origin, RejectCode, headers};

use crate::core::{self, Assets, DedupeWindow, EventOutput, Outcome, Processed, RejectOutput, TimeChange};

/// One of the topics that outcomes go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Events.
    Raw,
    /// Rejects.
    Errors,
}

impl Destination {
    /// The setting that holds the topic's limit.
    pub(crate) fn setting(self) -> &'static str {
        match self {
            Self::Raw => "validation.raw_record",
            Self::Errors => "validation.errors_record",
        }
    }
}

/// Where outcomes go.
#[derive(Debug)]
pub(crate) struct OutputTopics {
    raw: Arc<str>,
    errors: Arc<str>,
}

/// What one transaction counts once it is committed; an aborted one counts nothing.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    batches: u64,
    events: BTreeMap<&'static str, u64>,
    rejects: BTreeMap<RejectCode, u64>,
    duplicates: u64,
    /// Events whose timestamp is not the client's own, by how it was changed.
    time_changes: BTreeMap<&'static str, u64>,
    /// Events and rejects from which what was typed into a password field was removed.
    masked_inputs: u64,
    /// Batches with rejects whose cause lies with us, and the last cause.
    faults: u64,
    fault: Option<RejectCode>,
    /// When the oldest and the newest batch were received, Unix ms.
    received: Option<(i64, i64)>,
    /// Of the batches whose trace is kept.
    spans: Vec<Span>,
}

impl OutputTopics {
    /// The configured names.
    pub(crate) fn new(names: &TopicNames) -> Self {
        Self {
            raw: names.events.as_str().into(),
            errors: names.errors.as_str().into(),
        }
    }

    /// Which of the two a topic is.
    pub(crate) fn output(&self, topic: &str) -> Destination {
        if topic == &*self.errors {
            Destination::Errors
        } else {
            Destination::Raw
        }
    }
}

/// Processes one staged record: adds what it turns into to `outputs`, in the order of its events.
///
/// # Errors
/// The outputs can't be committed any more; what is left of the record was not added.
pub(crate) fn outputs_of(
    record: &LogRecord,
    assets: &Assets,
    window: &mut dyn DedupeWindow,
    topics: &OutputTopics,
    outputs: &mut dyn Outputs,
    counts: &mut Counts,
) -> Result<(), Doomed> {
    let processed = core::process(record, assets, window, now_ms());
    let project_key = Bytes::copy_from_slice(processed.project_id.as_bytes());
    let batch_id = Bytes::copy_from_slice(processed.batch_id.as_bytes());
    let made_with = MadeWith::of(assets);
    let mut origins = Origins::of(&processed.outcomes);
    counts.batch(processed.received_at);
    counts.trace(&processed);
    counts.faults_of(&processed.outcomes);
    // The events of a batch differ in their origins only, which come first.
    let mut of_events = made_with.after([
        Header::new(headers::ORIGIN, Bytes::new()),
        Header::new(headers::BATCH_ID, batch_id.clone()),
    ]);
    for outcome in &processed.outcomes {
        let origin = origins.next();
        match outcome {
            Outcome::Event(event) => {
                counts.event(event);
                if let Some(header) = of_events.first_mut() {
                    header.value = origin;
                }
                outputs.add(Output {
                    topic: &topics.raw,
                    key: &processed.session_key,
                    value: &event.value,
                    headers: &of_events,
                })?;
            }
            Outcome::Reject(reject) => {
                counts.reject(reject);
                outputs.add(Output {
                    topic: &topics.errors,
                    key: &project_key,
                    value: &reject.value,
                    headers: &made_with.after([
                        Header::new(headers::ORIGIN, origin),
                        Header::new(headers::BATCH_ID, batch_id.clone()),
                        Header::new(headers::CODE, reject.code.as_str()),
                        Header::new(headers::PROJECT_ID, project_key.clone()),
                        Header::new(headers::ATTEMPT, reject.attempt.to_string()),
                    ]),
                })?;
            }
            Outcome::Duplicate(_) => counts.duplicates += 1,
        }
    }
    Ok(())
}

/// What tells with which version and assets a record was made.
pub(crate) struct MadeWith {
    version: Bytes,
    geoip_builds: Option<Bytes>,
}

impl MadeWith {
    pub(crate) fn of(assets: &Assets) -> Self {
        Self {
            version: Bytes::copy_from_slice(assets.enricher_version.as_bytes()),
            geoip_builds: assets.geo.as_ref().map(|geo| geo.builds().clone()),
        }
    }

    /// Those headers, and after them ours.
    pub(crate) fn after<const N: usize>(&self, first: [Header; N]) -> Vec<Header> {
        let mut all = Vec::with_capacity(N + 2);
        all.extend(first);
        all.push(Header::new(headers::ENRICHER_VERSION, self.version.clone()));
        if let Some(builds) = &self.geoip_builds {
            all.push(Header::new(headers::GEOIP_BUILD, builds.clone()));
        }
        all
    }
}

pub(crate) fn origin_header(origin: &Origin) -> Header {
    Header::new(headers::ORIGIN, origin.to_string())
}

/// The texts of one record's origins, which differ in their last number only, in one buffer.
struct Origins {
    texts: Bytes,
    ends: std::vec::IntoIter<usize>,
    start: usize,
}

impl Origins {
    fn of(outcomes: &[Outcome]) -> Self {
        let Some(first) = outcomes.first().map(Outcome::origin) else {
            return Self {
                texts: Bytes::new(),
                ends: Vec::new().into_iter(),
                start: 0,
            };
        };
        let record = format!("{}:{}:{}:", first.topic, first.partition, first.offset);
        let mut texts = Vec::with_capacity(outcomes.len() * (record.len() + 4));
        let mut ends = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            texts.extend_from_slice(record.as_bytes());
            texts.extend_from_slice(itoa::Buffer::new().format(outcome.origin().index).as_bytes());
            ends.push(texts.len());
        }
        Self {
            texts: texts.into(),
            ends: ends.into_iter(),
            start: 0,
        }
    }

    /// Of the next outcome.
    fn next(&mut self) -> Bytes {
        let start = self.start;
        self.start = self.ends.next().unwrap_or(start);
        self.texts.slice(start..self.start)
    }
}

impl Counts {
    fn batch(&mut self, received_at: i64) {
        self.batches += 1;
        let (oldest, newest) = self.received.get_or_insert((received_at, received_at));
        *oldest = received_at.min(*oldest);
        *newest = received_at.max(*newest);
    }

    fn event(&mut self, event: &EventOutput) {
        *self.events.entry(event.event_type).or_default() += 1;
        if let Some(change) = event.time_change {
            *self.time_changes.entry(change.as_str()).or_default() += 1;
        }
        self.masked_inputs += u64::from(event.is_masked);
    }

    fn reject(&mut self, reject: &RejectOutput) {
        *self.rejects.entry(reject.code).or_default() += 1;
        self.masked_inputs += u64::from(reject.is_masked);
    }

    /// Continues the batch's trace until the transaction has ended.
    fn trace(&mut self, processed: &Processed) {
        let Some(traceparent) = processed.traceparent.as_deref() else {
            return;
        };
        let mut span = Span::consuming("enrich", Some(traceparent));
        if !span.is_kept() {
            return;
        }
        let count = |is_one: fn(&Outcome) -> bool| {
            let count = processed.outcomes.iter().filter(|outcome| is_one(outcome)).count();
            i64::try_from(count).unwrap_or(i64::MAX)
        };
        span.note("batch_id", processed.batch_id.to_string());
        span.note("project_id", processed.project_id.to_string());
        span.note("events", count(|outcome| matches!(outcome, Outcome::Event(_))));
        span.note("rejects", count(|outcome| matches!(outcome, Outcome::Reject(_))));
        span.note("duplicates", count(|outcome| matches!(outcome, Outcome::Duplicate(_))));
        self.spans.push(span);
    }

    fn faults_of(&mut self, outcomes: &[Outcome]) {
        let fault = outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Reject(reject) => Some(reject.code).filter(|code| code.is_our_fault()),
            Outcome::Event(_) | Outcome::Duplicate(_) => None,
        });
        self.faults += u64::from(fault.is_some());
        self.fault = fault.or(self.fault);
    }

    /// How many batches there are.
    pub(crate) fn batches(&self) -> u64 {
        self.batches
    }

    /// How many batches have rejects whose cause lies with us.
    pub(crate) fn faults(&self) -> u64 {
        self.faults
    }

    /// Those batches, in words.
    pub(crate) fn faults_in_words(&self) -> String {
        let code = self.fault.map_or("-", RejectCode::as_str);
        format!(
            "{} of {} staged batches can't be processed ({code})",
            self.faults, self.batches
        )
    }

    /// They are committed: adds them to the process's metrics, and ends the spans well.
    pub(crate) fn record(&mut self) {
        self.spans.clear();
        metrics::counter!("enricher_batches_total").increment(self.batches);
        for (event_type, count) in &self.events {
            metrics::counter!("enricher_events_total", "type" => *event_type).increment(*count);
        }
        for (code, count) in &self.rejects {
            metrics::counter!("enricher_rejects_total", "code" => code.as_str()).increment(*count);
        }
        metrics::counter!("enricher_duplicates_total").increment(self.duplicates);
        for change in [TimeChange::Corrected, TimeChange::Clamped].map(TimeChange::as_str) {
            let count = self.time_changes.get(change).copied().unwrap_or_default();
            metrics::counter!("enricher_timestamps_changed_total", "how" => change).increment(count);
        }
        metrics::counter!("enricher_masked_inputs_total").increment(self.masked_inputs);
        if let Some((oldest, newest)) = self.received {
            let now = now_ms();
            for received in [oldest, newest] {
                metrics::histogram!("enricher_received_to_raw_seconds")
                    .record(now.saturating_sub(received) as f64 / 1000.0);
            }
        }
    }
}

impl Drop for Counts {
    /// Whatever was not committed is taken again.
    fn drop(&mut self) {
        for span in &mut self.spans {
            span.fail("not committed");
        }
    }
}

/// Unix ms.
pub(crate) fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
