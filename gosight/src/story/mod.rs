//! `gosight where`: the story of one event, or of all events of one batch.

mod arguments;
mod asked;
mod batch;
mod found;
mod search;
mod show;
mod tell;

use gosight_config::EnricherSettings;
use gosight_config::kafka::TopicNames;
use gosight_enricher::Assets;
use gosight_eventlog::EventLog;
use indicatif::ProgressBar;
use jiff::Timestamp;

use crate::failure::Failure;
use crate::output::{self, OutputFormat};
use crate::ranges::Bound;
use crate::{connection, progress};

pub(crate) use self::arguments::WhereArguments;
use self::asked::Asked;
use self::search::Search;
use self::tell::{Story, Teller};

/// Ids that tell no time are looked for this far back, in seconds.
const LAST_HOUR: i64 = 3_600;

impl From<asked::NotAsked> for Failure {
    fn from(error: asked::NotAsked) -> Self {
        Self::usage(error.to_string())
    }
}

/// `gosight where`
pub(crate) async fn run(arguments: WhereArguments) -> Result<(), Failure> {
    let now = Timestamp::now();
    let from = arguments
        .from
        .as_deref()
        .map(|text| Bound::parse(text, now))
        .transpose()?;
    let to = Bound::parse_or(arguments.to.as_deref(), Bound::End, now)?;
    let settings = connection::enricher_settings(arguments.enricher_config.as_deref())?;
    let opened = connection::open_existing(&arguments.log, "gosight-where").await?;
    let asked = Asked::parse(&arguments.asked, &opened.topics)?;
    let from = from.unwrap_or_else(|| default_start(&asked, now));
    // Country and city are no matter of the story.
    let assets = Assets::new(&settings, None);
    let bar: ProgressBar = progress::count("records");
    let mut teller = Teller {
        search: Search {
            log: &*opened.log,
            topics: &opened.topics,
            settings: &settings,
            assets: &assets,
            progress: &bar,
            searched: Vec::new(),
        },
        from,
        to,
    };
    let told = teller.tell(&asked).await;
    bar.finish_and_clear();
    let story = told?;
    show(&story, arguments.format)?;
    if story.found {
        return Ok(());
    }
    Err(Failure::finding(format!(
        "{} is not in what was searched; --from searches further back",
        output::printable(&arguments.asked)
    )))
}

/// The story of an event id, a receipt or a position, with the bounds that it has by itself.
pub(crate) async fn of(
    log: &dyn EventLog,
    topics: &TopicNames,
    settings: &EnricherSettings,
    asked: &str,
) -> Result<Story, Failure> {
    let asked = Asked::parse(asked, topics)?;
    let from = default_start(&asked, Timestamp::now());
    let assets = Assets::new(settings, None);
    let mut teller = Teller {
        search: Search {
            log,
            topics,
            settings,
            assets: &assets,
            progress: &ProgressBar::hidden(),
            searched: Vec::new(),
        },
        from,
        to: Bound::End,
    };
    teller.tell(&asked).await
}

fn default_start(asked: &Asked, now: Timestamp) -> Bound {
    let earliest_ms = match asked {
        Asked::Event(needle) => needle.earliest_ms(now.as_millisecond()),
        Asked::Staged { .. } | Asked::Output(_) => None,
    };
    let earliest_ms = earliest_ms.unwrap_or_else(|| now.as_millisecond() - LAST_HOUR * 1_000);
    Timestamp::from_millisecond(earliest_ms).map_or(Bound::Beginning, Bound::At)
}

fn show(story: &Story, format: OutputFormat) -> Result<(), Failure> {
    match format {
        OutputFormat::Json => output::json_line(story),
        OutputFormat::Table => story.lines().iter().try_for_each(|line| output::say(line)),
    }
}
