//! Which site answers: addresses, names, and clients behind a proxy.

use std::io::ErrorKind;
use std::net::{Ipv6Addr, TcpListener};

use crate::support::{Client, Server, Site};

/// What each host name gets.
#[track_caller]
fn assert_hosts(server: &Server, cases: &[(&str, &str)]) {
    for (host, text) in cases {
        let response = server.request("GET", "/", &[&format!("Host: {host}")]);
        assert_eq!(response.text(), *text, "{host}");
    }
}

#[test]
fn the_name_chooses_the_site() {
    let server = Site::http(
        "server { listen 127.0.0.1:%PORT%; server_name first; return 200 first; }
         server { listen 127.0.0.1:%PORT%; server_name Exact.example www.exact.example; return 200 exact; }
         server { listen 127.0.0.1:%PORT%; server_name *.example; return 200 front; }
         server { listen 127.0.0.1:%PORT%; server_name *.long.example; return 200 longer; }
         server { listen 127.0.0.1:%PORT%; server_name mail.*; return 200 back; }
         server { listen 127.0.0.1:%PORT%; server_name .both.test; return 200 both; }
         server { listen 127.0.0.1:%PORT%; server_name ~^(?<user>\\w+)\\.users\\.test$; return 200 user:$user; }
         server { listen 127.0.0.1:%PORT%; server_name ~^\\w+\\.(\\w+)\\.test$; return 200 regex:$1; }
         server { listen 127.0.0.1:%PORT%; server_name \"\"; return 200 nameless; }",
    )
    .start();
    assert_hosts(
        &server,
        &[
            ("exact.example", "exact"),
            ("EXACT.example:99", "exact"),
            ("exact.example.", "exact"),
            ("www.exact.example", "exact"),
            ("other.example", "front"),
            ("a.b.example", "front"),
            ("a.long.example", "longer"),
            ("example", "first"),
            ("mail.anything", "back"),
            ("mail.example", "front"),
            ("both.test", "both"),
            ("sub.both.test", "both"),
            ("joe.users.test", "user:joe"),
            ("a.others.test", "regex:others"),
            ("unknown", "first"),
        ],
    );
    let nameless = server.connect().send("GET / HTTP/1.0\r\n\r\n").response();
    assert_eq!(nameless.text(), "nameless");
}

/// The default server used to say for all sites which fields have odd names.
#[test]
fn the_site_says_which_fields_it_takes() {
    let server = Site::http(
        "server { listen 127.0.0.1:%PORT%; server_name strict; return 200 \"$http_x_a|$http_x_y\"; }
         server { listen 127.0.0.1:%PORT%; server_name loose; underscores_in_headers on;
                  return 200 \"$http_x_a|$http_x_y\"; }
         server { listen 127.0.0.1:%PORT%; server_name looser; ignore_invalid_headers off;
                  return 200 \"$http_x_a|$http_x_y\"; }",
    )
    .start();
    for (host, text) in [("strict", "|y"), ("loose", "a|y"), ("looser", "a|y")] {
        let host = format!("Host: {host}");
        let response = server.request("GET", "/", &[&host, "X_A: a", "X-Y: y"]);
        assert_eq!(response.text(), text, "{host}");
    }
}

/// So did it say how large a head may be.
#[test]
fn the_site_says_how_large_a_head_it_takes() {
    let server = Site::http(
        "server { listen 127.0.0.1:%PORT%; server_name small; return 200 $host;
                  large_client_header_buffers 2 1k; }
         server { listen 127.0.0.1:%PORT%; server_name large; return 200 $host$http_x_a;
                  large_client_header_buffers 2 4k; ignore_invalid_headers off; }",
    )
    .start();
    let long = "a".repeat(3000);
    let field = format!("X_A: {long}");
    let large = server.request("GET", "/", &["Host: large", &field]);
    assert_eq!(large.text(), format!("large{long}"));
    for headers in [["Host: small", &field], [&field, "Host: large"]] {
        let mut client = server.connect();
        client.send(format!(
            "GET / HTTP/1.1\r\n{}\r\n\r\n",
            headers.join("\r\n")
        ));
        assert_eq!(client.response().status, 400);
    }
}

#[test]
fn a_request_is_not_taken_for_the_one_before() {
    let server = Site::http(
        "server { listen 127.0.0.1:%PORT%; server_name a; return 200 \"a $host\"; }
         server { listen 127.0.0.1:%PORT%; server_name b; return 200 \"b $host\"; }
         server { listen 127.0.0.1:%PORT%; server_name \"\"; return 200 \"nameless $host\"; }
         server { listen 127.0.0.1:%PORT1%; return 200 \"other $host\"; }",
    )
    .start();
    for (port, target, field, answer) in [
        (0, "/", "Host: a\r\n", (200, "a a")),
        (0, "/", "Host: A:80\r\n", (200, "a a")),
        (1, "/", "Host: A:80\r\n", (200, "other a")),
        (0, "/", "Host: A:80\r\n", (200, "a a")),
        (0, "http://b/", "Host: A:80\r\n", (200, "b b")),
        (0, "/", "Host: A:80\r\n", (200, "a a")),
        (0, "/", "", (200, "nameless ")),
        (0, "/", "Host:\r\n", (400, "")),
        (0, "/", "Host: a\r\n", (200, "a a")),
    ] {
        let version = if field.is_empty() { "1.0" } else { "1.1" };
        let request = format!("GET {target} HTTP/{version}\r\n{field}\r\n");
        let response = server.connect_to(port).send(&request).response();
        assert_eq!(response.status, answer.0, "{port} {request}");
        if response.status == 200 {
            assert_eq!(response.text(), answer.1, "{port} {request}");
        }
    }
}

#[test]
fn a_captured_name_leads_to_a_folder() {
    let server = Site::http(
        "server {
            listen 127.0.0.1:%PORT%;
            server_name ~^(www\\.)?(?<site>.+)$;
            root %PREFIX%/sites/$site;
         }",
    )
    .file("sites/a.example/x", "of a")
    .file("sites/b.example/x", "of b")
    .start();
    for (host, text) in [("a.example", "of a"), ("www.b.example", "of b")] {
        let response = server.request("GET", "/x", &[&format!("Host: {host}")]);
        assert_eq!(response.text(), text, "{host}");
    }
    let response = server.request("GET", "/x", &["Host: c.example"]);
    assert_eq!(response.status, 404);
}

#[test]
fn the_default_server_may_be_any() {
    let server = Site::http(
        "server { listen 127.0.0.1:%PORT%; server_name a; return 200 a; }
         server { listen 127.0.0.1:%PORT% default_server; server_name b; return 200 b; }",
    )
    .start();
    assert_hosts(&server, &[("a", "a"), ("b", "b"), ("c", "b")]);
}

#[test]
fn a_site_may_listen_at_several_addresses() {
    let server = Site::http(
        "server { listen 127.0.0.1:%PORT%; listen 127.0.0.1:%PORT1%; server_name a; return 200 $server_port; }
         server { listen 127.0.0.1:%PORT1%; server_name b; return 200 b; }",
    )
    .start();
    for index in [0, 1] {
        let port = server.port(index);
        let mut client = Client::tcp(("127.0.0.1", port));
        let response = client.request("GET", "/", &["Host: a"]);
        assert_eq!(response.text(), port.to_string());
        let expected = if index == 1 {
            "b".to_owned()
        } else {
            port.to_string()
        };
        assert_eq!(client.request("GET", "/", &["Host: b"]).text(), expected);
    }
}

#[test]
fn a_specific_address_goes_before_the_wildcard() {
    let server = Site::http(
        "server { listen %PORT%; return 200 wildcard; }
         server { listen 127.0.0.2:%PORT%; return 200 specific; }",
    )
    .start();
    let ask = |address: &str| {
        Client::tcp((address, server.port(0)))
            .get("/")
            .text()
            .to_owned()
    };
    assert_eq!(ask("127.0.0.1"), "wildcard");
    assert_eq!(ask("127.0.0.2"), "specific");
}

#[test]
fn a_site_may_listen_in_the_file_system() {
    let server = Site::http(
        "server { listen unix:%PREFIX%/socket; return 200 \"$server_addr $remote_addr\"; }",
    )
    .start();
    let path = server.path("socket");
    let mut client = Client::unix(&path);
    let expected = format!("unix:{} unix:", path.display());
    assert_eq!(client.get("/").text(), expected);
    assert_eq!(client.get("/").text(), expected);
    drop(client);
    drop(server);
    assert!(!path.exists(), "the socket stays behind");
}

#[test]
fn a_site_may_listen_at_ipv6() {
    match TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
        Err(error) if error.kind() == ErrorKind::AddrNotAvailable => return,
        result => drop(result),
    }
    let server =
        Site::http("server { listen [::1]:%PORT%; return 200 \"$remote_addr $server_addr\"; }")
            .start();
    let mut client = Client::tcp((Ipv6Addr::LOCALHOST, server.port(0)));
    assert_eq!(
        client.request("GET", "/", &["Host: [::1]"]).text(),
        "::1 ::1"
    );
}

#[test]
fn options_of_a_socket_do_no_harm() {
    let server = Site::main(
        "worker_processes 2;",
        "server {
            listen 127.0.0.1:%PORT% reuseport backlog=64 rcvbuf=64k sndbuf=64k deferred
                so_keepalive=30m::10 fastopen=16;
            return 200 ok;
         }",
    )
    .start();
    for _ in 0..20 {
        assert_eq!(server.get("/").text(), "ok");
    }
}

#[test]
fn a_proxy_tells_who_its_client_is() {
    let server = Site::http(
        "server {
            listen 127.0.0.1:%PORT% proxy_protocol;
            return 200 \"$proxy_protocol_addr:$proxy_protocol_port $proxy_protocol_server_addr:$proxy_protocol_server_port\";
         }",
    )
    .start();
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let version_2 = [
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".as_slice(),
        &[192, 0, 2, 1, 192, 0, 2, 2, 0x13, 0x88, 0, 80],
    ]
    .concat();
    for header in [
        b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\r\n".to_vec(),
        version_2,
    ] {
        let whole = [&header, request.as_bytes()].concat();
        for cut in [0, 3, header.len(), header.len() + 5] {
            let mut client = server.connect();
            client.send(&whole[..cut]).send(&whole[cut..]);
            let expected = "192.0.2.1:5000 192.0.2.2:80";
            assert_eq!(client.response().text(), expected, "cut at {cut}");
            assert_eq!(client.get("/").text(), expected, "the connection persists");
        }
    }
    let unknown = format!("PROXY UNKNOWN\r\n{request}");
    assert_eq!(server.connect().send(unknown).response().text(), ": :");
    for broken in ["PROXY NONSENSE\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
        assert_eq!(server.exchange(broken), "", "{broken:?}");
    }
    assert!(
        server
            .error_log()
            .contains("broken header: \"PROXY NONSENSE")
    );
}

#[test]
fn a_refusal_is_the_asked_site_s() {
    let server = Site::http(
        "server { listen 127.0.0.1:%PORT%; server_name first; return 200 first; }
         server {
            listen 127.0.0.1:%PORT%;
            server_name second;
            error_page 400 501 /sorry;
            location = /sorry { return 200 \"$server_name is sorry\"; }
         }",
    )
    .start();
    for field in [
        "Transfer-Encoding: gzip",
        "Content-Length: x",
        "Bad Name: x",
        "Host: second",
    ] {
        let response = server.request("POST", "/", &["Host: second", field]);
        assert_eq!(response.text(), "second is sorry", "{field}");
    }
}
