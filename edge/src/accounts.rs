//! The books of the edge: every request and event that came in is counted once, under its transport and what became of it, also
//! when the client hung up meanwhile. Refusals are logged, seldom, and never with a key or a body.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use gosight_lifecycle::traces::Span;
use gosight_schemas::Transport;
use metrics::{Counter, Histogram, counter, histogram};

use crate::client::Client;
use crate::outcome::{Accepted, DROPPED, Reason, Refusal};

/// Outcome of what is durable on the log.
const ACCEPTED: &str = "accepted";
/// Outcome of a request whose client hung up before its batch was handed to the log.
const ABANDONED: &str = "abandoned";
/// A reason is logged once in so many milliseconds.
const LOG_INTERVAL_MS: u64 = 1_000;

/// The meters of one process. Made after the metrics recorder is installed: handles stay with the recorder of their time.
pub(crate) struct Accounts {
    http: Meters,
    grpc: Meters,
    grpc_web: Meters,
    append_seconds: Histogram,
    log: RefusalLog,
}

/// Handles are kept, so that counting a request costs no look-up.
struct Meters {
    accepted: Tally,
    abandoned: Tally,
    dropped: Tally,
    /// In the order of `Reason::ALL`.
    refused: Vec<Tally>,
    ack_seconds: Histogram,
}

struct Tally {
    requests: Counter,
    events: Counter,
    bytes: Counter,
}

/// One request, or one message of a stream, until its outcome is known.
pub(crate) struct Account {
    accounts: Arc<Accounts>,
    transport: Transport,
    /// When the body was there.
    body_read: Option<Instant>,
    events: u32,
    bytes: usize,
    /// When the log was handed the record.
    appended: Option<Instant>,
    span: Span,
    settled: bool,
}

impl Accounts {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            http: Meters::new(Transport::Http),
            grpc: Meters::new(Transport::Grpc),
            grpc_web: Meters::new(Transport::GrpcWeb),
            append_seconds: histogram!("edge_append_seconds"),
            log: RefusalLog::new(),
        })
    }

    /// Begins with a request; whatever happens to it, it will be counted.
    pub(crate) fn open(self: &Arc<Self>, transport: Transport) -> Account {
        Account {
            accounts: Arc::clone(self),
            transport,
            body_read: None,
            events: 0,
            bytes: 0,
            appended: None,
            span: Span::none(),
            settled: false,
        }
    }

    /// Says why the log did not take a record, at most once a second per reason.
    pub(crate) fn log_failure(&self, reason: Reason, error: &dyn Display) {
        if let Some(left_out) = self.log.due(reason) {
            tracing::warn!(reason = reason.name(), %error, left_out, "the log did not take a record");
        }
    }

    fn meters(&self, transport: Transport) -> &Meters {
        match transport {
            Transport::Http => &self.http,
            Transport::Grpc => &self.grpc,
            Transport::GrpcWeb => &self.grpc_web,
        }
    }
}

impl Meters {
    fn new(transport: Transport) -> Self {
        let transport = label(transport);
        Self {
            accepted: Tally::new(transport, ACCEPTED),
            abandoned: Tally::new(transport, ABANDONED),
            dropped: Tally::new(transport, DROPPED),
            refused: Reason::ALL
                .iter()
                .map(|reason| Tally::new(transport, reason.name()))
                .collect(),
            ack_seconds: histogram!("edge_ack_seconds", "transport" => transport),
        }
    }
}

impl Tally {
    fn new(transport: &'static str, outcome: &'static str) -> Self {
        Self {
            requests: counter!("edge_requests_total", "transport" => transport, "outcome" => outcome),
            events: counter!("edge_events_total", "transport" => transport, "outcome" => outcome),
            bytes: counter!("edge_bytes_total", "transport" => transport, "outcome" => outcome),
        }
    }

    fn add(&self, events: u32, bytes: usize) {
        self.requests.increment(1);
        self.events.increment(u64::from(events));
        self.bytes.increment(bytes as u64);
    }
}

impl Account {
    /// The body is there: the time to the answer counts from here, so that a slow client is not our latency. `name` is that of the
    /// span, which continues the client's trace.
    pub(crate) fn body_read(&mut self, name: &'static str, bytes: usize, client: &Client) {
        self.body_read = Some(Instant::now());
        self.bytes = bytes;
        self.span = Span::serving(name, client.traceparent.as_deref());
        self.span.note("transport", label(self.transport));
    }

    /// What goes on with the batch: the trace as this process continues it, or as it came where we have none.
    pub(crate) fn traceparent(&self, client: &Client) -> Option<String> {
        self.span.traceparent().or_else(|| client.traceparent.clone())
    }

    /// The log was handed the record.
    pub(crate) fn appended(&mut self) {
        self.appended = Some(Instant::now());
    }

    /// How many events it has, once they are counted.
    pub(crate) fn of_events(&mut self, events: u32) {
        self.events = events;
    }

    /// It is durable.
    pub(crate) fn accept(mut self, accepted: &Accepted) {
        self.settled = true;
        let now = Instant::now();
        self.appended_until(now);
        self.span.note("events", i64::from(self.events));
        if self.span.is_kept()
            && let Some(receipt) = accepted.receipt()
        {
            self.span.note("receipt", receipt);
        }
        let meters = self.accounts.meters(self.transport);
        meters.accepted.add(self.events, self.bytes);
        if let Some(body_read) = self.body_read {
            meters.ack_seconds.record(now.saturating_duration_since(body_read));
        }
    }

    /// A restriction drops it.
    pub(crate) fn dropped(mut self) {
        self.settled = true;
        self.accounts
            .meters(self.transport)
            .dropped
            .add(self.events, self.bytes);
    }

    /// It is refused; hands back the refusal with its events named.
    pub(crate) fn refuse(mut self, refusal: Refusal) -> Refusal {
        self.settled = true;
        self.appended_until(Instant::now());
        let reason = refusal.reason();
        self.span.note("events", i64::from(self.events));
        self.span.fail(reason.name());
        let meters = self.accounts.meters(self.transport);
        if let Some(tally) = meters.refused.get(reason as usize) {
            tally.add(self.events, self.bytes);
        }
        self.accounts.log.refused(reason, self.transport);
        if refusal.events() == 0 {
            refusal.of_events(self.events)
        } else {
            refusal
        }
    }

    /// How long the log took, whatever it said.
    fn appended_until(&self, now: Instant) {
        if let Some(appended) = self.appended {
            let append_seconds = &self.accounts.append_seconds;
            append_seconds.record(now.saturating_duration_since(appended));
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if !self.settled {
            self.accounts
                .meters(self.transport)
                .abandoned
                .add(self.events, self.bytes);
        }
    }
}

/// The transport's name in metrics and logs.
fn label(transport: Transport) -> &'static str {
    match transport {
        Transport::Http => "http",
        Transport::Grpc => "grpc",
        Transport::GrpcWeb => "grpc_web",
    }
}

/// When each reason was logged last, and how many lines were left out since.
struct RefusalLog {
    started: Instant,
    /// In the order of `Reason::ALL`.
    lines: Vec<Line>,
}

struct Line {
    /// Milliseconds after `started` before which no further line is due.
    next_at: AtomicU64,
    left_out: AtomicU64,
}

impl RefusalLog {
    fn new() -> Self {
        let line = |_: &Reason| Line {
            next_at: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
        };
        Self {
            started: Instant::now(),
            lines: Reason::ALL.iter().map(line).collect(),
        }
    }

    fn refused(&self, reason: Reason, transport: Transport) {
        let Some(left_out) = self.due(reason) else { return };
        let (name, transport) = (reason.name(), label(transport));
        if reason.rule().http.is_server_error() {
            tracing::warn!(reason = name, transport, left_out, "refused");
        } else {
            tracing::info!(reason = name, transport, left_out, "refused");
        }
    }

    fn due(&self, reason: Reason) -> Option<u64> {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.due_at(reason, now)
    }

    /// Lines that were left out since the last one, where another is due now.
    fn due_at(&self, reason: Reason, now_ms: u64) -> Option<u64> {
        let line = self.lines.get(reason as usize)?;
        let next_at = line.next_at.load(Ordering::Relaxed);
        let is_mine = now_ms >= next_at
            && line
                .next_at
                .compare_exchange(next_at, now_ms + LOG_INTERVAL_MS, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_mine {
            return Some(line.left_out.swap(0, Ordering::Relaxed));
        }
        line.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::RefusalLog;
    use crate::outcome::Reason;

    #[test]
    fn a_reason_is_logged_once_a_second_and_says_how_many_were_left_out() {
        let log = RefusalLog::new();
        assert_eq!(log.due_at(Reason::InvalidKey, 0), Some(0));
        assert_eq!(log.due_at(Reason::InvalidKey, 500), None);
        assert_eq!(log.due_at(Reason::InvalidKey, 999), None);
        assert_eq!(log.due_at(Reason::RateLimited, 999), Some(0));
        assert_eq!(log.due_at(Reason::InvalidKey, 1_000), Some(2));
    }

    #[test]
    fn a_reason_stands_at_its_own_place_in_the_list() {
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
        }
    }
}
