//! What the pure parts of a request cost: head, framing, path, host, location, chunked body, templates,
//! the response's head.
//!
//! `cargo bench` prints nanoseconds a call; compare two builds on the same machine, not two
//! machines. Nothing here asserts a time.

mod exchange;

use std::error::Error;
use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rowhouse::exchange::{Names, Template};
use rowhouse::http::pattern::{Captures, Pattern};
use rowhouse::http::{Entity, Status, uri};
use rowhouse::modules::ALL;
use rowhouse::proto::h1::response;
use rowhouse::proto::h1::{Chunked, Framing, HeadOptions, RequestHead};
use rowhouse::routing::hosts::Hosts;
use rowhouse::routing::locations::{Kind, Locations};

const BROWSER: &[u8] = b"GET /images/logo.png?v=3 HTTP/1.1\r\n\
Host: www.example.com\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
Accept-Language: en-US,en;q=0.5\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Connection: keep-alive\r\n\
Cookie: session=0123456789abcdef; theme=dark\r\n\r\n";

/// What `log_format combined` is.
const COMBINED: &[u8] = br#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;

fn main() -> Result<(), Box<dyn Error>> {
    requests();
    routes();
    chunked_body();
    templates()?;
    response_head();
    Ok(())
}

fn requests() {
    let mut head = RequestHead::new();
    measure("request head, 7 fields", || {
        head.clear();
        black_box(head.parse(black_box(BROWSER), &HeadOptions::default()));
    });
    measure("framing", || {
        let _ = black_box(Framing::derive(black_box(&head), BROWSER));
    });
    let mut decoded = Vec::new();
    let paths: [(&str, &[u8]); 2] = [
        ("path, plain", b"/images/logo.png?v=3"),
        ("path, to be normalised", b"/a/%62/../c//d/./e"),
    ];
    for (name, path) in paths {
        measure(name, || {
            let _ = black_box(uri::parse(black_box(path), true, &mut decoded));
        });
    }
}

fn routes() {
    let mut captures = Captures::new();
    let hosts = hosts();
    measure("host, one of 1,000 names", || {
        let _ = black_box(hosts.find(black_box(b"v500.example.com"), &mut captures));
    });
    measure("host, by a wildcard", || {
        let _ = black_box(hosts.find(black_box(b"a.b.example.org"), &mut captures));
    });
    let locations = locations();
    let paths: [(&str, &[u8]); 2] = [
        ("location, prefix among 200", b"/p150/file.html"),
        ("location, last of 50 patterns", b"/p150/file.x49"),
    ];
    for (name, path) in paths {
        measure(name, || {
            captures.clear();
            let _ = black_box(locations.find(black_box(path), &mut captures));
        });
    }
}

/// 64 KiB in 4 KiB chunks, decoded to its end; what is printed is for all of it.
fn chunked_body() {
    let mut body = Vec::new();
    for _ in 0..16 {
        body.extend_from_slice(b"1000\r\n");
        body.extend_from_slice(&[b'a'; 4096]);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n\r\n");
    measure("chunked body, 16 chunks", || {
        let (mut decoder, mut rest) = (Chunked::new(), black_box(&body[..]));
        while !decoder.is_done() {
            let Ok((used, event)) = decoder.decode(rest) else {
                break;
            };
            black_box(event);
            rest = &rest[used..];
        }
    });
}

fn templates() -> Result<(), Box<dyn Error>> {
    let exchange = exchange::answered(BROWSER)?;
    let rows = ALL.iter().flat_map(|module| module.variables);
    let mut names = Names::new(rows.copied().flatten());
    let mut out = Vec::new();
    let sources: [(&str, &[u8]); 3] = [
        ("template, text", b"/srv/example"),
        ("template, two variables", b"https://$host$request_uri"),
        ("template, combined log format", COMBINED),
    ];
    for (name, source) in sources {
        let template = Template::compile(source, &mut names).map_err(|_| name)?;
        names.resolve();
        measure(name, || {
            out.clear();
            black_box(&template).append(&exchange, &mut out);
        });
    }
    Ok(())
}

fn response_head() {
    const DATE: &[u8] = b"Tue, 14 Nov 2023 22:13:20 GMT";
    let file = Entity::of_file(Some("text/html".into()), 1_700_000_000, 1024, true);
    let mut out = Vec::new();
    measure("response head, 7 fields", || {
        out.clear();
        response::status_line(Status::OK, &mut out);
        response::field(b"Server", b"rowhouse", &mut out);
        response::field(b"Date", black_box(DATE), &mut out);
        file.append(black_box(Some(1024)), true, &mut out);
        response::field(b"ETag", b"\"6553f100-400\"", &mut out);
        response::field(b"Accept-Ranges", b"bytes", &mut out);
        response::end(&mut out);
        black_box(&out);
    });
}

/// 1,000 names and a wildcard.
fn hosts() -> Hosts<usize> {
    let mut hosts = Hosts::default();
    let names = (0..1000).map(|n| format!("v{n}.example.com"));
    for (number, name) in names.chain(["*.example.org".to_owned()]).enumerate() {
        let added = hosts.add(name.as_bytes(), number);
        assert!(added.is_ok(), "no name is used twice");
    }
    hosts
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
