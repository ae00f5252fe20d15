//! Which partition a key belongs to: murmur2, as Kafka's Java clients place it.

const SEED: u32 = 0x9747_b28c;
const M: u32 = 0x5bd1_e995;
const R: u32 = 24;

/// The partition of a key among `partitions`, which must be positive.
pub(super) fn partition_of(key: &[u8], partitions: i32) -> i32 {
    // Java's toPositive: the sign bit goes, which is not the absolute value.
    let positive = (murmur2(key) & 0x7fff_ffff).cast_signed();
    positive % partitions
}

fn murmur2(data: &[u8]) -> u32 {
    // Java's length is an int; a key never comes near its limit.
    #[expect(clippy::cast_possible_truncation, reason = "the hash is defined on 32 bits")]
    let mut hash = SEED ^ (data.len() as u32);
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::{murmur2, partition_of};

    /// From Kafka's own `UtilsTest`.
    #[test]
    fn hashes_are_those_of_java() {
        for (text, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash, "{text}");
        }
    }

    #[test]
    fn a_negative_hash_loses_its_sign_bit_and_not_its_sign() {
        // -973932308 & 0x7fffffff = 1173551340
        assert_eq!(partition_of(b"21", 12), 1_173_551_340 % 12);
        assert_eq!(partition_of(b"abc", 12), 479_470_107 % 12);
        assert!((0..3).contains(&partition_of(b"", 3)));
    }
}
