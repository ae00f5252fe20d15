//! Bounded gzip decompression, the same for every transport.

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;

use crate::budget::Held;
use crate::outcome::{Reason, Refusal};

/// Bytes of the first buffer, at least: most batches fit four times their compressed size.
const MIN_STEP: usize = 1024;
/// Bytes of the first buffer, at most.
const MAX_STEP: usize = 64 * 1024;

/// Whether bytes begin like gzip: SDKs in the field send it without a header.
pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// Decompresses, and stops at the first byte over `limit`, so that a bomb costs no more than a body that is just allowed. What
/// it holds is what it allocates: a buffer that doubles, cut to the body's size at the end.
///
/// # Errors
/// `InvalidCompression` where the bytes are no gzip or end too early; `BodyTooLarge`; `Overloaded` where the budget is used up.
pub(crate) fn gunzip(compressed: &[u8], limit: usize, held: &mut Held) -> Result<Bytes, Refusal> {
    let mut decoder = MultiGzDecoder::new(compressed);
    let most = limit.saturating_add(1);
    let mut plain = Vec::new();
    let mut more = compressed.len().saturating_mul(4).clamp(MIN_STEP, MAX_STEP);
    loop {
        more = more.min(most - plain.len());
        held.take(more)?;
        plain.reserve_exact(more);
        let read = (&mut decoder)
            .take(more as u64)
            .read_to_end(&mut plain)
            .map_err(|error| {
                Refusal::new(
                    Reason::InvalidCompression,
                    format!("The gzip data could not be decompressed: {error}"),
                )
            })?;
        if plain.len() > limit {
            return Err(Refusal::new(
                Reason::BodyTooLarge,
                format!("The body is larger than the limit of {limit} bytes after decompression; send smaller batches"),
            ));
        }
        if read < more {
            plain.shrink_to_fit();
            drop(held.part(more - read));
            return Ok(Bytes::from(plain));
        }
        more = plain.len();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::{Duration, Instant};

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::{gunzip, is_gzip};
    use crate::budget::Budget;
    use crate::outcome::Reason;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
        let budget = Budget::new(1 << 20);
        for (size, allowed) in [(99_999, true), (100_000, true), (100_001, false), (900_000, false)] {
            let mut held = budget.hold();
            let result = gunzip(&gzip(&vec![b'x'; size]), 100_000, &mut held);
            assert_eq!(result.is_ok(), allowed, "{size}");
            if let Ok(plain) = result {
                assert_eq!(plain.len(), size);
                assert_eq!(budget.in_flight(), size);
            } else {
                assert!(budget.in_flight() <= 100_001, "{size}");
            }
        }
    }

    #[test]
    fn a_bomb_is_stopped_by_the_budget_too() {
        let mut held = Budget::new(300_000).hold();
        let refusal = gunzip(&gzip(&vec![0; 8 << 20]), 4 << 20, &mut held).unwrap_err();
        assert_eq!(refusal.reason(), Reason::Overloaded);
    }

    #[test]
    fn a_bomb_of_a_gigabyte_costs_no_more_than_its_limit() {
        const LIMIT: usize = 4 << 20;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        for _ in 0..1024 {
            encoder.write_all(&[0; 1 << 20]).unwrap();
        }
        let bomb = encoder.finish().unwrap();
        assert!(bomb.len() < 2 << 20, "{}", bomb.len());

        // A budget that barely has room for the limit: a byte more held at any moment would be refused as `Overloaded`.
        let budget = Budget::new(LIMIT + 1);
        let mut held = budget.hold();
        let started = Instant::now();
        let refusal = gunzip(&bomb, LIMIT, &mut held).unwrap_err();
        assert_eq!(refusal.reason(), Reason::BodyTooLarge);
        assert!(refusal.message().contains("4194304"), "{refusal}");
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        drop(held);
        assert_eq!(budget.in_flight(), 0);
    }

    #[test]
    fn a_megabyte_of_empty_members_ends_soon() {
        let empty = gzip(b"");
        let bomb = empty.repeat((1 << 20) / empty.len());
        let mut held = Budget::new(1 << 20).hold();
        let started = Instant::now();
        assert!(gunzip(&bomb, 1_000, &mut held).unwrap().is_empty());
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    }

    #[test]
    fn nothing_is_allocated_or_held_beyond_the_body() {
        let budget = Budget::new(1 << 20);
        for size in [1, 1_023, 1_024, 1_025, 4_096, 65_536, 65_537, 300_000] {
            let mut held = budget.hold();
            let plain = gunzip(&gzip(&vec![b'x'; size]), 500_000, &mut held).unwrap();
            assert_eq!(plain.len(), size);
            assert_eq!(budget.in_flight(), size);
            let buffer: Vec<u8> = plain.try_into_mut().unwrap().into();
            assert!(buffer.capacity() <= size, "{size}: {}", buffer.capacity());
        }
    }

    #[test]
    fn truncated_and_damaged_bytes_are_refused() {
        let whole = gzip(b"{\"events\":[]}");
        assert!(is_gzip(&whole));
        for damaged in [&whole[..whole.len() - 4], &whole[..3], b"", b"not gzip at all"] {
            let mut held = Budget::new(1 << 20).hold();
            let refusal = gunzip(damaged, 1_000, &mut held).unwrap_err();
            assert_eq!(refusal.reason(), Reason::InvalidCompression);
        }
    }

    #[test]
    fn members_in_a_row_are_one_body() {
        let mut both = gzip(b"{\"events\"");
        both.extend(gzip(b":[]}"));
        let mut held = Budget::new(1 << 20).hold();
        assert_eq!(gunzip(&both, 1_000, &mut held).unwrap().as_ref(), b"{\"events\":[]}");
    }
}
