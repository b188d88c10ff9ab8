//! zstd (RFC 8878).

use std::io;
use std::rc::Rc;

use zstd::stream::raw::{Encoder, InBuffer, Operation, OutBuffer};

use super::idle::Idle;
use super::{Coding, Settings, rows};
use crate::config::context::{HTTP, HTTP_SERVER_LOCATION, HTTP_SERVER_LOCATION_IF};
use crate::config::{Directive, directive};
use crate::exchange::Transform;

/// `zstd_comp_level` unless told otherwise.
pub(super) const LEVEL: i32 = 1;

/// How much room for output there is at least when the compressor is asked.
const ROOM: usize = 8 * 1024;

/// Compressors of higher levels take tens of megabytes each, too much to be kept.
const MAX_KEPT_LEVEL: i32 = 9;

/// What both sides know before the first byte.
pub(super) type Dictionary = Option<Rc<[u8]>>;

thread_local! {
    /// Compressors, by level and dictionary.
    static IDLE: Idle<(i32, Dictionary), Encoder<'static>> = const { Idle::new() };
}

pub(super) const COMMON: &[Directive<Settings>] =
    rows::rows!(Coding::Zstd, "zstd", level 1 from -131072 to 22);

pub(super) const OWN: &[Directive<Settings>] = &[directive("zstd_dict_file")
    .syntax("file")
    .contexts(HTTP)
    .doc("Has zstd begin with what stands in the file, which clients must know, too: nothing tells them.")
    .set(|s, d| {
        s.dictionary = Some(d.content_of(0)?.into());
        Ok(())
    })];

/// Makes one body.
pub(super) struct Zstd {
    key: (i32, Dictionary),
    /// None before the first byte, so that bodies nobody sends cost nothing.
    encoder: Option<Encoder<'static>>,
}

impl Zstd {
    pub(super) fn new(level: i32, dictionary: Dictionary) -> Zstd {
        Zstd {
            key: (level, dictionary),
            encoder: None,
        }
    }

    /// The compressor, started if need be.
    fn started(&mut self) -> io::Result<&mut Encoder<'static>> {
        let encoder = match self.encoder.take() {
            Some(encoder) => encoder,
            None => take(&self.key)?,
        };
        Ok(self.encoder.insert(encoder))
    }

    /// Takes `step` until it says that nothing is left.
    fn drain(
        &mut self,
        out: &mut Vec<u8>,
        step: fn(&mut Encoder<'static>, &mut OutBuffer<'_, Vec<u8>>) -> io::Result<usize>,
    ) -> io::Result<()> {
        let encoder = self.started()?;
        while step(encoder, &mut room(out))? > 0 {}
        Ok(())
    }
}

/// Where output goes: behind what there is.
fn room(out: &mut Vec<u8>) -> OutBuffer<'_, Vec<u8>> {
    out.reserve(ROOM);
    let end = out.len();
    OutBuffer::around_pos(out, end)
}

/// An idle compressor or a new one.
fn take(key: &(i32, Dictionary)) -> io::Result<Encoder<'static>> {
    match IDLE.with(|idle| idle.take(key)) {
        Some(encoder) => Ok(encoder),
        None => Encoder::with_dictionary(key.0, key.1.as_deref().unwrap_or_default()),
    }
}

impl Drop for Zstd {
    fn drop(&mut self) {
        let Some(mut encoder) = self.encoder.take() else {
            return;
        };
        if self.key.0 <= MAX_KEPT_LEVEL && encoder.reinit().is_ok() {
            IDLE.with(|idle| idle.put(self.key.clone(), encoder));
        }
    }
}

impl Transform for Zstd {
    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
        let encoder = self.started()?;
        let mut input = InBuffer::around(input);
        while input.pos() < input.src.len() {
            encoder.run(&mut input, &mut room(out))?;
        }
        Ok(input.pos())
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.drain(out, |encoder, room| encoder.flush(room))
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.drain(out, |encoder, room| encoder.finish(room, true))
    }
}
