//! Moments on the command line and times shown to people.

use jiff::Timestamp;

/// A text that is no moment.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a time such as 2026-01-31T12:00:00Z nor an age such as 10m")]
pub(crate) struct NotAMoment(String);

/// Reads a time, or an age that counts back from `now`.
pub(crate) fn parse(text: &str, now: Timestamp) -> Result<Timestamp, NotAMoment> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    humantime::parse_duration(text)
        .ok()
        .and_then(|age| now.checked_sub(age).ok())
        .ok_or_else(|| NotAMoment(text.to_owned()))
}

/// Unix ms as a person reads them, in UTC to the millisecond.
pub(crate) fn shown(unix_ms: i64) -> String {
    Timestamp::from_millisecond(unix_ms).map_or_else(|_| unix_ms.to_string(), |time| format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{parse, shown};

    #[test]
    fn a_moment_is_a_time_or_an_age() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let ten_minutes_ago: Timestamp = "2026-01-31T11:50:00Z".parse().unwrap();
        assert_eq!(parse("10m", now), Ok(ten_minutes_ago));
        assert_eq!(parse("2026-01-31T11:50:00Z", now), Ok(ten_minutes_ago));
        assert!(
            parse("yesterday", now)
                .unwrap_err()
                .to_string()
                .contains("\"yesterday\"")
        );
    }

    #[test]
    fn a_time_is_shown_to_the_millisecond() {
        assert_eq!(shown(1_769_860_800_120), "2026-01-31T12:00:00.120Z");
        assert_eq!(shown(i64::MAX), i64::MAX.to_string());
    }
}
