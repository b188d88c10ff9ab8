//! Chunked bodies: however the bytes are cut, the same body comes out.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rowhouse::proto::h1::chunked::{Chunked, ChunkedError, Event};

/// The body, and whether it was complete.
fn decode(input: &[u8], step: usize) -> Result<(Vec<u8>, bool), ChunkedError> {
    let mut decoder = Chunked::new();
    let mut body = Vec::new();
    for piece in input.chunks(step) {
        let mut at = 0;
        loop {
            let (consumed, event) = decoder.decode(&piece[at..])?;
            match event {
                Event::Data(range) => body.extend_from_slice(&piece[at..][range]),
                Event::NeedMore => break,
                Event::End => return Ok((body, true)),
            }
            at += consumed;
        }
    }
    Ok((body, false))
}

fuzz_target!(|data: &[u8]| {
    let Some((&step, input)) = data.split_first() else { return };
    assert_eq!(decode(input, usize::from(step) + 1), decode(input, usize::MAX));
});
