//! `gosight audit`: whether the books balance, from the topics alone.

mod arguments;
mod books;
mod gather;
pub(crate) mod leaders;
pub(crate) mod report;

use gosight_config::EnricherSettings;
use indicatif::ProgressBar;
use jiff::Timestamp;

use crate::failure::Failure;
use crate::output::{self, OutputFormat};
use crate::ranges::Bound;
use crate::{connection, progress};

pub(crate) use self::arguments::AuditArguments;
pub(crate) use self::gather::{Request, audit, repeated};
use self::report::Report;

impl From<books::TooLarge> for Failure {
    fn from(error: books::TooLarge) -> Self {
        Self::usage(error.to_string())
    }
}

/// `gosight audit`
pub(crate) async fn run(arguments: AuditArguments) -> Result<(), Failure> {
    let now = Timestamp::now();
    let request = Request {
        from: Bound::parse(&arguments.from, now)?,
        to: Bound::parse_or(arguments.to.as_deref(), Bound::End, now)?,
        project: arguments.project.clone(),
        limit: usize::from(arguments.limit),
    };
    let settings: EnricherSettings = connection::enricher_settings(arguments.enricher_config.as_deref())?;
    let opened = connection::open_existing(&arguments.log, "gosight-audit").await?;
    let bar: ProgressBar = progress::count("records");
    let audited = audit(&*opened.log, &opened.topics, &settings, &request, &bar).await;
    bar.finish_and_clear();
    let report = audited?;
    show(&report, arguments.format)?;
    if report.balanced {
        return Ok(());
    }
    let (total, named) = (&report.total, report.breaks.len());
    Err(Failure::finding(format!(
        "the books don't balance: {} lost, {} doubled, {} invented, {} republished, {} under a wrong project, {} batches miscounted \
         ({named} named)",
        total.lost, total.doubled, total.invented, total.republished, total.wrong_project, total.miscounted
    )))
}

fn show(report: &Report, format: OutputFormat) -> Result<(), Failure> {
    if format == OutputFormat::Json {
        return output::json_line(report);
    }
    output::rows(format, &report.projects)?;
    if !report.breaks.is_empty() {
        output::say("")?;
        output::rows(format, &report.breaks)?;
    }
    output::say("")?;
    for line in report.searched.iter().chain(&report.notes) {
        output::say(&output::printable(line))?;
    }
    if report.balanced {
        output::say("The books balance.")?;
    }
    Ok(())
}
