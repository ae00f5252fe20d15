//! Bounded gzip decompression, the same for every transport.

use std::fmt::Display;
use std::io::Read;

use bytes::Bytes;
use flate2::bufread::GzDecoder;

use crate::budget::Held;
use crate::outcome::{Reason, Refusal};

/// Bytes of the first buffer, at least: most batches fit four times their compressed size.
const MIN_ROOM: usize = 1024;
/// Bytes of the first buffer, at most.
const MAX_ROOM: usize = 64 * 1024;

/// Gzip members in a row. A member of nothing takes 20 bytes and some 3 µs (measured), so their number is bounded too;
/// writers that cut their output into members do so every 64 KiB or more.
const MAX_MEMBERS: usize = 1_000;

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
    let first_room = compressed.len().saturating_mul(4).clamp(MIN_ROOM, MAX_ROOM);
    let mut plain = Vec::new();
    let mut room = 0;
    let mut member = GzDecoder::new(compressed);
    let mut members = 1;
    loop {
        if room == 0 {
            room = plain.len().max(first_room).min(limit.saturating_add(1) - plain.len());
            held.take(room)?;
            plain.reserve_exact(room);
        }
        let read = (&mut member)
            .take(room as u64)
            .read_to_end(&mut plain)
            .map_err(invalid)?;
        room -= read;
        if plain.len() > limit {
            return Err(Refusal::new(
                Reason::BodyTooLarge,
                format!("The body is larger than the limit of {limit} bytes after decompression; send smaller batches"),
            ));
        }
        if room == 0 {
            continue;
        }
        let rest = member.into_inner();
        if rest.is_empty() {
            plain.shrink_to_fit();
            drop(held.part(room));
            return Ok(Bytes::from(plain));
        }
        members += 1;
        if members > MAX_MEMBERS {
            return Err(invalid(format!("it has more than {MAX_MEMBERS} members")));
        }
        member = GzDecoder::new(rest);
    }
}

fn invalid(what: impl Display) -> Refusal {
    Refusal::new(
        Reason::InvalidCompression,
        format!("The gzip data could not be decompressed: {what}"),
    )
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
        let refusal = gunzip(&bomb, LIMIT, &mut held).unwrap_err();
        assert_eq!(refusal.reason(), Reason::BodyTooLarge);
        assert!(refusal.message().contains("4194304"), "{refusal}");
        drop(held);
        assert_eq!(budget.in_flight(), 0);
    }

    #[test]
    fn members_without_end_are_refused() {
        let mut held = Budget::new(1 << 20).hold();
        let members = gzip(b"x").repeat(1_000);
        assert_eq!(gunzip(&members, 1_000, &mut held).unwrap().len(), 1_000);

        let refusal = gunzip(&gzip(b"").repeat(1_001), 1_000, &mut held).unwrap_err();
        assert_eq!(refusal.reason(), Reason::InvalidCompression);
        assert!(refusal.message().contains("more than 1000 members"), "{refusal}");
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

        both.extend(b"trailing");
        let refusal = gunzip(&both, 1_000, &mut held).unwrap_err();
        assert_eq!(refusal.reason(), Reason::InvalidCompression);
    }
}
