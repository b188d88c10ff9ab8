//! Forms: however the bytes are cut, the same parts come out.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rowhouse::proto::multipart::{Event, Multipart, MultipartError, PartHead};

/// The parts, and whether the form was complete.
type Form = (Vec<(PartHead, Vec<u8>)>, bool);

fn decode(input: &[u8], step: usize) -> Result<Form, MultipartError> {
    let Some(mut decoder) = Multipart::new(b"multipart/form-data; boundary=ab", 512) else {
        return Ok((Vec::new(), false));
    };
    let mut parts: Vec<(PartHead, Vec<u8>)> = Vec::new();
    for mut piece in input.chunks(step) {
        loop {
            let (used, event) = decoder.decode(piece)?;
            match event {
                Event::Part(head) => parts.push((head, Vec::new())),
                Event::Data(data) => {
                    let part = parts.last_mut();
                    part.expect("data belong to a part").1.extend_from_slice(data);
                }
                Event::EndOfPart => {}
                Event::NeedMore | Event::End => break,
            }
            piece = &piece[used..];
        }
    }
    Ok((parts, decoder.is_done()))
}

fuzz_target!(|data: &[u8]| {
    let Some((&step, input)) = data.split_first() else { return };
    assert_eq!(decode(input, usize::from(step) + 1), decode(input, usize::MAX));
});
