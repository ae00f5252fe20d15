//! Ids that sort by the time at which they were made.

use std::time::{SystemTime, UNIX_EPOCH};

use uuid::{Builder, Uuid};

/// A UUIDv7 of now.
pub(crate) fn new_id() -> Uuid {
    new_id_at(unix_ms())
}

/// A UUIDv7 of a moment (Unix ms). Its random part comes from the thread's own generator: `Uuid::now_v7` asks the system for each,
/// which costs more than the rest of an envelope.
pub(crate) fn new_id_at(unix_ms: i64) -> Uuid {
    let millis = u64::try_from(unix_ms).unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid()
}

/// Now, as Unix time in milliseconds.
pub(crate) fn unix_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::new_id;

    #[test]
    fn ids_are_version_7_differ_and_sort_by_time() {
        let (first, second) = (new_id(), new_id());
        assert_eq!(first.get_version_num(), 7);
        assert_ne!(first, second);
        std::thread::sleep(Duration::from_millis(2));
        assert!(second < new_id());
    }
}
