//! Ids that sort by the time at which they were made.

use std::time::{SystemTime, UNIX_EPOCH};

use uuid::{Builder, Uuid};

/// A UUIDv7. Its random part comes from the thread's own generator: `Uuid::now_v7` asks the system for each, which costs more than
/// the rest of an envelope.
pub(crate) fn new_id() -> Uuid {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
    Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid()
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
