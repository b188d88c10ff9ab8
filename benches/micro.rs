//! What the pure parts of a request cost: head, framing, path, location, chunked body.
//!
//! `cargo bench` prints nanoseconds a call; compare two builds on the same machine, not two
//! machines. Nothing here asserts a time.

use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rowhouse::http::pattern::{Captures, Pattern};
use rowhouse::http::uri;
use rowhouse::proto::h1::{Chunked, Framing, HeadOptions, RequestHead};
use rowhouse::routing::locations::{Kind, Locations};

const BROWSER: &[u8] = b"GET /images/logo.png?v=3 HTTP/1.1\r\n\
Host: www.example.com\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
Accept-Language: en-US,en;q=0.5\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Connection: keep-alive\r\n\
Cookie: session=0123456789abcdef; theme=dark\r\n\r\n";

const CHUNKED: &[u8] = b"10\r\n0123456789abcdef\r\n0\r\n\r\n";

fn main() {
    let mut head = RequestHead::new();
    measure("request head, 7 fields", || {
        head.clear();
        black_box(head.parse(black_box(BROWSER), &HeadOptions::default()));
    });
    measure("framing", || {
        let _ = black_box(Framing::derive(black_box(&head), BROWSER));
    });
    let mut decoded = Vec::new();
    measure("path, plain", || {
        let _ = black_box(uri::parse(
            black_box(b"/images/logo.png?v=3"),
            true,
            &mut decoded,
        ));
    });
    measure("path, to be normalised", || {
        let _ = black_box(uri::parse(
            black_box(b"/a/%62/../c//d/./e"),
            true,
            &mut decoded,
        ));
    });
    let locations = locations();
    let mut captures = Captures::new();
    measure("location, prefix among 200", || {
        let _ = black_box(locations.find(black_box(b"/p150/file.html"), &mut captures));
    });
    measure("location, last of 50 patterns", || {
        captures.clear();
        let _ = black_box(locations.find(black_box(b"/p150/file.x49"), &mut captures));
    });
    measure("chunk head and data", || {
        let _ = black_box(Chunked::new().decode(black_box(CHUNKED)));
    });
}

/// 200 prefixes and 50 patterns.
fn locations() -> Locations<usize> {
    let mut locations = Locations::default();
    let prefixes = (0..200).map(|n| Kind::Prefix(format!("/p{n}/").into_bytes()));
    let patterns = (0..50).filter_map(|n| Pattern::new(&format!("\\.x{n}$"), false).ok());
    let kinds = prefixes.chain(patterns.map(|pattern| Kind::Regex(Rc::new(pattern))));
    for (number, kind) in kinds.enumerate() {
        let added = locations.add(kind, false, number, Locations::default());
        assert!(added.is_ok(), "no name is used twice");
    }
    locations
}

/// Prints what one call costs: the quickest of several rounds, which interruptions disturb least.
fn measure(name: &str, mut call: impl FnMut()) {
    const CALLS: u32 = 20_000;
    let mut best = Duration::MAX;
    for _ in 0..10 {
        let start = Instant::now();
        for _ in 0..CALLS {
            call();
        }
        best = best.min(start.elapsed());
    }
    let nanoseconds = best.as_secs_f64() * 1e9 / f64::from(CALLS);
    println!("{name:<32} {nanoseconds:>7.1} ns");
}
