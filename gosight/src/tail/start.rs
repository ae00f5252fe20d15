//! Where a tail begins.

use gosight_eventlog::{EventLog, LogError};
use jiff::Timestamp;

use crate::moment;

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// At the oldest record.
    Beginning,
    /// At the first record at or after this time.
    At(Timestamp),
    /// At what comes now.
    End,
}

/// A text that is no start.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("--from {0:?} is neither start, nor a time such as 2026-01-31T12:00:00Z, nor an age such as 10m")]
pub(crate) struct NotAStart(String);

/// Reads `--from`; an age counts back from `now`.
pub(super) fn parse(text: Option<&str>, now: Timestamp) -> Result<Start, NotAStart> {
    let Some(text) = text else {
        return Ok(Start::End);
    };
    if text == "start" {
        return Ok(Start::Beginning);
    }
    moment::parse(text, now)
        .map(Start::At)
        .map_err(|_| NotAStart(text.to_owned()))
}

/// The positions at which a reader of `topic` begins.
pub(super) async fn positions(log: &dyn EventLog, topic: &str, start: Start) -> Result<Vec<(i32, i64)>, LogError> {
    let bounds = || log.bounds(topic);
    Ok(match start {
        Start::Beginning => bounds().await?.iter().map(|at| (at.partition, at.earliest)).collect(),
        Start::End => bounds().await?.iter().map(|at| (at.partition, at.end)).collect(),
        Start::At(time) => log.offsets_at(topic, time.as_millisecond()).await?,
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{Start, parse};

    #[test]
    fn a_start_is_a_word_a_time_or_an_age() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let ten_minutes_ago: Timestamp = "2026-01-31T11:50:00Z".parse().unwrap();
        assert_eq!(parse(None, now), Ok(Start::End));
        assert_eq!(parse(Some("start"), now), Ok(Start::Beginning));
        assert_eq!(parse(Some("10m"), now), Ok(Start::At(ten_minutes_ago)));
        assert_eq!(parse(Some("2026-01-31T11:50:00Z"), now), Ok(Start::At(ten_minutes_ago)));
        assert!(
            parse(Some("yesterday"), now)
                .unwrap_err()
                .to_string()
                .contains("\"yesterday\"")
        );
    }
}
