//! Request heads: however the bytes are cut, the result is the same, and it lies inside them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rowhouse::proto::h1::{Framing, HeadOptions, Parse, RequestHead};

fuzz_target!(|data: &[u8]| {
    let Some((&step, input)) = data.split_first() else { return };
    let options = HeadOptions { buffer_size: 64, large_buffer_size: 256, ..HeadOptions::default() };
    let mut whole = RequestHead::new();
    let expected = whole.parse(input, &options);
    let mut head = RequestHead::new();
    let mut outcome = Parse::Incomplete;
    let step = usize::from(step) + 1;
    for end in (step..input.len()).step_by(step).chain([input.len()]) {
        outcome = head.parse(&input[..end], &options);
        if outcome != Parse::Incomplete {
            break;
        }
    }
    match (expected, outcome) {
        (Parse::Error(a), Parse::Error(b)) => {
            assert_eq!(a.status(), b.status());
            a.message(input);
        }
        (a, b) => assert_eq!(a, b),
    }
    if let Parse::Done { consumed } = expected {
        assert!(consumed <= input.len());
        assert_eq!(whole.headers, head.headers);
        for header in &whole.headers {
            assert!(header.value.end as usize <= consumed);
            assert_eq!(header.name.of(input).len(), header.name.len());
        }
        if let Err(error) = Framing::derive(&whole, input) {
            error.message(input);
        }
    }
});
