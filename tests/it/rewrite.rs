//! Rewriting and what goes with it, as clients see it: conditions, paced responses, actions after
//! a response, copies of requests.

use std::time::{Duration, Instant};

use crate::support::{Server, Site, eventually};

fn server(server: &str) -> Server {
    Site::http(&format!(
        "log_format paths '$uri $status $body_bytes_sent';
         server {{
            listen 127.0.0.1:%PORT%;
            root %PREFIX%/html;
            access_log logs/paths.log paths;
            {server}
         }}"
    ))
    .file("html/large", vec![b'x'; 60_000])
    .file("html/index.html", "home")
    .start()
}

#[test]
fn a_path_is_rewritten_and_a_client_redirected() {
    let server = server(
        "location /old/ { rewrite ^/old/(.*)$ /new/$1 permanent; }
         location /new/ { if ($arg_who = '') { return 403; } return 200 \"hello $arg_who\"; }",
    );
    let moved = server.get("/old/a%20b?who=you");
    assert_eq!(moved.status, 301);
    let location = moved.header("Location").unwrap();
    assert!(location.ends_with("/new/a%20b?who=you"), "{location}");
    assert_eq!(server.get("/new/x?who=you").text(), "hello you");
    assert_eq!(server.get("/new/x").status, 403);
}

#[test]
fn a_response_goes_out_no_faster_than_its_rate() {
    let server = server(
        "location /large { limit_rate 20k; limit_rate_after $arg_after; }
         location /set { set $limit_rate 20k; alias %PREFIX%/html/large; sendfile on; }",
    );
    for (target, seconds) in [("/large?after=1k", 1), ("/set", 1), ("/large?after=60k", 0)] {
        let start = Instant::now();
        let response = server.get(target);
        assert_eq!(response.body.len(), 60_000, "{target}");
        let took = start.elapsed();
        assert!(took >= Duration::from_secs(seconds), "{target}: {took:?}");
    }
}

#[test]
fn an_action_follows_the_response() {
    let server = server(
        "location = / { post_action /after; index index.html; }
         location /index.html { post_action @named; }
         location /after { return 204; }
         location @named { rewrite ^ /named; return 202; }",
    );
    assert_eq!(server.get("/").text(), "home");
    eventually("a line in the log", || {
        server.read("logs/paths.log").contains("/named 202 4\n")
    });
    assert_eq!(server.get("/index.html").text(), "home");
}

#[test]
fn a_copy_of_a_request_has_its_body() {
    let server = server(
        "location /a { mirror /copy; try_files /index.html =404; error_page 405 =200 /index.html; }
         location /copy {
            internal; log_subrequest on;
            access_log logs/copies.log paths;
            rewrite ^ \"/$request_method-$request_body\";
            return 204;
         }",
    );
    let request =
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody";
    server.exchange(request);
    eventually("the copy is logged", || {
        server.read("logs/copies.log").contains("/POST-body 204")
    });
}

#[test]
fn connections_and_requests_are_counted() {
    let server = server(
        "location /status { stub_status; }
         location /variables {
            return 200 \"$connections_active $connections_reading $connections_writing $connections_waiting\";
         }",
    );
    let mut idle = server.connect();
    idle.get("/");
    eventually("the connection is idle", || {
        idle.get("/variables").text();
        server.get("/variables").text() == "2 0 1 1"
    });
    let mut status = server.get("/status");
    // Connections of requests before may not be closed yet.
    eventually("two connections are open", || {
        status = server.get("/status");
        status.text().starts_with("Active connections: 2 \n")
    });
    assert_eq!(status.header("Content-Type"), Some("text/plain"));
    let lines: Vec<_> = status.text().lines().collect();
    assert_eq!(lines[1], "server accepts handled requests");
    let counts: Vec<u32> = lines[2]
        .split_whitespace()
        .map(|word| word.parse().unwrap())
        .collect();
    assert!(
        counts[0] >= 3 && counts[0] == counts[1] && counts[2] > counts[1],
        "{counts:?}"
    );
    assert_eq!(lines[3], "Reading: 0 Writing: 1 Waiting: 1 ");
    assert_eq!(server.request("POST", "/status", &[]).status, 405);
}

#[test]
fn a_body_that_is_read_early_decides_where_its_request_goes() {
    let server = Site::http(
        "map $http_x $early { 1 1; 0 0; }
         map $request_body $place { b /b; default /a; }
         server {
            listen 127.0.0.1:%PORT%;
            client_body_early_read '' $early;
            client_max_body_size 5;
            rewrite ^ $place last;
            location / { return 200 $uri; }
         }",
    )
    .start();
    for (early, body, answer) in [
        (1, "b", "/b"),
        (0, "b", "/a"),
        (1, "c", "/a"),
        (1, "long body", "413"),
    ] {
        let length = body.len();
        let response = server.exchange(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nX: {early}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        ));
        assert!(response.contains(answer), "{early} {body}: {response}");
    }
}
