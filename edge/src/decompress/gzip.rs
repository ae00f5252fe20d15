//! gzip (RFC 1952).

use std::io::{self, Read};

use flate2::bufread::GzDecoder;

use super::Member;

/// One member of a gzip body.
pub(super) struct Gzip<'a>(GzDecoder<&'a [u8]>);

impl<'a> Member<'a> for Gzip<'a> {
    const NAME: &'static str = "gzip";
    /// A member of nothing takes 20 bytes and some 3 µs (measured), so their number is bounded too; writers that cut their output
    /// into members do so every 64 KiB or more.
    const MOST: usize = 1_000;

    fn begin(bytes: &'a [u8]) -> io::Result<Self> {
        Ok(Self(GzDecoder::new(bytes)))
    }

    fn rest(&self) -> &'a [u8] {
        self.0.get_ref()
    }
}

impl Read for Gzip<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}
