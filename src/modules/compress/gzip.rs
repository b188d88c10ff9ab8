//! gzip (RFC 1952), made with zlib-rs.

use std::io;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use super::idle::Idle;
use super::{Coding, Settings, rows};
use crate::config::context::{HTTP_SERVER_LOCATION, HTTP_SERVER_LOCATION_IF};
use crate::config::{Directive, directive};
use crate::exchange::Transform;

/// The head of every gzip body: deflate, no time, made on Unix.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];

/// How much room for output there is at least when the compressor is asked.
const ROOM: usize = 8 * 1024;

thread_local! {
    /// Compressors, a third of a megabyte each, by level and window.
    static IDLE: Idle<(i32, u8), Compress> = const { Idle::new() };
}

/// `gzip_comp_level` unless told otherwise.
pub(super) const LEVEL: i32 = 1;

/// `gzip_window` unless told otherwise.
pub(super) const WINDOW: u8 = 15;

pub(super) const COMMON: &[Directive<Settings>] =
    rows::rows!(Coding::Gzip, "gzip", level 1 from 1 to 9);

pub(super) const OWN: &[Directive<Settings>] = &[
    directive("gzip_window")
        .syntax("size")
        .default("32k")
        .contexts(HTTP_SERVER_LOCATION)
        .doc("Sets how far back the compressor looks, from 512 bytes to 32k.")
        .set(|s, d| {
            let words = "value must be 512, 1k, 2k, 4k, 8k, 16k, or 32k";
            s.plan(Coding::Gzip).window = rows::window(d, 9..=15, words)?;
            Ok(())
        }),
    directive("gzip_hash")
        .syntax("size")
        .default("64k")
        .contexts(HTTP_SERVER_LOCATION)
        .doc("Sets the size of the compressor's table, which is fixed here.")
        .tunes(),
    directive("gzip_no_buffer")
        .syntax("on | off")
        .default("off")
        .contexts(HTTP_SERVER_LOCATION)
        .flag()
        .doc("Sends compressed bytes at once; here what came unbuffered goes out so anyway.")
        .tunes(),
    directive("postpone_gzipping")
        .syntax("size")
        .default("0")
        .contexts(HTTP_SERVER_LOCATION)
        .doc("Collects so much of a body before compressing it; here nothing need be.")
        .tunes(),
];

/// Makes one body.
pub(super) struct Gzip {
    key: (i32, u8),
    /// None before the first byte, so that bodies nobody sends cost nothing.
    compress: Option<Compress>,
    check: Crc,
}

impl Gzip {
    pub(super) fn new(level: i32, window: u8) -> Gzip {
        // What nginx's zlib does at level 1 costs and yields as much as level 2 of this one.
        let level = level.max(2);
        Gzip {
            key: (level, window),
            compress: None,
            check: Crc::new(),
        }
    }

    /// The compressor; the first use writes the head.
    fn started<'a>(&'a mut self, out: &mut Vec<u8>) -> &'a mut Compress {
        let key = self.key;
        self.compress.get_or_insert_with(|| {
            out.extend_from_slice(&HEAD);
            take(key)
        })
    }

    /// Compresses nothing more, until `is_done` says that all is out.
    fn drain(
        &mut self,
        out: &mut Vec<u8>,
        how: FlushCompress,
        is_done: fn(Status, &Vec<u8>) -> bool,
    ) -> io::Result<()> {
        let compress = self.started(out);
        loop {
            out.reserve(ROOM);
            let status = compress.compress_vec(&[], out, how)?;
            if is_done(status, out) {
                return Ok(());
            }
        }
    }
}

/// An idle compressor or a new one.
fn take(key: (i32, u8)) -> Compress {
    let (level, window) = key;
    let level = Compression::new(level.unsigned_abs());
    let new = || Compress::new_with_window_bits(level, false, window);
    IDLE.with(|idle| idle.take(&key)).unwrap_or_else(new)
}

impl Drop for Gzip {
    fn drop(&mut self) {
        if let Some(mut compress) = self.compress.take() {
            compress.reset();
            IDLE.with(|idle| idle.put(self.key, compress));
        }
    }
}

impl Transform for Gzip {
    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
        self.check.update(input);
        let compress = self.started(out);
        let start = compress.total_in();
        loop {
            out.reserve(ROOM);
            let taken = (compress.total_in() - start) as usize;
            if taken == input.len() {
                return Ok(taken);
            }
            compress.compress_vec(&input[taken..], out, FlushCompress::None)?;
        }
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.drain(out, FlushCompress::Sync, |_, out| {
            out.len() < out.capacity()
        })
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.drain(out, FlushCompress::Finish, |status, _| {
            status == Status::StreamEnd
        })?;
        out.extend_from_slice(&self.check.sum().to_le_bytes());
        out.extend_from_slice(&self.check.amount().to_le_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    fn gunzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(bytes);
        decoder.read_to_end(&mut out).unwrap();
        out
    }

    proptest! {
        #[test]
        fn any_split_and_any_flushes_give_the_input_back(
            parts in prop::collection::vec((prop::collection::vec(0u8..4, 0..3000), any::<bool>()), 0..8),
            level in 1i32..10,
            window in 9u8..16,
        ) {
            let mut gzip = Gzip::new(level, window);
            let (mut out, mut whole) = (Vec::new(), Vec::new());
            for (part, flush) in &parts {
                let mut part = &part[..];
                whole.extend_from_slice(part);
                while !part.is_empty() {
                    part = &part[gzip.feed(part, &mut out).unwrap()..];
                }
                if *flush {
                    gzip.flush(&mut out).unwrap();
                }
            }
            gzip.finish(&mut out).unwrap();
            prop_assert_eq!(gunzip(&out), whole);
        }
    }

    #[test]
    fn what_was_flushed_can_be_read() {
        let mut gzip = Gzip::new(1, 15);
        let mut out = Vec::new();
        gzip.feed(b"hello", &mut out).unwrap();
        gzip.flush(&mut out).unwrap();
        let mut begun = [0; 5];
        flate2::read::GzDecoder::new(&*out)
            .read_exact(&mut begun)
            .unwrap();
        assert_eq!(&begun, b"hello");
    }
}
