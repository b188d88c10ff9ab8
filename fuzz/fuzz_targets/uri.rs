//! Targets: a normal path starts with a slash and has no dot segments, whatever was sent.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rowhouse::http::{escape, host, uri};

fuzz_target!(|data: &[u8]| {
    let mut path = Vec::new();
    let target = [b"/", data].concat();
    if uri::parse(&target, true, &mut path).is_ok() {
        let (first, rest) = path.split_first().unwrap();
        assert_eq!(*first, b'/');
        assert!(rest.split(|&byte| byte == b'/').all(|part| part != b"." && part != b".."));
        assert!(!path.windows(2).any(|pair| pair == b"//"));
    }
    let _ = uri::parse(&target, false, &mut path);
    if let Some((path, _)) = uri::parse_unsafe(data) {
        assert!(path.split(|&byte| byte == b'/').all(|part| part != b".."));
    }
    if let Ok(name) = host::parse(data) {
        assert!(!name.name.is_empty() && !name.name.contains(&b'/'));
    }
    let (mut there, mut back) = (Vec::new(), Vec::new());
    escape::escape(data, escape::Escape::Uri, &mut there);
    escape::unescape(&there, escape::Unescape::All, &mut back);
    assert_eq!(back, data);
});
