//! zstd (RFC 8878).

use std::io::{self, Write};

use zstd::stream::write::Encoder;

use super::{Coding, Plan, Settings, level};
use crate::config::context::{HTTP_SERVER_LOCATION, HTTP_SERVER_LOCATION_IF};
use crate::config::{Directive, directive};
use crate::exchange::Transform;

/// `zstd_comp_level` unless told otherwise.
pub(super) const LEVEL: u32 = 1;

fn edit(settings: &mut Settings) -> &mut Plan {
    settings.plan(Coding::Zstd)
}

pub(super) const ROWS: &[Directive<Settings>] = &[
    directive("zstd")
        .syntax("on | off")
        .default("off")
        .contexts(HTTP_SERVER_LOCATION_IF)
        .flag()
        .doc("Compresses bodies with zstd for clients that like it.")
        .set(|s, d| d.flag().map(|on| edit(s).enabled = on)),
    directive("zstd_comp_level")
        .syntax("level")
        .default("1")
        .contexts(HTTP_SERVER_LOCATION)
        .doc("Sets how hard zstd tries, from 1 to 22.")
        .set(|s, d| level(d, 1..=22).map(|level| edit(s).level = level)),
    directive("zstd_min_length")
        .syntax("length")
        .default("20")
        .contexts(HTTP_SERVER_LOCATION)
        .doc("Leaves bodies as they are whose length is known to be less.")
        .set(|s, d| d.size(0).map(|length| edit(s).min_length = length)),
    directive("zstd_types")
        .syntax("mime-type ...")
        .default("text/html")
        .contexts(HTTP_SERVER_LOCATION)
        .at_least(1)
        .doc("Lists the media types to compress with zstd; text/html always is one, and * stands for all.")
        .repeat(|s, d| {
            d.media_types(&mut edit(s).types);
            Ok(())
        }),
    directive("zstd_buffers")
        .syntax("number size")
        .default("32 4k")
        .contexts(HTTP_SERVER_LOCATION)
        .takes(2)
        .doc("Sets the buffers for compressed bodies; here they grow as needed.")
        .tunes(),
];

/// Makes one body.
pub(super) struct Zstd {
    level: u32,
    /// None before the first byte, so that bodies nobody sends cost nothing.
    encoder: Option<Encoder<'static, Vec<u8>>>,
}

impl Zstd {
    pub(super) fn new(level: u32) -> Zstd {
        Zstd {
            level,
            encoder: None,
        }
    }

    /// The compressor, started if need be.
    fn take(&mut self) -> io::Result<Encoder<'static, Vec<u8>>> {
        match self.encoder.take() {
            Some(encoder) => Ok(encoder),
            None => Encoder::new(Vec::new(), self.level.cast_signed()),
        }
    }
}

impl Transform for Zstd {
    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
        let mut encoder = self.take()?;
        encoder.write_all(input)?;
        out.append(encoder.get_mut());
        self.encoder = Some(encoder);
        Ok(input.len())
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let mut encoder = self.take()?;
        encoder.flush()?;
        out.append(encoder.get_mut());
        self.encoder = Some(encoder);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        out.append(&mut self.take()?.finish()?);
        Ok(())
    }
}
