//! `gosight replay`: staged batches run again through today's enricher.

mod arguments;
mod compare;
mod diff;
mod job;
mod privacy;
mod run;
mod source;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gosight_config::EnricherSettings;
use gosight_enricher::{Assets, Rerun};
use gosight_eventlog::{Cleanup, EventLog, TimestampSource, TopicInfo, TopicSpec};
use gosight_schemas::ledger::JobState;
use indicatif::ProgressBar;
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::connection::{self, Opened};
use crate::failure::Failure;
use crate::output::{self, OutputFormat};
use crate::progress;
use crate::ranges::{self, Bound, Span};

pub(crate) use self::arguments::ReplayArguments;
use self::compare::Compare;
use self::diff::Differences;
use self::job::{Counts, Replay, Request};
use self::privacy::Private;
use self::run::{Ended, Run, Sink};
use self::source::Enricher;
use self::writer::ReplayWriter;

/// As long as a topic without a retention keeps its records: ten years.
const FOR_EVER: Duration = Duration::from_secs(3_650 * 86_400);

impl From<diff::TooFarApart> for Failure {
    fn from(error: diff::TooFarApart) -> Self {
        Self::usage(error.to_string())
    }
}

/// `gosight replay`
pub(crate) async fn run(arguments: ReplayArguments) -> Result<(), Failure> {
    let now = Timestamp::now();
    let from = Bound::parse_or(arguments.from.as_deref(), Bound::Beginning, now)?;
    let to = Bound::parse_or(arguments.to.as_deref(), Bound::End, now)?;
    let mut settings = connection::enricher_settings(arguments.enricher_config.as_deref())?;
    if let Some(file) = &arguments.geoip {
        settings.geoip.database_path.clone_from(file);
        settings.geoip.databases.clear();
    }
    let opened = connection::open_existing(&arguments.log, "gosight-replay").await?;
    let assets = Assets::load(&settings).map_err(|error| Failure::usage(error.to_string()))?;
    let private = match arguments.anonymize {
        true => Private::All,
        false => private(&arguments, &opened).await?,
    };
    let prepared = Prepared {
        opened,
        settings,
        assets,
        private,
        from,
        to,
    };
    match (&arguments.resume, arguments.diff) {
        (Some(id), _) => prepared.resume(id, &arguments).await,
        (None, true) => prepared.diff(&arguments).await,
        (None, false) => prepared.begin(&arguments).await,
    }
}

async fn private(arguments: &ReplayArguments, opened: &Opened) -> Result<Private, Failure> {
    match connection::embedded_directory(&arguments.log) {
        Some(directory) => Private::in_sqlite(&directory.join("keys.db")).await,
        None => Private::in_postgres(&opened.edge.postgres).await,
    }
}

struct Prepared {
    opened: Opened,
    settings: EnricherSettings,
    assets: Assets,
    private: Private,
    from: Bound,
    to: Bound,
}

impl Prepared {
    fn log(&self) -> &dyn EventLog {
        &*self.opened.log
    }

    fn enricher(&self, request: &Request) -> Arc<Enricher> {
        Arc::new(Enricher {
            assets: self.assets.clone(),
            rerun: Rerun::new(&request.to_topic, &request.errors_topic),
            filter: request.filter(),
            errors_topic: request.errors_topic.as_str().into(),
            private: self.private.clone(),
            window: self.settings.dedupe.window,
            max_entries: usize::try_from(self.settings.dedupe.max_entries).unwrap_or(usize::MAX),
        })
    }

    /// What of staging is meant, up to its end of now.
    async fn spans(&self) -> Result<Vec<Span>, Failure> {
        let staging = &self.opened.topics.staging;
        Ok(ranges::spans(self.log(), staging, &self.from, &self.to).await?)
    }

    /// A new replay.
    async fn begin(&self, arguments: &ReplayArguments) -> Result<(), Failure> {
        let to_topic = arguments.to_topic.clone().unwrap_or_default();
        self.check_target(&to_topic, arguments).await?;
        let request = request(arguments, &to_topic, &format!("{to_topic}.errors"));
        let mut replay = Replay::new(request, &self.opened.topics.staging, self.spans().await?);
        let sink = if arguments.dry_run {
            Sink::DryRun
        } else {
            self.prepare_topics(&replay.request, arguments).await?;
            let mut writer = ReplayWriter::open(self.log(), &replay.id).await?;
            // From here on it can be resumed.
            writer.commit(vec![replay.record(&self.ledger())?]).await?;
            output::note(&format!(
                "replay {id}; should it stop: gosight replay --resume {id}",
                id = replay.id
            ));
            Sink::Write(writer)
        };
        self.work(&mut replay, sink, &self.from, arguments).await
    }

    /// Goes on with a replay.
    async fn resume(&self, id: &str, arguments: &ReplayArguments) -> Result<(), Failure> {
        let ledger = self.ledger();
        job::prepare_ledger(self.log(), &ledger).await?;
        // First the other runner is fenced off: what is read then stays true.
        let mut writer = ReplayWriter::open(self.log(), id).await?;
        let Some(mut replay) = job::stored(self.log(), &ledger, id).await? else {
            return Err(Failure::usage(format!("the ledger {ledger} knows no replay {id}")));
        };
        if replay.state == JobState::Done {
            output::note(&format!("replay {id} is done already"));
            return show(&replay, arguments.format);
        }
        replay.state = JobState::Running;
        writer.commit(vec![replay.record(&ledger)?]).await?;
        let left = replay.left.iter().map(|span| (span.partition, span.from));
        let from = Bound::Offsets(left.collect());
        self.work(&mut replay, Sink::Write(writer), &from, arguments).await
    }

    async fn work(
        &self,
        replay: &mut Replay,
        sink: Sink,
        from: &Bound,
        arguments: &ReplayArguments,
    ) -> Result<(), Failure> {
        let bar = progress::bar(replay.left.iter().map(Span::len).sum(), "batches");
        let stop = stop_on_signal();
        let mut run = Run {
            log: self.log(),
            ledger: self.ledger(),
            enricher: self.enricher(&replay.request),
            sink,
            rate: arguments.rate,
            progress: &bar,
            stop: &stop,
        };
        let ended = run.run(replay, from).await;
        bar.finish_and_clear();
        if ended? == Ended::Stopped {
            output::note(&format!("stopped; go on with: gosight replay --resume {}", replay.id));
        }
        show(replay, arguments.format)
    }

    fn ledger(&self) -> Arc<str> {
        self.opened.topics.ledger.as_str().into()
    }

    /// What would come out different.
    async fn diff(&self, arguments: &ReplayArguments) -> Result<(), Failure> {
        let group = &self.settings.consumer.group;
        let topics = &self.opened.topics;
        let consumed: BTreeMap<i32, i64> = self
            .log()
            .committed(group, &topics.staging)
            .await?
            .into_iter()
            .collect();
        let mut spans = self.spans().await?;
        for span in &mut spans {
            // What the enricher has not consumed yet has nothing to be compared with.
            let consumed = consumed.get(&span.partition).copied().unwrap_or(span.from);
            span.to = span.to.min(consumed).max(span.from);
        }
        let bar: ProgressBar = progress::bar(spans.iter().map(Span::len).sum(), "batches");
        let compare = Compare {
            log: self.log(),
            topics,
            enricher: self.enricher(&request(arguments, &topics.events, &topics.errors)),
            progress: &bar,
        };
        let compared = compare.run(&spans, &self.from).await;
        bar.finish_and_clear();
        let differences = compared?;
        show_differences(&differences, arguments.format)?;
        if differences.same == differences.compared {
            return Ok(());
        }
        let different = differences.compared - differences.same;
        Err(Failure::finding(format!(
            "{different} of {} events would come out different",
            differences.compared
        )))
    }

    async fn check_target(&self, to_topic: &str, arguments: &ReplayArguments) -> Result<(), Failure> {
        let topics = &self.opened.topics;
        let others = [&topics.staging, &topics.errors, &topics.replay, &topics.ledger];
        if others.into_iter().any(|other| other == to_topic) {
            return Err(Failure::usage(format!(
                "a replay can't write to {to_topic}; choose a topic of its own"
            )));
        }
        if *to_topic == topics.events && !arguments.yes && !arguments.dry_run {
            return Err(Failure::usage(format!(
                "{to_topic} is what downstream reads: every event would stand there a second time; add --yes where that is meant"
            )));
        }
        let exists = self.log().describe(to_topic).await?.is_some();
        if !exists && !arguments.create && !arguments.dry_run {
            return Err(Failure::unavailable(format!(
                "topic {to_topic} does not exist; create it, or add --create"
            )));
        }
        Ok(())
    }

    /// Creates what is missing: the target only where that was asked for, which [`Self::check_target`] has seen to.
    async fn prepare_topics(&self, request: &Request, arguments: &ReplayArguments) -> Result<(), Failure> {
        job::prepare_ledger(self.log(), &self.ledger()).await?;
        let raw = self.log().describe(&self.opened.topics.events).await?;
        let errors = self.log().describe(&self.opened.topics.errors).await?;
        let missing = |name: &str| Failure::unavailable(format!("topic {name} does not exist"));
        let raw = raw.ok_or_else(|| missing(&self.opened.topics.events))?;
        let errors = errors.ok_or_else(|| missing(&self.opened.topics.errors))?;
        let mut topics = vec![like(&errors, &request.errors_topic)];
        if arguments.create {
            topics.push(like(&raw, &request.to_topic));
        }
        self.log().create_topics(&topics).await?;
        Ok(())
    }
}

/// A topic like another one.
fn like(other: &TopicInfo, name: &str) -> TopicSpec {
    TopicSpec {
        name: name.to_owned(),
        partitions: other.partitions,
        retention: other.retention.unwrap_or(FOR_EVER),
        cleanup: Cleanup::Delete,
        max_message_bytes: other.max_message_bytes,
        timestamps: TimestampSource::CreateTime,
    }
}

fn request(arguments: &ReplayArguments, to_topic: &str, errors_topic: &str) -> Request {
    Request {
        to_topic: to_topic.to_owned(),
        errors_topic: errors_topic.to_owned(),
        project: arguments.project.clone(),
        session: arguments.session.clone(),
        event_type: arguments.event_type.clone(),
    }
}

/// Notified at Ctrl-C or SIGTERM.
fn stop_on_signal() -> Arc<Notify> {
    let stop = Arc::new(Notify::new());
    if let Ok(shutdown) = gosight_lifecycle::Shutdown::on_signals() {
        let stop = Arc::clone(&stop);
        tokio::spawn(async move {
            shutdown.begun().await;
            stop.notify_one();
        });
    }
    stop
}

fn show(replay: &Replay, format: OutputFormat) -> Result<(), Failure> {
    if format == OutputFormat::Json {
        return output::json_line(&replay.entry()?);
    }
    let Counts {
        batches,
        events,
        rejects,
        duplicates,
        left_out,
    } = replay.counts;
    let Request {
        to_topic, errors_topic, ..
    } = &replay.request;
    output::say(&output::printable(&format!(
        "replay {}: {batches} batches → {events} events on {to_topic}, {rejects} rejects on {errors_topic}, {duplicates} duplicates, \
         {left_out} left out by filters",
        replay.id
    )))
}

fn show_differences(differences: &Differences, format: OutputFormat) -> Result<(), Failure> {
    if format == OutputFormat::Json {
        return output::json_line(differences);
    }
    output::say(&format!(
        "{} events compared, {} the same byte for byte",
        differences.compared, differences.same
    ))?;
    for differences in [&differences.outcomes, &differences.fields] {
        if !differences.is_empty() {
            output::say("")?;
            output::rows(format, differences)?;
        }
    }
    Ok(())
}
