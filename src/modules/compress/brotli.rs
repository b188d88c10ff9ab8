//! brotli (RFC 7932).

use std::io::{self, Write};

use brotli::CompressorWriter;

use super::{Coding, Plan, Settings, level, window};
use crate::config::context::{HTTP_SERVER_LOCATION, HTTP_SERVER_LOCATION_IF};
use crate::config::{Directive, directive};
use crate::exchange::Transform;

/// `brotli_comp_level` unless told otherwise.
pub(super) const LEVEL: u32 = 6;

/// `brotli_window` unless told otherwise.
pub(super) const WINDOW: u8 = 19;

/// How much output the compressor makes at a time.
const BUFFER: usize = 8 * 1024;

fn edit(settings: &mut Settings) -> &mut Plan {
    settings.plan(Coding::Brotli)
}

pub(super) const ROWS: &[Directive<Settings>] = &[
    directive("brotli")
        .syntax("on | off")
        .default("off")
        .contexts(HTTP_SERVER_LOCATION_IF)
        .flag()
        .doc("Compresses bodies with brotli for clients that like it.")
        .set(|s, d| d.flag().map(|on| edit(s).enabled = on)),
    directive("brotli_comp_level")
        .syntax("level")
        .default("6")
        .contexts(HTTP_SERVER_LOCATION)
        .doc("Sets how hard brotli tries, from 0 to 11.")
        .set(|s, d| level(d, 0..=11).map(|level| edit(s).level = level)),
    directive("brotli_min_length")
        .syntax("length")
        .default("20")
        .contexts(HTTP_SERVER_LOCATION)
        .doc("Leaves bodies as they are whose length is known to be less.")
        .set(|s, d| d.size(0).map(|length| edit(s).min_length = length)),
    directive("brotli_types")
        .syntax("mime-type ...")
        .default("text/html")
        .contexts(HTTP_SERVER_LOCATION)
        .at_least(1)
        .doc("Lists the media types to compress with brotli; text/html always is one, and * stands for all.")
        .repeat(|s, d| {
            d.media_types(&mut edit(s).types);
            Ok(())
        }),
    directive("brotli_buffers")
        .syntax("number size")
        .default("32 4k")
        .contexts(HTTP_SERVER_LOCATION)
        .takes(2)
        .doc("Sets the buffers for compressed bodies; here they grow as needed.")
        .tunes(),
    directive("brotli_window")
        .syntax("size")
        .default("512k")
        .contexts(HTTP_SERVER_LOCATION)
        .doc("Sets how far back brotli looks, from 1k to 16m.")
        .set(|s, d| {
            let words = "value must be a power of two from 1k to 16m";
            edit(s).window = window(d, 10..=24, words)?;
            Ok(())
        }),
];

/// Makes one body.
pub(super) struct Brotli {
    level: u32,
    window: u8,
    /// None before the first byte, so that bodies nobody sends cost nothing.
    writer: Option<CompressorWriter<Vec<u8>>>,
}

impl Brotli {
    pub(super) fn new(level: u32, window: u8) -> Brotli {
        Brotli {
            level,
            window,
            writer: None,
        }
    }

    fn started(&mut self) -> &mut CompressorWriter<Vec<u8>> {
        let (level, window) = (self.level, u32::from(self.window));
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
