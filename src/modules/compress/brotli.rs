//! brotli (RFC 7932).

use std::io::{self, Write};

use brotli::CompressorWriter;

use super::{Coding, Settings, rows};
use crate::config::context::{HTTP_SERVER_LOCATION, HTTP_SERVER_LOCATION_IF};
use crate::config::{Directive, directive};
use crate::exchange::Transform;

/// `brotli_comp_level` unless told otherwise.
pub(super) const LEVEL: i32 = 6;

/// `brotli_window` unless told otherwise.
pub(super) const WINDOW: u8 = 19;

/// How much output the compressor makes at a time.
const BUFFER: usize = 8 * 1024;

pub(super) const COMMON: &[Directive<Settings>] =
    rows::rows!(Coding::Brotli, "brotli", level 6 from 0 to 11);

pub(super) const OWN: &[Directive<Settings>] = &[directive("brotli_window")
    .syntax("size")
    .default("512k")
    .contexts(HTTP_SERVER_LOCATION)
    .doc("Sets how far back brotli looks, from 1k to 16m.")
    .set(|s, d| {
        let words = "value must be a power of two from 1k to 16m";
        s.plan(Coding::Brotli).window = rows::window(d, 10..=24, words)?;
        Ok(())
    })];

/// Makes one body.
pub(super) struct Brotli {
    level: i32,
    window: u8,
    /// None before the first byte, so that bodies nobody sends cost nothing.
    writer: Option<CompressorWriter<Vec<u8>>>,
}

impl Brotli {
    pub(super) fn new(level: i32, window: u8) -> Brotli {
        Brotli {
            level,
            window,
            writer: None,
        }
    }

    fn started(&mut self) -> &mut CompressorWriter<Vec<u8>> {
        let (level, window) = (self.level.unsigned_abs(), u32::from(self.window));
        let start = || CompressorWriter::new(Vec::new(), BUFFER, level, window);
        self.writer.get_or_insert_with(start)
    }
}

impl Transform for Brotli {
    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
        let writer = self.started();
        writer.write_all(input)?;
        out.append(writer.get_mut());
        Ok(input.len())
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let writer = self.started();
        writer.flush()?;
        out.append(writer.get_mut());
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.started();
        if let Some(writer) = self.writer.take() {
            out.append(&mut writer.into_inner());
        }
        Ok(())
    }
}
