//! Headers about ranges, conditions and dates: parts lie inside the whole, nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rowhouse::http::conditional::{Conditions, IfModifiedSince, Validators, evaluate};
use rowhouse::http::range::{Ranges, parse};

fuzz_target!(|data: &[u8]| {
    let Some((&length, value)) = data.split_first() else { return };
    let length = u64::from(length) * 16;
    let header = [b"bytes=", value].concat();
    if let Ranges::Partial(ranges) = parse(&header, length, None) {
        assert!(!ranges.is_empty());
        assert!(ranges.iter().all(|range| range.start < range.end && range.end <= length));
    }
    let found = Validators { etag: Some(b"\"a\""), last_modified: Some(784_111_777), date: None };
    let value = Some(value);
    let conditions =
        Conditions { if_none_match: value, if_modified_since: value, ..Conditions::default() };
    evaluate(&conditions, &found, IfModifiedSince::Before);
});
