//! The enricher's limit: consumes staging records, cuts each into as many records as it has events, and produces these with the
//! positions in transactions, in two lanes as the enricher does. It looks at nothing.
//! `baseline-enricher STAGING OUTPUT GROUP EVENTS_PER_BATCH [BYTES]`, brokers in KAFKA_BROKERS. With BYTES every output has that size,
//! else they are the input in pieces.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark's helper that can't go on panics with the reason"
)]

use std::sync::Arc;

use bytes::Bytes;
use gosight_config::EnricherSettings;
use gosight_config::kafka::KafkaSettings;
use gosight_eventlog::kafka::KafkaLog;
use gosight_eventlog::{EventLog, Lane, LaneError, LaneOptions, LogRecord, NewRecord, PollLimit};
use tokio::task::JoinSet;

/// Of one transaction: as many as it is fastest with, whatever the enricher's settings are.
const MAX_RECORDS: usize = 2_000;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [staging, output, group, pieces, bytes @ ..] = arguments.as_slice() else {
        panic!("baseline-enricher STAGING OUTPUT GROUP EVENTS_PER_BATCH [BYTES]");
    };
    let cut = Cut {
        pieces: pieces.parse().expect("a number"),
        bytes: bytes.first().map(|bytes| bytes.parse().expect("a number")),
    };
    let brokers = std::env::var("KAFKA_BROKERS").expect("KAFKA_BROKERS is set");
    let kafka = KafkaSettings {
        brokers: brokers.split(',').map(str::to_owned).collect(),
        ..KafkaSettings::default()
    };
    let log = KafkaLog::connect(&kafka, "baseline-enricher").expect("the settings are good");
    let output: Arc<str> = output.as_str().into();
    let settings = EnricherSettings::default();
    let mut lanes = JoinSet::new();
    for number in 0..settings.consumer.lanes {
        let options = LaneOptions {
            group: group.clone(),
            topic: staging.clone(),
            transactional_id: format!("{group}-{number}"),
            session_timeout: settings.consumer.session_timeout,
            transaction_timeout: settings.transaction.timeout,
        };
        let limit = PollLimit {
            max_records: MAX_RECORDS,
            max_bytes: usize::try_from(settings.transaction.max_bytes.as_u64()).expect("few"),
            max_weight: usize::MAX,
            weight: |_| 0,
            max_wait: settings.transaction.max_wait,
        };
        let lane = log.lane(options).await.expect("a lane opens");
        lanes.spawn(pass_through(lane, limit, Arc::clone(&output), cut));
    }
    lanes.join_all().await;
}

/// What was aborted comes again by itself, as in the enricher: the lane stands at the committed positions.
async fn pass_through(mut lane: Box<dyn Lane>, limit: PollLimit, output: Arc<str>, cut: Cut) {
    loop {
        let polled = match lane.poll(limit).await {
            Err(LaneError::Aborted { .. }) => continue,
            polled => polled.expect("Kafka answers"),
        };
        let outputs: Vec<NewRecord> = polled
            .records
            .iter()
            .flat_map(|record| cut.outputs(record, &output))
            .collect();
        if outputs.is_empty() {
            continue;
        }
        match lane.commit(outputs).await {
            Ok(()) | Err(LaneError::Aborted { .. }) => {}
            Err(error) => panic!("an output can't be committed: {error}"),
        }
    }
}

/// How records are cut.
#[derive(Clone, Copy)]
struct Cut {
    pieces: usize,
    /// Of each piece.
    bytes: Option<usize>,
}

impl Cut {
    fn outputs(self, record: &LogRecord, output: &Arc<str>) -> impl Iterator<Item = NewRecord> {
        let key = record.key.clone().unwrap_or_default();
        let (value, output) = (record.value.clone(), Arc::clone(output));
        (0..self.pieces).map(move |piece| NewRecord {
            topic: Arc::clone(&output),
            key: key.clone(),
            value: self.piece(&value, piece),
            headers: Vec::new(),
        })
    }

    /// Pieces that together are larger than the record overlap.
    fn piece(self, value: &Bytes, piece: usize) -> Bytes {
        let length = self.bytes.unwrap_or(value.len() / self.pieces).min(value.len());
        let start = (value.len() - length) * piece / self.pieces;
        value.slice(start..start + length)
    }
}
