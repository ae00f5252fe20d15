//! Bounded gzip decompression, the same for every transport.

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;

use crate::budget::Held;
use crate::outcome::{Reason, Refusal};

/// Bytes that are decompressed between two looks at the limits.
const STEP: usize = 64 * 1024;

/// Whether bytes begin like gzip: SDKs in the field send it without a header.
pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// Decompresses, and stops at the first byte over `limit`, so that a bomb costs no more than a body that is just allowed.
pub(crate) fn gunzip(compressed: &[u8], limit: usize, held: &mut Held) -> Result<Bytes, Refusal> {
    let mut decoder = MultiGzDecoder::new(compressed);
    let mut plain = Vec::with_capacity(compressed.len().saturating_mul(4).min(STEP));
    loop {
        let room = (limit + 1 - plain.len()).min(STEP);
        held.take(room)?;
        let read = (&mut decoder)
            .take(room as u64)
            .read_to_end(&mut plain)
            .map_err(|error| {
                Refusal::new(
                    Reason::InvalidCompression,
                    format!("The body could not be decompressed as gzip: {error}"),
                )
            })?;
        drop(held.part(room - read));
        if plain.len() > limit {
            return Err(Refusal::new(
                Reason::BodyTooLarge,
                format!("The body is larger than the limit of {limit} bytes after decompression; send smaller batches"),
            ));
        }
        if read < room {
            return Ok(Bytes::from(plain));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

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
                assert!(budget.in_flight() <= 200_000, "{size}");
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
    fn truncated_and_damaged_bytes_are_refused() {
        let whole = gzip(b"{\"events\":[]}");
        assert!(is_gzip(&whole));
        for damaged in [&whole[..whole.len() - 4], &whole[..3], b"not gzip at all"] {
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
