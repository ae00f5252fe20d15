//! HTTP's `deflate`: the zlib format (RFC 1950), or, as some clients send and every browser reads, raw deflate (RFC 1951).

use std::io::{self, Read};

use flate2::{Decompress, FlushDecompress, Status};

use super::{Member, too_early};

/// A deflate body.
pub(super) struct Deflate<'a> {
    rest: &'a [u8],
    inner: Decompress,
    ended: bool,
}

impl<'a> Member<'a> for Deflate<'a> {
    const NAME: &'static str = "deflate";
    const MOST: usize = 1;

    fn begin(bytes: &'a [u8]) -> io::Result<Self> {
        Ok(Self {
            rest: bytes,
            inner: Decompress::new(has_zlib_header(bytes)),
            ended: false,
        })
    }

    fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

/// Compression method 8, a window of at most 32 KiB, and the check bits that make it a multiple of 31: no compressor begins raw
/// deflate so.
fn has_zlib_header(bytes: &[u8]) -> bool {
    let [method, flags, ..] = bytes else { return false };
    method & 0x0f == 8 && method >> 4 <= 7 && u16::from_be_bytes([*method, *flags]).is_multiple_of(31)
}

impl Read for Deflate<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.ended || buf.is_empty() {
            return Ok(0);
        }
        loop {
            let (taken, given) = (self.inner.total_in(), self.inner.total_out());
            let status = self.inner.decompress(self.rest, buf, FlushDecompress::None)?;
            // Both are at most the length of a slice.
            let taken = (self.inner.total_in() - taken) as usize;
            let given = (self.inner.total_out() - given) as usize;
            self.rest = &self.rest[taken..];
            self.ended = matches!(status, Status::StreamEnd);
            if self.ended || given > 0 {
                return Ok(given);
            }
            if taken == 0 {
                return Err(too_early());
            }
        }
    }
}
