//! What an audit found.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::output::Row as TableRow;
use crate::staged_event::StagedEvent;

/// Whether the books balance, and what breaks them.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) balanced: bool,
    /// Bounds of what was read, for a person.
    pub(crate) searched: Vec<String>,
    /// What the reader should know before trusting the figures.
    pub(crate) notes: Vec<String>,
    pub(crate) projects: Vec<ProjectRow>,
    pub(crate) total: Row,
    /// The first ones, up to the limit; the counts above are of all.
    pub(crate) breaks: Vec<Break>,
}

/// Counts of events: `staged + doubled + invented = raw + errors + duplicates + in_flight + lost`, where raw and errors hold the doubled
/// and the invented ones, too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    /// Events of the staged batches of the range.
    pub(crate) staged: u64,
    /// Of these, those with a record on raw.
    pub(crate) raw: u64,
    /// Of these, those with a record on errors.
    pub(crate) errors: u64,
    /// Of these, those that repeat an event which has a record.
    pub(crate) duplicates: u64,
    /// Of these, those that the enricher has not consumed yet.
    pub(crate) in_flight: u64,
    /// Of these, those that became nothing.
    pub(crate) lost: u64,
    /// Records whose origin another record has already.
    pub(crate) doubled: u64,
    /// Records whose origin was never staged.
    pub(crate) invented: u64,
    /// Events with a record although they repeat another within the window.
    pub(crate) republished: u64,
    /// Records under another project than their batch's.
    pub(crate) wrong_project: u64,
    /// Batches that hold another number of events than the edge counted.
    pub(crate) miscounted: u64,
    /// Records on raw that a replay wrote: they stand apart.
    pub(crate) replayed: u64,
    /// Records that a redrive wrote: they stand apart.
    pub(crate) redriven: u64,
}

/// The row of one project.
#[derive(Debug, Serialize)]
pub(crate) struct ProjectRow {
    /// Its id; empty for staged records that can't be read.
    pub(crate) project: String,
    pub(crate) balanced: bool,
    #[serde(flatten)]
    pub(crate) counts: Row,
}

/// How an event breaks the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BreakKind {
    /// It became nothing.
    Lost,
    /// A second record of the same event.
    Doubled,
    /// A record of no event.
    Invented,
    /// A record of a duplicate.
    Republished,
    /// A record under another project.
    WrongProject,
    /// A batch with another number of events than the edge counted.
    Miscounted,
}

/// One event, or record, that breaks the books.
#[derive(Debug, Serialize)]
pub(crate) struct Break {
    pub(crate) kind: BreakKind,
    pub(crate) project: String,
    /// Of the staged event: `topic:partition:offset:index`; `-` where the record names none.
    pub(crate) origin: String,
    /// The record that should not be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) record: Option<String>,
    pub(crate) detail: String,
    /// What was staged there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<StagedEvent>,
}

impl Report {
    pub(crate) fn new(rows: Vec<(String, Row)>, breaks: Vec<Break>) -> Self {
        let mut total = Row::default();
        // Sorted by project.
        let rows: BTreeMap<String, Row> = rows.into_iter().filter(|(_, row)| *row != Row::default()).collect();
        for row in rows.values() {
            total.add(row);
        }
        let row = |(project, counts): (String, Row)| ProjectRow {
            project,
            balanced: counts.is_balanced(),
            counts,
        };
        Self {
            balanced: total.is_balanced(),
            searched: Vec::new(),
            notes: Vec::new(),
            projects: rows.into_iter().map(row).collect(),
            total,
            breaks,
        }
    }
}

impl Row {
    pub(crate) fn count(&mut self, kind: BreakKind) {
        let counter = match kind {
            BreakKind::Lost => &mut self.lost,
            BreakKind::Doubled => &mut self.doubled,
            BreakKind::Invented => &mut self.invented,
            BreakKind::Republished => &mut self.republished,
            BreakKind::WrongProject => &mut self.wrong_project,
            BreakKind::Miscounted => &mut self.miscounted,
        };
        *counter += 1;
    }

    /// How many events and records break the books.
    pub(crate) fn broken(&self) -> u64 {
        self.lost + self.doubled + self.invented + self.republished + self.wrong_project + self.miscounted
    }

    fn is_balanced(&self) -> bool {
        let becomes = self.raw + self.errors + self.duplicates + self.in_flight + self.lost;
        self.broken() == 0 && self.staged == becomes
    }

    fn add(&mut self, other: &Self) {
        let Self {
            staged,
            raw,
            errors,
            duplicates,
            in_flight,
            lost,
            doubled,
            invented,
            republished,
            wrong_project,
            miscounted,
            replayed,
            redriven,
        } = other;
        for (sum, addend) in [
            (&mut self.staged, staged),
            (&mut self.raw, raw),
            (&mut self.errors, errors),
            (&mut self.duplicates, duplicates),
            (&mut self.in_flight, in_flight),
            (&mut self.lost, lost),
            (&mut self.doubled, doubled),
            (&mut self.invented, invented),
            (&mut self.republished, republished),
            (&mut self.wrong_project, wrong_project),
            (&mut self.miscounted, miscounted),
            (&mut self.replayed, replayed),
            (&mut self.redriven, redriven),
        ] {
            *sum += addend;
        }
    }
}

impl TableRow for ProjectRow {
    const HEADINGS: &'static [&'static str] = &[
        "PROJECT",
        "STAGED",
        "RAW",
        "ERRORS",
        "DUPLICATES",
        "IN FLIGHT",
        "LOST",
        "EXTRA",
        "REPLAYED",
        "REDRIVEN",
        "BALANCES",
    ];

    fn cells(&self) -> Vec<String> {
        let counts = &self.counts;
        let project = match self.project.as_str() {
            "" => "(unreadable)".to_owned(),
            project => project.to_owned(),
        };
        let numbers = [
            counts.staged,
            counts.raw,
            counts.errors,
            counts.duplicates,
            counts.in_flight,
            counts.lost,
            counts.broken() - counts.lost,
            counts.replayed,
            counts.redriven,
        ];
        let balances = if self.balanced { "yes" } else { "NO" };
        let numbers = numbers.iter().map(u64::to_string);
        std::iter::once(project)
            .chain(numbers)
            .chain([balances.to_owned()])
            .collect()
    }
}

impl TableRow for Break {
    const HEADINGS: &'static [&'static str] = &[
        "BREAK", "ORIGIN", "RECORD", "PROJECT", "WHY", "BATCH", "SESSION", "EVENT",
    ];

    fn cells(&self) -> Vec<String> {
        let kind = match self.kind {
            BreakKind::Lost => "lost",
            BreakKind::Doubled => "doubled",
            BreakKind::Invented => "invented",
            BreakKind::Republished => "republished",
            BreakKind::WrongProject => "wrong project",
            BreakKind::Miscounted => "miscounted",
        };
        let event = self.event.as_ref();
        let of_event = |text: fn(&StagedEvent) -> String| event.map(text).unwrap_or_default();
        vec![
            kind.to_owned(),
            self.origin.clone(),
            self.record.clone().unwrap_or_default(),
            self.project.clone(),
            self.detail.clone(),
            of_event(|event| event.batch_id.clone()),
            of_event(|event| event.session_id.clone()),
            of_event(|event| event.event_id.map(|id| id.to_string()).unwrap_or_default()),
        ]
    }
}
