//! Bodies of requests that several parts of the server have to do with: none is lost, cut or sent twice.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{Server, Site, eventually};

/// A server with this in its `server` block, and shell scripts below `html/`.
fn server(settings: &str, scripts: &[(&str, &str)]) -> Server {
    let mut site = Site::http(&format!(
        "client_body_temp_path %PREFIX%/body;
         client_max_body_size 16m;
         server {{
            listen 127.0.0.1:%PORT%;
            listen 127.0.0.1:%PORT1% sndbuf=8k;
            root %PREFIX%/html;
            {settings}
         }}"
    ))
    .file("html/index.html", "home");
    for (name, text) in scripts {
        let path = format!("html/{name}");
        site = site.file(&path, format!("#!/bin/sh\n{text}\n"));
        fs::set_permissions(site.path(&path), fs::Permissions::from_mode(0o755)).unwrap();
    }
    site.start()
}

fn post(path: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
}

/// Lines that tell where they stand.
fn text(length: usize) -> Vec<u8> {
    let lines = (0..length / 10).flat_map(|i| format!("{i:09}\n").into_bytes());
    lines.collect()
}

#[test]
fn a_mirrored_body_is_there_for_the_handler_too() {
    let server = server(
        "location /up/ { mirror /copy; upload_store %PREFIX%/html/up; }
         location /copy { internal; return 204; }
         location /sum { mirror /sum-copy; cgi pass %PREFIX%/html/sum; }
         location /sum-copy { internal; cgi pass %PREFIX%/html/sum; }",
        &[("sum", "printf 'Content-Type: text/plain\\n\\n'; wc -c")],
    );
    for length in [20, 100_000] {
        let body = text(length);
        let mut client = server.connect();
        let name = format!("/up/{length}");
        client.send(post(&name, length)).send(&body);
        assert_eq!(client.response().status, 201);
        assert_eq!(
            fs::read(server.path("html").join(&name[1..])).unwrap(),
            body
        );
        client.send(post("/sum", length)).send(&body);
        assert_eq!(client.response().text().trim(), length.to_string());
    }
}

#[test]
fn what_goes_on_in_the_background_survives_the_client() {
    let server = server(
        "location / { mirror /copy; post_action /after; }
         location /copy { internal; cgi pass %PREFIX%/html/slow; }
         location /after { internal; cgi pass %PREFIX%/html/slow; }",
        &[(
            "slow",
            "echo begun >>log; until [ -e gone ]; do sleep 0.01; done; echo done >>log; echo; echo",
        )],
    );
    fs::write(server.path("html/log"), "").unwrap();
    for path in ["html", "html/log"] {
        fs::set_permissions(server.path(path), fs::Permissions::from_mode(0o777)).unwrap();
    }
    let count = |word: &str| server.read("html/log").matches(word).count();
    let mut client = server.connect();
    assert_eq!(client.get("/index.html").text(), "home");
    eventually("both scripts run", || count("begun") == 2);
    drop(client);
    fs::write(server.path("html/gone"), "").unwrap();
    eventually("both scripts end by themselves", || count("done") == 2);
}

#[test]
fn the_page_for_a_body_that_is_too_large_lies_under_the_same_limit() {
    let server = server(
        "client_max_body_size 10;
         error_page 413 /large.html;
         location /large.html { return 413 page; }
         location /named { error_page 413 @large; }
         location @large { return 413 named; }",
        &[],
    );
    for (path, expected) in [("/", "page"), ("/named", "named")] {
        let mut client = server.connect();
        let response = client.send(post(path, 100)).send(text(100)).response();
        assert_eq!(response.status, 413);
        assert_eq!(response.text(), expected);
    }
}

#[test]
fn a_script_that_fails_in_the_middle_of_a_body_ends_the_connection() {
    let server = server(
        "location /die { cgi pass %PREFIX%/html/die; cgi_request_buffering off; }",
        &[("die", "kill -9 $$")],
    );
    let mut client = server.connect();
    let response = client.send(post("/die", 100)).send(text(100)).response();
    assert_eq!(response.status, 502);
    if response.header("Connection") == Some("keep-alive") {
        assert_eq!(client.get("/").text(), "home");
    } else {
        assert_eq!(client.rest(), b"");
    }
}

#[test]
fn output_that_waits_for_a_slow_client_goes_out_once() {
    let server = server(
        "location /echo { cgi pass /bin/cat; cgi_request_buffering off; cgi_buffering off; cgi_body_only on; }
         location /user { return 200 user; }",
        &[],
    );
    let page = text(15_000);
    server.write("html/page", &page);
    let large = text(120_000);
    server.write("html/large", &large);
    // The large file fills the socket, so the pages wait while the last body is looked for in vain.
    let mut client = server.connect_to(1);
    let get = |path| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let pages = get("/page").repeat(3);
    client
        .read_slowly()
        .send(get("/large") + &pages + &post("/user", 10));
    assert!(client.response().body == large, "the large file differs");
    for _ in 0..3 {
        assert!(client.response().body == page, "a page differs");
    }
    assert_eq!(client.send(text(10)).response().text(), "user");

    // The script's output can't be sent while its input still comes.
    let body = text(8_000_000);
    let mut client = server.connect_to(1);
    let sent = client.send(post("/echo", body.len())).fill(&body);
    assert!(sent < body.len(), "nothing had to wait");
    std::thread::scope(|scope| {
        let mut sender = client.sender();
        let rest = &body[sent..];
        scope.spawn(move || {
            sender.send(rest);
        });
        let echoed = client.response().body;
        assert!(echoed == text(8_000_000), "the echo differs");
    });
}
