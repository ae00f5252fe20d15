//! Zstandard (RFC 8878).

use std::io::{self, Read};

use zstd::stream::read::Decoder;

use super::Member;

/// A frame may ask for a window of 8 MiB, as RFC 9659 says for HTTP; more is refused, whatever it would unpack to.
const WINDOW_LOG: u32 = 23;

/// One frame of a zstd body.
pub(super) struct Zstd<'a>(Decoder<'static, &'a [u8]>);

impl<'a> Member<'a> for Zstd<'a> {
    const NAME: &'static str = "zstd";
    /// Writers that cut their output into frames do so every 64 KiB or more, and a frame costs an allocation.
    const MOST: usize = 128;

    fn begin(bytes: &'a [u8]) -> io::Result<Self> {
        let mut decoder = Decoder::with_buffer(bytes)?.single_frame();
        decoder.window_log_max(WINDOW_LOG)?;
        Ok(Self(decoder))
    }

    fn rest(&self) -> &'a [u8] {
        self.0.get_ref()
    }
}

impl Read for Zstd<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}
