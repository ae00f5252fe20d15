//! Whether the books of the last minutes balance, checked for all pages together.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gosight_config::EnricherSettings;
use gosight_config::kafka::TopicNames;
use gosight_eventlog::EventLog;
use indicatif::ProgressBar;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tokio::sync::Mutex;

use crate::audit::{self, Request};
use crate::failure::Failure;
use crate::ranges::{Bound, spans};

/// The books are checked over the last minutes.
const AUDITED: SignedDuration = SignedDuration::from_mins(5);
/// An answer serves so long.
const SERVES: Duration = Duration::from_secs(10);
/// Batches that a page may have read again and again. Above, it would take a core from live traffic; the command does it once.
const MOST_BATCHES: u64 = 20_000;
/// Breaks that are named.
const NAMED: usize = 10;

/// What a page shows.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(super) enum Checked {
    /// They were checked.
    Audited {
        balanced: bool,
        from_ms: i64,
        to_ms: i64,
        staged: u64,
        raw: u64,
        errors: u64,
        duplicates: u64,
        in_flight: u64,
        findings: Vec<String>,
    },
    /// So many batches are for the command.
    TooMany { batches: u64 },
}

/// The last answer, and what gives the next.
pub(super) struct Books {
    log: Arc<dyn EventLog>,
    topics: TopicNames,
    enricher: EnricherSettings,
    last: Mutex<Option<(Instant, Checked)>>,
}

impl Books {
    pub(super) fn new(log: Arc<dyn EventLog>, topics: TopicNames, enricher: EnricherSettings) -> Self {
        Self {
            log,
            topics,
            enricher,
            last: Mutex::new(None),
        }
    }

    /// The last answer while it serves, else a new one; who asks meanwhile waits for the same.
    pub(super) async fn now(&self) -> Result<Checked, Failure> {
        let mut last = self.last.lock().await;
        if let Some((at, checked)) = &*last
            && at.elapsed() < SERVES
        {
            return Ok(checked.clone());
        }
        let checked = self.check().await?;
        *last = Some((Instant::now(), checked.clone()));
        Ok(checked)
    }

    async fn check(&self) -> Result<Checked, Failure> {
        let now = Timestamp::now();
        let from = now.checked_sub(AUDITED).unwrap_or(now);
        let staged = spans(&*self.log, &self.topics.staging, &Bound::At(from), &Bound::End).await?;
        let batches: u64 = staged.iter().map(crate::ranges::Span::len).sum();
        if batches > MOST_BATCHES {
            return Ok(Checked::TooMany { batches });
        }
        let request = Request {
            from: Bound::At(from),
            to: Bound::End,
            project: None,
            limit: NAMED,
        };
        let bar = ProgressBar::hidden();
        let report = audit::audit(&*self.log, &self.topics, &self.enricher, &request, &bar).await?;
        let findings = report
            .breaks
            .iter()
            .map(|found| format!("{}: {}", found.origin, found.detail));
        Ok(Checked::Audited {
            balanced: report.balanced,
            from_ms: from.as_millisecond(),
            to_ms: now.as_millisecond(),
            staged: report.total.staged,
            raw: report.total.raw,
            errors: report.total.errors,
            duplicates: report.total.duplicates,
            in_flight: report.total.in_flight,
            findings: findings.collect(),
        })
    }
}
