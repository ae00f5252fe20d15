use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::{any, prop, prop_assert, proptest};

use super::{Encoding, decompress, is_gzip};
use crate::budget::Budget;
use crate::outcome::Reason;

const ALL: [Encoding; 4] = [Encoding::Gzip, Encoding::Deflate, Encoding::Brotli, Encoding::Zstd];

fn gzip(plain: &[u8]) -> Vec<u8> {
    packed(Encoding::Gzip, plain)
}

fn gunzip(compressed: &[u8], limit: usize, held: &mut crate::budget::Held) -> Result<bytes::Bytes, crate::Refusal> {
    decompress(Encoding::Gzip, compressed, limit, held)
}

fn packed(encoding: Encoding, plain: &[u8]) -> Vec<u8> {
    packed_times(encoding, plain, 1)
}

/// The same bytes `times` in a row, compressed as one.
fn packed_times(encoding: Encoding, plain: &[u8], times: usize) -> Vec<u8> {
    fn fill(mut encoder: impl Write, plain: &[u8], times: usize) {
        for _ in 0..times {
            encoder.write_all(plain).unwrap();
        }
        encoder.flush().unwrap();
    }
    let mut out = Vec::new();
    match encoding {
        Encoding::Gzip => fill(GzEncoder::new(&mut out, Compression::best()), plain, times),
        Encoding::Deflate => fill(ZlibEncoder::new(&mut out, Compression::best()), plain, times),
        Encoding::Brotli => fill(brotli::CompressorWriter::new(&mut out, 4096, 5, 22), plain, times),
        Encoding::Zstd => fill(zstd::Encoder::new(&mut out, 3).unwrap().auto_finish(), plain, times),
    }
    out
}

#[test]
fn every_format_reads_what_its_compressor_wrote() {
    let text: Vec<u8> = (0..200_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 27) as u8)
        .collect();
    for encoding in ALL {
        for size in [1, 1_000, 200_000] {
            let mut held = Budget::new(1 << 20).hold();
            let plain = decompress(encoding, &packed(encoding, &text[..size]), size, &mut held).unwrap();
            assert_eq!(plain, text[..size], "{encoding:?} {size}");
        }
    }
}

#[test]
fn deflate_is_read_with_and_without_the_header_of_zlib() {
    for level in [0, 1, 6, 9] {
        for plain in [&b"{\"events\":[]}"[..], &[b'x'; 100_000], b""] {
            let mut raw = DeflateEncoder::new(Vec::new(), Compression::new(level));
            raw.write_all(plain).unwrap();
            let mut held = Budget::new(1 << 20).hold();
            let read = decompress(Encoding::Deflate, &raw.finish().unwrap(), 100_000, &mut held).unwrap();
            assert_eq!(read, plain, "level {level}");
        }
    }
}

#[test]
fn a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
    let budget = Budget::new(1 << 20);
    for encoding in ALL {
        for (size, allowed) in [(99_999, true), (100_000, true), (100_001, false), (900_000, false)] {
            let mut held = budget.hold();
            let result = decompress(encoding, &packed(encoding, &vec![b'x'; size]), 100_000, &mut held);
            assert_eq!(result.is_ok(), allowed, "{encoding:?} {size}");
            if let Ok(plain) = result {
                assert_eq!(plain.len(), size);
                assert_eq!(budget.in_flight(), size);
            } else {
                assert!(budget.in_flight() <= 100_001, "{encoding:?} {size}");
            }
        }
    }
}

#[test]
fn a_bomb_is_stopped_by_the_budget_too() {
    for encoding in ALL {
        let bomb = packed(encoding, &vec![0; 8 << 20]);
        let mut held = Budget::new(300_000).hold();
        let refusal = decompress(encoding, &bomb, 4 << 20, &mut held).unwrap_err();
        assert_eq!(refusal.reason(), Reason::Overloaded, "{encoding:?}");
    }
}

#[test]
fn a_bomb_of_a_gigabyte_costs_no_more_than_its_limit() {
    const LIMIT: usize = 4 << 20;
    for encoding in ALL {
        let bomb = packed_times(encoding, &vec![0; 1 << 20], 1024);
        assert!(bomb.len() < 2 << 20, "{encoding:?}: {}", bomb.len());

        // A budget that barely has room for the limit: a byte more held at any moment would be refused as `Overloaded`.
        let budget = Budget::new(LIMIT + 1);
        let mut held = budget.hold();
        let refusal = decompress(encoding, &bomb, LIMIT, &mut held).unwrap_err();
        assert_eq!(refusal.reason(), Reason::BodyTooLarge, "{encoding:?}");
        assert!(refusal.message().contains("4194304"), "{refusal}");
        drop(held);
        assert_eq!(budget.in_flight(), 0);
    }
}

#[test]
fn windows_that_no_body_needs_are_refused() {
    // A window of 1 GiB, asked for by brotli's extension and by a frame of zstd.
    let large_brotli = [0x11, 30, 0x03];
    let mut large_zstd = zstd::Encoder::new(Vec::new(), 1).unwrap();
    large_zstd.window_log(27).unwrap();
    large_zstd.write_all(&vec![0; 1 << 20]).unwrap();
    for (encoding, bytes) in [
        (Encoding::Brotli, large_brotli.to_vec()),
        (Encoding::Zstd, large_zstd.finish().unwrap()),
    ] {
        let mut held = Budget::new(8 << 20).hold();
        let refusal = decompress(encoding, &bytes, 4 << 20, &mut held).unwrap_err();
        assert_eq!(refusal.reason(), Reason::InvalidCompression, "{encoding:?}");
    }
}

#[test]
fn members_without_end_are_refused() {
    for (encoding, most) in [(Encoding::Gzip, 1_000), (Encoding::Zstd, 128)] {
        let mut held = Budget::new(1 << 20).hold();
        let members = packed(encoding, b"x").repeat(most);
        assert_eq!(decompress(encoding, &members, most, &mut held).unwrap().len(), most);

        let refusal = decompress(encoding, &packed(encoding, b"").repeat(most + 1), 1_000, &mut held).unwrap_err();
        assert_eq!(refusal.reason(), Reason::InvalidCompression);
        assert!(
            refusal.message().contains(&format!("more than {most} members")),
            "{refusal}"
        );
    }
}

#[test]
fn what_follows_a_format_without_members_is_refused() {
    for encoding in [Encoding::Deflate, Encoding::Brotli] {
        let mut both = packed(encoding, b"{}");
        both.extend(packed(encoding, b"{}"));
        let mut held = Budget::new(1 << 20).hold();
        let refusal = decompress(encoding, &both, 1_000, &mut held).unwrap_err();
        assert_eq!(refusal.reason(), Reason::InvalidCompression, "{encoding:?}");
        assert!(refusal.message().contains("something follows"), "{refusal}");
    }
}

#[test]
fn nothing_is_allocated_or_held_beyond_the_body() {
    let budget = Budget::new(1 << 20);
    for encoding in ALL {
        for size in [1, 1_023, 1_024, 1_025, 4_096, 65_536, 65_537, 300_000] {
            let mut held = budget.hold();
            let plain = decompress(encoding, &packed(encoding, &vec![b'x'; size]), 500_000, &mut held).unwrap();
            assert_eq!(plain.len(), size);
            assert_eq!(budget.in_flight(), size);
            let buffer: Vec<u8> = plain.try_into_mut().unwrap().into();
            assert!(buffer.capacity() <= size, "{encoding:?} {size}: {}", buffer.capacity());
        }
    }
}

#[test]
fn truncated_and_damaged_bytes_are_refused() {
    assert!(is_gzip(&gzip(b"{}")));
    for encoding in ALL {
        let whole = packed(encoding, b"{\"events\":[1,2,3,4,5,6,7,8,9,10]}");
        let cut = (0..whole.len()).map(|length| whole[..length].to_vec());
        for damaged in cut.chain([b"{\"events\":[]}".to_vec(), vec![0xff; 100]]) {
            let mut held = Budget::new(1 << 20).hold();
            let result = decompress(encoding, &damaged, 1_000, &mut held);
            let refusal = result.expect_err(&format!("{encoding:?} of {} bytes", damaged.len()));
            assert_eq!(refusal.reason(), Reason::InvalidCompression, "{encoding:?}");
        }
    }
}

proptest! {
    /// Whatever the bytes are, the answer is a body within the limit or a refusal: no panic, and no endless loop.
    #[test]
    fn any_bytes_are_a_body_or_a_refusal(
        plain in prop::collection::vec(0..4_u8, 0..2_000),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for encoding in ALL {
            let mut bytes = packed(encoding, &plain);
            for (at, byte) in &damage {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            let mut held = Budget::new(1 << 20).hold();
            if let Ok(read) = decompress(encoding, &bytes, 10_000, &mut held) {
                prop_assert!(read.len() <= 10_000);
            }
        }
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

#[test]
fn one_encoding_is_named_and_what_is_not_supported_is_told_what_is() {
    let named = |lines: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(line));
        }
        Encoding::named(&headers).map_err(|refusal| {
            assert_eq!(refusal.reason(), Reason::UnsupportedEncoding);
            assert!(refusal.message().contains("gzip, deflate, br, zstd"), "{refusal}");
        })
    };
    for (lines, encoding) in [
        (&[][..], Ok(None)),
        (&[""], Ok(None)),
        (&["identity"], Ok(None)),
        (&["gzip"], Ok(Some(Encoding::Gzip))),
        (&[" X-GZip "], Ok(Some(Encoding::Gzip))),
        (&["deflate"], Ok(Some(Encoding::Deflate))),
        (&["BR"], Ok(Some(Encoding::Brotli))),
        (&["identity, zstd"], Ok(Some(Encoding::Zstd))),
        (&["compress"], Err(())),
        (&["gzip, gzip"], Err(())),
        (&["gzip", "br"], Err(())),
    ] {
        assert_eq!(named(lines), encoding, "{lines:?}");
    }
}
