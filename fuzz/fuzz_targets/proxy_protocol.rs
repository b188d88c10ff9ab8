//! PROXY protocol headers: what is complete stays the same when more follows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rowhouse::proto::proxy_protocol::{Parse, parse};

fuzz_target!(|data: &[u8]| {
    for input in [data.to_vec(), [b"PROXY TCP4 ", data].concat(), version_2(data)] {
        if let Ok(Parse::Done { consumed, header }) = parse(&input) {
            assert!(consumed <= input.len());
            let again = parse(&input[..consumed]);
            assert_eq!(again, Ok(Parse::Done { consumed, header: header.clone() }));
            for name in ["alpn", "ssl_cn", "ssl_verify", "0xee"] {
                header.as_ref().and_then(|header| header.tlv(name));
            }
        }
    }
});

/// A version 2 header over TCP and IPv4 with this behind the fixed part.
fn version_2(body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u16).to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n\x21\x11", &length[..], body].concat()
}
