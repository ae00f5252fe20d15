//! How a record's place becomes one integer key: the log (one partition of one topic) in the high bits, the offset in the low
//! ones. So a record needs one B-tree and no index, and a partition's records are one range of keys.

/// Bits of an offset: a partition can take 10,000 records a second for three years.
const OFFSET_BITS: u32 = 40;
const OFFSET_MASK: i64 = (1 << OFFSET_BITS) - 1;

/// The key of a record.
pub(super) const fn record_id(log: i64, offset: i64) -> i64 {
    (log << OFFSET_BITS) | (offset & OFFSET_MASK)
}

/// The largest key that a log can hold.
pub(super) const fn last_id(log: i64) -> i64 {
    record_id(log, OFFSET_MASK)
}

/// The offset in a key.
pub(super) const fn offset_of(id: i64) -> i64 {
    id & OFFSET_MASK
}

#[cfg(test)]
mod tests {
    use super::{last_id, offset_of, record_id};

    #[test]
    fn keys_of_one_log_are_one_range_in_offset_order() {
        assert!(record_id(1, 0) < record_id(1, 1));
        assert!(record_id(1, 1) < last_id(1));
        assert!(last_id(1) < record_id(2, 0));
        assert_eq!(offset_of(record_id(7, 123_456_789_012)), 123_456_789_012);
    }
}
