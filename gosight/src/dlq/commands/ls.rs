//! `gosight dlq ls`

use super::super::arguments::LsArguments;
use super::super::groups::Group;
use super::super::redact::redacted_message;
use super::super::source::Scope;
use super::open;
use crate::failure::Failure;
use crate::output::{self, Row};
use crate::{moment, progress};

pub(super) async fn run(arguments: LsArguments) -> Result<(), Failure> {
    let filter = arguments.filter.filter()?;
    let source = open(&arguments.log).await?;
    let scope = if arguments.all { Scope::All } else { Scope::Waiting };
    let bar = progress::count("rejects");
    let listing = source.groups(&filter, scope, |read| bar.inc(read)).await;
    bar.finish_and_clear();
    let mut listing = listing?;
    if !arguments.reveal {
        for group in &mut listing.groups {
            group.sample = redacted_message(&group.sample);
        }
    }
    output::rows(arguments.format, &listing.groups)?;
    let waiting: u64 = listing.groups.iter().map(|group| group.count).sum();
    output::note(&format!(
        "{waiting} of {} rejects in {} groups; `gosight dlq show SAMPLE_ID` shows one",
        listing.records,
        listing.groups.len()
    ));
    if listing.unreadable > 0 {
        output::note(&format!(
            "{} records are no rejects of this version",
            listing.unreadable
        ));
    }
    Ok(())
}

impl Row for Group {
    const HEADINGS: &'static [&'static str] = &[
        "CODE",
        "PROJECT",
        "VERSION",
        "COUNT",
        "FIRST",
        "LAST",
        "SAMPLE ID",
        "SAMPLE",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.code.to_string(),
            self.project_id.clone(),
            self.enricher_version.clone(),
            self.count.to_string(),
            moment::shown(self.first_ms),
            moment::shown(self.last_ms),
            self.sample_id.to_string(),
            self.sample.clone(),
        ]
    }
}
