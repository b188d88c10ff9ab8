//! `gunzip`: bodies that are compressed already are decompressed for clients that don't like gzip.

use std::io;
use std::rc::Rc;

use flate2::{Decompress, FlushDecompress, Status};

use crate::config::context::HTTP_SERVER_LOCATION;
use crate::config::{Directive, Module, directive};
use crate::exchange::{Exchange, Filter, Location, Response, Transform};

/// How much input is taken at a time. The output is a thousand times that at most, whatever a
/// malicious body claims.
const INPUT: usize = 512;

/// How much room for output there is at least when the decompressor is asked.
const ROOM: usize = 16 * 1024;

/// Decompresses bodies.
pub struct Gunzip;

/// What a block says of it.
#[derive(Clone, Default)]
pub struct Settings {
    enabled: bool,
}

impl Module for Gunzip {
    type Settings = Settings;
    const NAME: &'static str = "gunzip";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        directive("gunzip")
            .syntax("on | off")
            .default("off")
            .contexts(HTTP_SERVER_LOCATION)
            .flag()
            .doc("Decompresses bodies in gzip for clients that don't like it.")
            .set(|s, d| d.flag().map(|on| s.enabled = on)),
        directive("gunzip_buffers")
            .syntax("number size")
            .default("32 4k")
            .contexts(HTTP_SERVER_LOCATION)
            .takes(2)
            .doc("Sets the buffers for decompressed bodies; here they grow as needed.")
            .tunes(),
    ];

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if settings.enabled {
            location.filters.push(Rc::clone(settings) as Rc<dyn Filter>);
        }
    }
}

impl Filter for Settings {
    fn filter(&self, exchange: &Exchange, response: &mut Response) {
        let encoding = response.headers.get(b"Content-Encoding");
        if !encoding.is_some_and(|value| value.eq_ignore_ascii_case(b"gzip")) {
            return;
        }
        if exchange.location.core.compression.vary {
            response.vary_by_encoding();
        }
        if exchange.accepts_gzip(response) > 0 {
            return;
        }
        response.headers.remove(b"Content-Encoding");
        response.forbid_ranges();
        response.weaken_etag();
        response.body = std::mem::take(&mut response.body).transformed(Members::default());
    }

    fn sees_subrequests(&self) -> bool {
        true
    }
}

/// Reads the members of a gzip file (RFC 1952 section 2.2).
#[derive(Default)]
struct Members {
    /// The member being read; none before the first and between two.
    current: Option<Decompress>,
    /// Whether there was any: a file without is none.
    any: bool,
}

impl Transform for Members {
    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
        let input = &input[..input.len().min(INPUT)];
        let member = self.current.get_or_insert_with(|| Decompress::new_gzip(15));
        let start = member.total_in();
        loop {
            out.reserve(ROOM);
            let taken = (member.total_in() - start) as usize;
            let status = member.decompress_vec(&input[taken..], out, FlushDecompress::None)?;
            let taken = (member.total_in() - start) as usize;
            if status == Status::StreamEnd {
                (self.current, self.any) = (None, true);
                return Ok(taken);
            }
            if taken == input.len() && out.len() < out.capacity() {
                return Ok(taken);
            }
        }
    }

    fn finish(&mut self, _: &mut Vec<u8>) -> io::Result<()> {
        match self.current.is_none() && self.any {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_bomb_goes_off_in_small_portions() {
        const LENGTH: usize = 32 << 20;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&vec![0; LENGTH]).unwrap();
        let bomb = encoder.finish().unwrap();
        let (mut members, mut rest, mut total) = (Members::default(), &bomb[..], 0);
        while !rest.is_empty() {
            let mut out = Vec::new();
            let taken = members.feed(rest, &mut out).unwrap();
            assert!(taken > 0 && out.capacity() <= 2 << 20, "{}", out.capacity());
            (rest, total) = (&rest[taken..], total + out.len());
        }
        members.finish(&mut Vec::new()).unwrap();
        assert_eq!(total, LENGTH);
    }

    #[test]
    fn what_is_no_whole_gzip_is_refused() {
        let whole = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0";
        for length in 0..=whole.len() {
            let mut members = Members::default();
            let mut out = Vec::new();
            let mut rest = &whole[..length];
            while !rest.is_empty() {
                rest = &rest[members.feed(rest, &mut out).unwrap()..];
            }
            let ended = members.finish(&mut out);
            assert_eq!(ended.is_ok(), length == whole.len(), "{length}");
        }
        let mut members = Members::default();
        assert!(members.feed(b"no gzip at all", &mut Vec::new()).is_err());
    }
}
