//! The enricher's limit: consumes staging records, cuts each into as many records as it has events, and produces these with the
//! positions in transactions, in two lanes as the enricher does. It looks at nothing.
//! `baseline-enricher STAGING OUTPUT GROUP EVENTS_PER_BATCH [BYTES]`, brokers in KAFKA_BROKERS. With BYTES every output has that size and
//! headers as the enricher's, else they are the input in pieces.

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
use gosight_eventlog::{
    Doomed, EventLog, Header, Lane, LaneError, LaneOptions, LogRecord, Output, Outputs, PollLimit, Verdict,
};
use gosight_schemas::headers;
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
        like_ours: bytes
            .first()
            .map(|bytes| LikeOurs::of(bytes.parse().expect("a number"), staging)),
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
        lanes.spawn(pass_through(lane, limit, Arc::clone(&output), cut.clone()));
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
        if polled.records.is_empty() {
            continue;
        }
        let (output, cut) = (Arc::clone(&output), cut.clone());
        let work = move |outputs: &mut dyn Outputs| {
            let cut = |record| cut.outputs(record, &output, outputs);
            // Where an output is refused the lane tells why.
            let _ = polled.records.iter().try_for_each(cut);
            Verdict::Commit
        };
        match lane.transact(Box::new(work)).await {
            Ok(_) | Err(LaneError::Aborted { .. }) => {}
            Err(error) => panic!("an output can't be committed: {error}"),
        }
    }
}

/// How records are cut.
#[derive(Clone)]
struct Cut {
    pieces: usize,
    /// Absent: the input in pieces.
    like_ours: Option<LikeOurs>,
}

/// Outputs of the enricher's form: so many bytes in all, and its headers among them.
#[derive(Clone)]
struct LikeOurs {
    bytes: usize,
    headers: Vec<Header>,
}

impl LikeOurs {
    fn of(bytes: usize, staging: &str) -> Self {
        let origin = format!("{staging}:12:123456:5");
        let batch_id = "0197f3a0-1111-7000-8000-00000000000a";
        let headers = [
            (headers::ORIGIN, &*origin),
            (headers::BATCH_ID, batch_id),
            (headers::ENRICHER_VERSION, "0.1.0"),
            (headers::GEOIP_BUILD, "1732406400"),
        ];
        let header = |(name, value): (_, &str)| Header::new(name, Bytes::copy_from_slice(value.as_bytes()));
        Self {
            bytes,
            headers: headers.map(header).to_vec(),
        }
    }
}

impl Cut {
    fn outputs(&self, record: &LogRecord, output: &Arc<str>, outputs: &mut dyn Outputs) -> Result<(), Doomed> {
        let key = record.key.clone().unwrap_or_default();
        let headers = self.like_ours.as_ref().map_or(&[][..], |ours| &ours.headers);
        let length = match &self.like_ours {
            Some(ours) => ours.bytes - key.len() - headers.iter().map(Header::size).sum::<usize>(),
            None => record.value.len() / self.pieces,
        };
        let length = length.min(record.value.len());
        (0..self.pieces).try_for_each(|piece| {
            // Pieces that together are larger than the record overlap.
            let start = (record.value.len() - length) * piece / self.pieces;
            outputs.add(Output {
                topic: output,
                key: &key,
                value: &record.value.slice(start..start + length),
                headers,
            })
        })
    }
}
