//! HTTP/1 on the wire: persistence, pipelining, framing, limits, timeouts.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::support::{Client, Response, Server, Site, eventually};

/// A server that tells what it was asked.
fn echo(settings: &str) -> Server {
    Site::http(&format!(
        "server {{
            listen 127.0.0.1:%PORT%;
            root %PREFIX%/html;
            default_type text/plain;
            {settings}
            location / {{ }}
            location /echo {{ return 200 \"$request_method $uri on $host\"; }}
        }}"
    ))
    .file("html/file", "a file")
    .start()
}

/// Asserts that nothing follows on a connection.
#[track_caller]
fn assert_closed(mut client: Client) {
    assert_eq!(String::from_utf8_lossy(&client.rest()), "");
}

#[test]
fn a_connection_persists_as_version_and_header_say() {
    let server = echo("");
    for (version, header, persists) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
        ("1.0", "Connection: close\r\n", false),
    ] {
        let mut client = server.connect();
        let request = format!("GET /echo HTTP/{version}\r\nHost: a\r\n{header}\r\n");
        let first = client.send(&request).response();
        assert_eq!(first.text(), "GET /echo on a", "{request}");
        let says = first.header("Connection");
        if persists {
            assert_eq!(says, Some("keep-alive"), "{request}");
            assert_eq!(client.send(&request).response().body, first.body);
        } else {
            assert_eq!(says, Some("close"), "{request}");
            assert_closed(client);
        }
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = echo("");
    let mut client = server.connect();
    client.send(
        "GET /echo/1 HTTP/1.1\r\nHost: a\r\n\r\n\
         GET /file HTTP/1.1\r\nHost: a\r\n\r\n\
         HEAD /file HTTP/1.1\r\nHost: a\r\n\r\n\
         POST /echo/2 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody\
         GET /missing HTTP/1.1\r\nHost: a\r\n\r\n\
         GET /echo/3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n\
         GET /echo/never HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    assert_eq!(client.response().text(), "GET /echo/1 on a");
    assert_eq!(client.response().text(), "a file");
    assert_eq!(
        client.response_to("HEAD").header("Content-Length"),
        Some("6")
    );
    assert_eq!(client.response().text(), "POST /echo/2 on a");
    assert_eq!(client.response().status, 404);
    assert_eq!(client.response().text(), "GET /echo/3 on a");
    assert_closed(client);
}

#[test]
fn sixteen_pipelined_requests_may_be_cut_anywhere() {
    let server = echo("");
    let request = |n: usize| match n % 4 {
        0 => format!("GET /file?{n} HTTP/1.1\r\nHost: a\r\n\r\n"),
        1 => format!("GET /echo/{n} HTTP/1.1\r\nHost: a\r\n\r\n"),
        2 => format!("POST /echo/{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"),
        _ => format!(
            "POST /echo/{n} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
             2\r\nab\r\n1;x=y\r\nc\r\n0\r\nTrailer: t\r\n\r\n"
        ),
    };
    let requests: String = (0..16).map(request).collect();
    for cut in (1..requests.len()).step_by(13) {
        let mut client = server.connect();
        let (first, second) = requests.split_at(cut);
        client.send(first).send(second);
        for n in 0..16 {
            let response = client.response();
            assert_eq!(response.status, 200, "request {n} of those cut at {cut}");
            let expected = match n % 4 {
                0 => "a file".to_owned(),
                1 => format!("GET /echo/{n} on a"),
                _ => format!("POST /echo/{n} on a"),
            };
            assert_eq!(response.text(), expected, "cut at {cut}");
        }
    }
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let server = echo("");
    let undated = |response: Response| {
        let lines = response
            .head
            .lines()
            .filter(|line| !line.starts_with("Date:"));
        (lines.collect::<Vec<_>>().join("\n"), response.body)
    };
    for request in [
        "GET /file HTTP/1.1\r\nHost: a\r\nX-Long: some more bytes\r\n\r\n",
        "\r\nGET http://b/echo HTTP/1.1\nHost: a\n\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n",
        "GET /echo HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n",
    ] {
        let whole = undated(server.connect().send(request).response());
        let mut client = server.connect();
        for byte in request.bytes() {
            client.send([byte]);
        }
        assert_eq!(undated(client.response()), whole, "{request}");
    }
}

#[test]
fn who_ends_his_half_gets_what_was_answered() {
    let server = echo("");
    for (requests, rest) in [(1, "\r\n"), (1, "GET /ec"), (2, "GET /echo HTTP/1.1\r\nHo")] {
        let mut client = server.connect();
        let whole = "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n".repeat(requests);
        client.send(whole + rest).finish();
        for _ in 0..requests {
            assert_eq!(client.response().text(), "GET /echo on a", "{rest:?}");
        }
        assert_closed(client);
    }
}

#[test]
fn a_head_response_is_a_get_response_without_its_body() {
    let server = echo("");
    for path in ["/file", "/missing"] {
        let mut client = server.connect();
        let got = client.get(path);
        let head = client.request("HEAD", path, &[]);
        assert_eq!(head.status, got.status);
        for name in ["Content-Length", "Content-Type", "ETag", "Last-Modified"] {
            assert_eq!(
                head.header(name).is_some(),
                got.header(name).is_some(),
                "{path}: {name}"
            );
        }
        let length = got.body.len().to_string();
        assert_eq!(head.header("Content-Length"), Some(&*length));
        assert_eq!(client.get("/file").text(), "a file");
    }
}

#[test]
fn the_target_may_be_absolute() {
    let server = echo("");
    for (target, host) in [
        ("http://other.example/echo", "other.example"),
        ("http://OTHER.example:99/echo", "other.example"),
        ("/echo", "localhost"),
    ] {
        assert_eq!(server.get(target).text(), format!("GET /echo on {host}"));
    }
    let bare = server.get("http://other.example");
    assert_eq!(bare.status, 403, "the root, which has no index");
}

#[test]
fn methods_and_versions_that_are_refused() {
    let server = echo("");
    for (line, status) in [
        ("TRACE /file HTTP/1.1", 405),
        ("CONNECT a:1 HTTP/1.1", 405),
        ("POST /file HTTP/1.1", 405),
        ("OPTIONS /file HTTP/1.1", 405),
        ("get /file HTTP/1.1", 400),
        ("GET file HTTP/1.1", 400),
        ("GET /file HTTP/1.1 x", 400),
        ("GET /file HTTX/1.1", 400),
        ("GET /file HTTP/2.0", 505),
    ] {
        let response = server.exchange(format!("{line}\r\nHost: a\r\nConnection: close\r\n\r\n"));
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status} ")),
            "{line}: {response}"
        );
    }
}

#[test]
fn a_refused_head_request_gets_no_body() {
    let server = echo("");
    for line in [
        "HEAD /file HTTP/1.x",
        "HEAD /file HTTP/2.0",
        "HEAD /../file HTTP/1.1",
    ] {
        let answer = server.exchange(format!("{line}\r\nHost: a\r\nConnection: close\r\n\r\n"));
        assert!(
            answer.starts_with("HTTP/1.1 ") && answer.ends_with("\r\n\r\n"),
            "{answer}"
        );
    }
}

#[test]
fn http_0_9_gets_the_bare_file() {
    let server = echo("");
    assert_eq!(server.exchange("GET /file\r\n"), "a file");
    assert_eq!(server.exchange("GET /echo\n"), "GET /echo on ");
    assert!(server.exchange("POST /file\r\n").starts_with('<'));
}

#[test]
fn a_client_that_asks_first_is_told_to_continue() {
    let server = echo("client_max_body_size 10;");
    let ask = |length: usize, version: &str| {
        format!(
            "POST /echo HTTP/{version}\r\nHost: a\r\nExpect: 100-continue\r\n\
             Connection: keep-alive\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let mut client = server.connect();
    assert_eq!(client.send(ask(5, "1.1")).response().status, 100);
    assert_eq!(client.send("12345").response().status, 200);
    assert_eq!(client.get("/file").text(), "a file");

    assert_eq!(server.connect().send(ask(11, "1.1")).response().status, 413);
    // Who is refused is not asked for the body, but may send it.
    let missing = ask(5, "1.1").replace("/echo", "/missing");
    assert_eq!(client.send(missing).response().status, 404);
    assert_eq!(client.send("12345").get("/file").text(), "a file");
    assert_eq!(
        server
            .connect()
            .send(ask(5, "1.0") + "12345")
            .response()
            .status,
        200
    );
}

#[test]
fn bodies_nobody_reads_are_passed_over() {
    let server = echo("");
    let mut client = server.connect();
    let big = "x".repeat(300_000);
    for body in [
        "Content-Length: 0\r\n\r\n".to_owned(),
        "Content-Length: 3\r\n\r\nabc".to_owned(),
        format!("Content-Length: 300000\r\n\r\n{big}"),
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\n\r\n1\r\nG\r\n00002;ext=\"1\"\r\nET\r\n0\r\n\r\n".to_owned(),
        format!(
            "Transfer-Encoding: chunked\r\n\r\n{:X}\r\n{big}\r\n0\r\nA: b\r\n\r\n",
            big.len()
        ),
    ] {
        client.send(format!("POST /echo HTTP/1.1\r\nHost: a\r\n{body}"));
        assert_eq!(client.response().text(), "POST /echo on a");
        assert_eq!(client.get("/file").text(), "a file", "after {:.60}", body);
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let server = echo(
        "client_header_buffer_size 128;
         large_client_header_buffers 2 512;
         client_max_body_size 1k;",
    );
    let long = "x".repeat(600);
    for (request, status, page) in [
        (
            format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
            414,
            "414 Request-URI Too Large",
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"),
            400,
            "400 Request Header Or Cookie Too Large",
        ),
        (
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
                "X: 0123456789\r\n".repeat(80)
            ),
            400,
            "400 Request Header Or Cookie Too Large",
        ),
        (
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n".to_owned(),
            413,
            "413 Request Entity Too Large",
        ),
    ] {
        let mut client = server.connect();
        let response = client.send(&request).finish().response();
        assert_eq!(response.status, status);
        assert!(
            response.text().contains(&format!("<title>{page}</title>")),
            "{response:?}"
        );
        assert_closed(client);
    }
    let fits = format!(
        "GET /echo HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        &long[..400]
    );
    assert_eq!(server.connect().send(fits).response().status, 200);
}

#[test]
fn a_connection_carries_keepalive_requests() {
    let server = echo("keepalive_requests 2;");
    let mut client = server.connect();
    assert_eq!(client.get("/echo").header("Connection"), Some("keep-alive"));
    assert_eq!(client.get("/echo").header("Connection"), Some("close"));
    assert_closed(client);
}

#[test]
fn a_connection_lives_for_keepalive_time() {
    let server = echo("keepalive_time 50ms;");
    let mut client = server.connect();
    eventually("the server closes", || {
        client.get("/echo").header("Connection") == Some("close")
    });
    assert_closed(client);
}

#[test]
fn an_idle_connection_lives_for_keepalive_timeout() {
    let server = echo("keepalive_timeout 50ms;");
    let mut client = server.connect();
    assert_eq!(client.get("/echo").header("Connection"), Some("keep-alive"));
    assert_closed(client);

    let server = echo("keepalive_timeout 75s 20s;");
    assert_eq!(server.get("/echo").header("Keep-Alive"), Some("timeout=20"));

    let server = echo("keepalive_timeout 0;");
    let mut client = server.connect();
    assert_eq!(client.get("/echo").header("Connection"), Some("close"));
    assert_closed(client);
}

#[test]
fn keepalive_may_be_refused_by_user_agent() {
    let server = echo("keepalive_disable safari;");
    let safari =
        "User-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_5) AppleWebKit/525 Safari/525";
    let response = server.connect().request("GET", "/echo", &[safari]);
    assert_eq!(response.header("Connection"), Some("close"));
    let response = server
        .connect()
        .request("GET", "/echo", &["User-Agent: other"]);
    assert_eq!(response.header("Connection"), Some("keep-alive"));
}

#[test]
fn a_slow_head_is_not_waited_for() {
    let server = echo("client_header_timeout 50ms;");
    for start in [
        "",
        "G",
        "GET /file HTTP/1.1\r\n",
        "GET /file HTTP/1.1\r\nHost: a\r\n",
    ] {
        let mut client = server.connect();
        client.send(start);
        assert_closed(client);
    }
    assert_eq!(server.get("/file").text(), "a file");
}

#[test]
fn a_slow_reader_is_not_waited_for() {
    let server = Site::http(
        "server {
            listen 127.0.0.1:%PORT% sndbuf=16k;
            root %PREFIX%/html;
            send_timeout 50ms;
         }",
    )
    .file("html/big", vec![b'x'; 10 << 20])
    .start();
    let mut client = server.connect();
    client.send("GET /big HTTP/1.0\r\n\r\n");
    eventually("the log of it", || !server.access_log().is_empty());
    let received = client.rest().len();
    assert!(received < 10 << 20);
    let log = server.access_log();
    let sent = log.split(' ').nth(9).and_then(|sent| sent.parse().ok());
    assert!(
        sent.is_some_and(|sent: usize| sent > 0 && sent <= received),
        "{log}"
    );
}

/// It used to be reset whatever the directive said.
#[test]
fn a_slow_connection_is_reset_only_if_asked() {
    for (settings, reset) in [("", false), ("reset_timedout_connection on;", true)] {
        let server = echo(&format!("client_header_timeout 50ms; {settings}"));
        let mut stream = TcpStream::connect(("127.0.0.1", server.port(0))).unwrap();
        stream.write_all(b"GET /file HTTP/1.1\r\n").unwrap();
        let end = stream.read(&mut [0; 16]).map_err(|error| error.kind());
        let expected = if reset {
            Err(ErrorKind::ConnectionReset)
        } else {
            Ok(0)
        };
        assert_eq!(end, expected, "{settings}");
    }
}

#[test]
fn who_is_taken_to_be_gone_gets_no_answer() {
    for status in [408, 444, 499] {
        let server = echo(&format!("location /gone {{ return {status}; }}"));
        let mut client = server.connect();
        client.send("POST /gone HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
        assert_closed(client);
        let logged = format!("\"POST /gone HTTP/1.1\" {status} 0 ");
        eventually("the log of it", || server.access_log().contains(&logged));
    }
}

/// Every request is followed by one that must never be understood as such.
#[test]
fn requests_that_two_servers_might_understand_differently_are_refused() {
    let server = echo("");
    let smuggled = "GET /echo/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for (headers, status) in [
        (
            "Host: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n",
            400,
        ),
        (
            "Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n",
            400,
        ),
        ("Host: a\r\nContent-Length: 6\r\nContent-Length: 6\r\n", 400),
        ("Host: a\r\nContent-Length: 6\r\nContent-Length: 5\r\n", 400),
        ("Host: a\r\nContent-Length: 6, 6\r\n", 400),
        ("Host: a\r\nContent-Length: +6\r\n", 400),
        ("Host: a\r\nContent-Length: -6\r\n", 400),
        ("Host: a\r\nContent-Length: 0x6\r\n", 400),
        ("Host: a\r\nContent-Length: 6 6\r\n", 400),
        ("Host: a\r\nContent-Length: 99999999999999999999\r\n", 400),
        ("Host: a\r\nContent-Length:\r\n", 400),
        ("Host: a\r\nTransfer-Encoding: gzip\r\n", 501),
        ("Host: a\r\nTransfer-Encoding: gzip, chunked\r\n", 501),
        ("Host: a\r\nTransfer-Encoding: chunked, identity\r\n", 501),
        ("Host: a\r\nTransfer-Encoding: xchunked\r\n", 501),
        (
            "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            400,
        ),
        ("Host: a\r\nTransfer-Encoding : chunked\r\n", 400),
        ("Host: a\r\nTransfer-Encoding\r\n", 501),
        ("Host: a\r\nX: y\rContent-Length: 6\r\n", 400),
        ("Host: a\r\nX: \0\r\n", 400),
        ("Host: a\r\n: y\r\n", 400),
        ("Host: a\r\nX Y: z\r\n", 400),
        ("", 400),
        ("Host: a\r\nHost: a\r\n", 400),
        ("Host: a\r\nHost: b\r\n", 400),
        ("Host: a b\r\n", 400),
        ("Host: a/b\r\n", 400),
        ("Host: ../a\r\n", 400),
    ] {
        let request = format!("POST /echo HTTP/1.1\r\n{headers}\r\n0\r\n\r\n");
        let answer = server.exchange(format!("{request}{smuggled}"));
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{headers:?}: {answer}"
        );
        assert_eq!(
            answer.matches("HTTP/1.1 ").count(),
            1,
            "{headers:?}: {answer}"
        );
        assert!(
            answer.contains("Connection: close\r\n"),
            "{headers:?}: {answer}"
        );
    }
    let old = "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert!(server.exchange(old).starts_with("HTTP/1.1 400 "));
}

#[test]
fn malformed_chunks_end_the_connection() {
    let server = echo("");
    let smuggled = "GET /echo/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for body in [
        "x\r\n",
        "-1\r\na\r\n0\r\n\r\n",
        "+1\r\na\r\n0\r\n\r\n",
        "0x1\r\na\r\n0\r\n\r\n",
        "1\r\nab\r\n0\r\n\r\n",
        "1\r\na0\r\n\r\n",
        "\r\n0\r\n\r\n",
        "ffffffffffffffff\r\na\r\n0\r\n\r\n",
        "10000000000000000\r\na\r\n0\r\n\r\n",
        ";ext\r\na\r\n0\r\n\r\n",
        "1\ra\r\n0\r\n\r\n",
    ] {
        let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answer = server.exchange(format!("{head}{body}{smuggled}"));
        assert!(answer.starts_with("HTTP/1.1 400 "), "{body:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{body:?}: {answer}");
    }
}

#[test]
fn odd_header_names_are_left_out_or_kept() {
    let site = |settings: &str| {
        Site::http(&format!(
            "server {{
                listen 127.0.0.1:%PORT%;
                {settings}
                return 200 \"$http_a_b.$http_c_d\";
            }}"
        ))
        .start()
    };
    for (settings, text) in [
        ("", "."),
        ("underscores_in_headers on;", "1."),
        ("ignore_invalid_headers off;", "1."),
    ] {
        let response = site(settings).request("GET", "/", &["A_b: 1", "C.d: 2"]);
        assert_eq!(response.text(), text, "{settings}");
    }
}

#[test]
fn a_client_that_still_sends_gets_to_read_the_refusal() {
    for settings in ["lingering_close always;", "lingering_close on;", ""] {
        let server = echo(&format!("client_max_body_size 1k; {settings}"));
        let mut client = server.connect();
        client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
        client.send(vec![b'x'; 1_000_000]);
        assert_eq!(client.response().status, 413, "{settings}");
    }
    // What follows a head that was refused is not read, and used to make the system drop the answer.
    let server = echo("");
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nbad name: x\r\n");
    let refused = client.response();
    client.send(vec![b'x'; 100_000]);
    assert_eq!(refused.status, 400);
    assert_closed(client);
}

#[test]
fn a_client_that_goes_away_harms_nobody_else() {
    let server = echo("");
    for cut in [
        "G",
        "GET /file HTTP/1.1\r\nHo",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1",
    ] {
        server.connect().send(cut);
        let mut half = server.connect();
        half.send(cut).finish();
        half.rest();
    }
    let mut client = server.connect();
    client
        .send("GET /file HTTP/1.1\r\nHost: a\r\n\r\n")
        .finish();
    assert_eq!(client.response().text(), "a file");
}

#[test]
fn every_response_says_who_and_when() {
    let server = echo("location /quiet { server_tokens off; return 204; }");
    let named = server.get("/echo");
    let (name, version) = named.header("Server").unwrap().split_once('/').unwrap();
    assert!(version.starts_with(|c: char| c.is_ascii_digit()));
    assert_eq!(server.get("/quiet").header("Server"), Some(name));
    let date = named.header("Date").unwrap();
    assert!(date.len() == 29 && date.ends_with(" GMT"), "{date}");
}
