//! `gosight validate`: a batch on the way that it would take through edge and enricher, with nothing staged.

mod arguments;
mod encoding;

mod report;

use std::collections::HashSet;

use gosight_edge::{Claimed, Refusal, examine};
use gosight_enricher::Assets;
use gosight_enricher::core::{DedupeWindow, process};
use gosight_eventlog::{LogRecord, Position};
use jiff::Timestamp;
use uuid::Uuid;

use crate::failure::Failure;
use crate::{connection, input, moment, output};

pub(crate) use self::arguments::ValidateArguments;

/// Bytes of a file at the most.
const LARGEST_FILE: u64 = 256 << 20;

/// `gosight validate`
pub(crate) async fn run(arguments: ValidateArguments) -> Result<(), Failure> {
    let edge = connection::edge_settings(arguments.config.as_deref(), None)?;
    let mut enricher = connection::enricher_settings(arguments.enricher_config.as_deref())?;
    if let Some(file) = &arguments.geoip {
        enricher.geoip.database_path.clone_from(file);
    }
    let assets = Assets::load(&enricher).map_err(|error| Failure::usage(error.to_string()))?;
    let now = Timestamp::now();
    let received_at = match &arguments.at {
        Some(text) => moment::parse(text, now).map_err(|error| Failure::usage(format!("--at: {error}")))?,
        None => now,
    }
    .as_millisecond();

    // Far more than an edge reads: that a batch is too large is for its limits to say.
    let body = input::read(&arguments.file, LARGEST_FILE).await?;
    let claimed = Claimed {
        project_id: arguments.project.to_string(),
        address: arguments.ip,
        user_agent: arguments.user_agent.clone(),
        received_at,
    };
    let body_choice = arguments.body;
    let examined = match examine(body, |plain| encoding::format_of(body_choice, plain), claimed, &edge).await {
        Ok(examined) => examined,
        Err(refusal) => return refused(&arguments, &refusal),
    };
    if !examined.names_key {
        output::note("The batch names no project_key: send one in it, or in X-Project-Key or Authorization: Bearer.");
    }
    let record = LogRecord {
        position: Position {
            topic: edge.kafka.topics.staging.as_str().into(),
            partition: 0,
            offset: 0,
        },
        timestamp_ms: received_at,
        key: Some(examined.key),
        value: examined.value,
        headers: Vec::new(),
    };
    let processed = process(&record, &assets, &mut SameBatch::default(), received_at);
    let verdicts = report::verdicts(&processed)?;
    report::print(arguments.format, &verdicts)?;
    if verdicts.is_empty() {
        output::note("The batch holds no events: the edge would accept it, and nothing would come out.");
    }
    let rejected = verdicts.iter().filter(|verdict| verdict.is_reject()).count();
    if rejected == 0 {
        return Ok(());
    }
    Err(Failure::finding(format!(
        "{rejected} of {} events would be rejected",
        verdicts.len()
    )))
}

fn refused(arguments: &ValidateArguments, refusal: &Refusal) -> Result<(), Failure> {
    report::print_refusal(arguments.format, refusal)?;
    Err(Failure::finding("the edge would refuse the whole batch"))
}

/// Only what comes twice in the batch itself is a duplicate here.
#[derive(Debug, Default)]
struct SameBatch(HashSet<Uuid>);

impl DedupeWindow for SameBatch {
    fn seen(&mut self, key: Uuid, _append_time_ms: i64) -> bool {
        !self.0.insert(key)
    }
}
