//! Where to begin reading a partition so that its window of ids is known at the start of a range.

use std::collections::BTreeMap;
use std::time::Duration;

use gosight_eventlog::{EventLog, LogError};
use jiff::Timestamp;

use super::{Bound, RangeReader, Span};

/// Clocks, ours and those of brokers, may differ by so much before ids are missed; reading more than the window does no harm.
pub(crate) const CLOCK_SLACK: Duration = Duration::from_millis(CLOCK_SLACK_MS.unsigned_abs());
/// The same in ms.
pub(crate) const CLOCK_SLACK_MS: i64 = 60_000;

/// For each span the offset, at or before its start, from which ids can still make an event of the span a duplicate.
pub(crate) async fn primed_from(
    log: &dyn EventLog,
    topic: &str,
    spans: &[Span],
    from: &Bound,
    window: Duration,
) -> Result<BTreeMap<i32, i64>, LogError> {
    let mut firsts: BTreeMap<i32, i64> = spans.iter().map(|span| (span.partition, span.from)).collect();
    match from {
        Bound::Beginning => {}
        Bound::At(time) => {
            let offsets = log.offsets_at(topic, before(time.as_millisecond(), window)).await?;
            move_back(&mut firsts, &offsets);
        }
        Bound::Offsets(_) | Bound::End => {
            for span in spans {
                let mut reader = RangeReader::open(log, topic, &[*span]).await?;
                let Some(records) = reader.next(1).await? else { continue };
                let Some(record) = records.first() else { continue };
                let offsets = log.offsets_at(topic, before(record.timestamp_ms, window)).await?;
                let own: Vec<(i32, i64)> = offsets
                    .into_iter()
                    .filter(|(number, _)| *number == span.partition)
                    .collect();
                move_back(&mut firsts, &own);
            }
        }
    }
    Ok(firsts)
}

fn move_back(firsts: &mut BTreeMap<i32, i64>, offsets: &[(i32, i64)]) {
    for (partition, offset) in offsets {
        if let Some(first) = firsts.get_mut(partition) {
            *first = (*first).min(*offset);
        }
    }
}

/// A window and the clocks' slack before a time; both Unix ms.
fn before(time_ms: i64, window: Duration) -> i64 {
    let back = i64::try_from((window + CLOCK_SLACK).as_millis()).unwrap_or(i64::MAX);
    time_ms.saturating_sub(back).max(0)
}

/// A time, Unix ms, as a bound with the clocks' slack before it.
pub(crate) fn since(time_ms: i64) -> Bound {
    let time = Timestamp::from_millisecond(before(time_ms, Duration::ZERO));
    time.map_or(Bound::Beginning, Bound::At)
}
