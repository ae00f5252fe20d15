//! `gosight dlq test`

use std::collections::BTreeMap;

use gosight_schemas::RejectCode;
use serde::Serialize;
use uuid::Uuid;

use super::super::arguments::TestArguments;
use super::super::letter::Letter;
use super::super::redact::redacted_message;
use super::super::redrive::{Means, Request, rehearse};
use super::super::trial::Verdict;
use super::{assets, open, patch};
use crate::failure::Failure;
use crate::output::{self, Row};
use crate::progress;

/// Rejects with one code of which the same would become, for a like reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct TestGroup {
    verdict: &'static str,
    was: RejectCode,
    /// The field that is wrong now; empty for the event itself, and where it passes.
    field: String,
    count: u64,
    sample_id: Uuid,
    reason: String,
}

/// Counts verdicts by their group.
#[derive(Debug, Default)]
pub(super) struct TestGroups {
    groups: BTreeMap<(&'static str, RejectCode, String), TestGroup>,
}

impl TestGroups {
    pub(super) fn add(&mut self, letter: &Letter, verdict: &Verdict) {
        let key = (verdict.as_str(), letter.reject.code, verdict.field().to_owned());
        let group = self.groups.entry(key).or_insert_with(|| TestGroup {
            verdict: verdict.as_str(),
            was: letter.reject.code,
            field: verdict.field().to_owned(),
            count: 0,
            sample_id: letter.reject.reject_id,
            reason: redacted_message(&verdict.reason()),
        });
        group.count += 1;
    }

    /// The largest first.
    pub(super) fn into_list(self) -> Vec<TestGroup> {
        let mut groups: Vec<TestGroup> = self.groups.into_values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        groups
    }
}

pub(super) async fn run(arguments: TestArguments) -> Result<(), Failure> {
    let request = Request {
        filter: arguments.filter.filter()?,
        patch: patch(&arguments.trial)?,
        max_attempts: arguments.trial.max_attempts,
        max: None,
        looks_for_duplicates: false,
    };
    let assets = assets(arguments.trial.enricher_config.as_deref())?;
    let source = open(&arguments.log).await?;
    let means = Means {
        source: &source,
        assets: &assets,
        rate: u32::MAX,
    };
    let mut groups = TestGroups::default();
    let bar = progress::count("rejects");
    let outcome = rehearse(&means, &request, |letter, verdict| {
        bar.inc(1);
        groups.add(letter, verdict);
    })
    .await;
    bar.finish_and_clear();
    outcome?;
    let groups = groups.into_list();
    output::rows(arguments.format, &groups)?;
    let (passing, failing) = groups.iter().fold((0, 0), |(passing, failing), group| {
        if group.verdict == "passes" {
            (passing + group.count, failing)
        } else {
            (passing, failing + group.count)
        }
    });
    output::note(&format!("{passing} would pass, {failing} would not"));
    if failing > 0 {
        return Err(Failure::finding(format!("{failing} rejects would not pass")));
    }
    Ok(())
}

impl Row for TestGroup {
    const HEADINGS: &'static [&'static str] = &["VERDICT", "WAS", "FIELD", "COUNT", "SAMPLE ID", "REASON"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.verdict.to_owned(),
            self.was.to_string(),
            self.field.clone(),
            self.count.to_string(),
            self.sample_id.to_string(),
            self.reason.clone(),
        ]
    }
}
