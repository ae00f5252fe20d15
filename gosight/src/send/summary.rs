//! What became of what was sent.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::batch::NoAck;
use crate::failure::Failure;
use crate::output::{self, OutputFormat, printable};

/// Latencies are kept to three digits, up to an hour.
const LONGEST_MICROS: u64 = 3_600_000_000;
const DIGITS: u8 = 3;

/// Counts while sending.
#[derive(Debug)]
pub(super) struct Tally {
    batches: u64,
    sent: u64,
    acknowledged: u64,
    retries: u64,
    /// Events that were not acknowledged, by the last reason.
    refused: BTreeMap<String, u64>,
    /// The first message of each reason.
    messages: BTreeMap<String, String>,
    /// Of acknowledged batches, from the first try to the ack, in µs.
    latency: Histogram<u64>,
}

/// The same at the end.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    batches: u64,
    events_sent: u64,
    events_acknowledged: u64,
    events_refused: &'a BTreeMap<String, u64>,
    retries: u64,
    seconds: f64,
    events_per_second: f64,
    latency_ms: Latency,
}

#[derive(Debug, Serialize)]
struct Latency {
    p50: f64,
    p95: f64,
    p99: f64,
    max: f64,
}

impl Tally {
    pub(super) fn new() -> Result<Self, Failure> {
        let latency = Histogram::new_with_max(LONGEST_MICROS, DIGITS)
            .map_err(|error| Failure::software(format!("the histogram: {error}")))?;
        Ok(Self {
            batches: 0,
            sent: 0,
            acknowledged: 0,
            retries: 0,
            refused: BTreeMap::new(),
            messages: BTreeMap::new(),
            latency,
        })
    }

    /// Counts a batch that has come to its end after so many tries.
    pub(super) fn count(&mut self, events: u64, tries: u32, took: Duration, result: Result<(), NoAck>) {
        self.batches += 1;
        self.sent += events;
        self.retries += u64::from(tries.saturating_sub(1));
        match result {
            Ok(()) => {
                self.acknowledged += events;
                let micros = u64::try_from(took.as_micros()).unwrap_or(LONGEST_MICROS);
                self.latency.saturating_record(micros);
            }
            Err(no_ack) => {
                *self.refused.entry(no_ack.reason.clone()).or_default() += events;
                self.messages.entry(no_ack.reason).or_insert(no_ack.message);
            }
        }
    }

    /// Prints the summary; what was not acknowledged is a finding.
    pub(super) fn report(&self, format: OutputFormat, took: Duration) -> Result<(), Failure> {
        let seconds = took.as_secs_f64();
        let summary = Summary {
            batches: self.batches,
            events_sent: self.sent,
            events_acknowledged: self.acknowledged,
            events_refused: &self.refused,
            retries: self.retries,
            seconds: (seconds * 1_000.0).round() / 1_000.0,
            events_per_second: (self.acknowledged as f64 / seconds.max(0.001)).round(),
            latency_ms: Latency {
                p50: self.milliseconds(0.5),
                p95: self.milliseconds(0.95),
                p99: self.milliseconds(0.99),
                max: self.milliseconds(1.0),
            },
        };
        match format {
            OutputFormat::Json => output::json_line(&summary)?,
            OutputFormat::Table => output::say(&self.shown(&summary))?,
        }
        if self.refused.is_empty() {
            return Ok(());
        }
        Err(Failure::finding(format!(
            "{} of {} events were not acknowledged",
            self.sent - self.acknowledged,
            self.sent
        )))
    }

    fn shown(&self, summary: &Summary<'_>) -> String {
        let mut text = format!(
            "sent          {} events, batches: {}, retries: {}\nacknowledged  {} events, {} a second",
            summary.events_sent,
            summary.batches,
            summary.retries,
            summary.events_acknowledged,
            summary.events_per_second,
        );
        // Without an ack there is no latency, and zeros would look like a good one.
        if summary.events_acknowledged > 0 {
            let latency = &summary.latency_ms;
            text.push_str(&format!(
                "\nlatency       p50 {} ms, p95 {} ms, p99 {} ms, max {} ms",
                latency.p50, latency.p95, latency.p99, latency.max,
            ));
        }
        for (reason, events) in &self.refused {
            let message = self.messages.get(reason).map(String::as_str).unwrap_or_default();
            text.push_str(&format!(
                "\nrefused       {events} events, {}: {}",
                printable(reason),
                printable(message)
            ));
        }
        text
    }

    fn milliseconds(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1_000.0
    }
}
