//! What is written down: access logs in every shape, error logs, and what happens when they can't be.

use std::fs;
use std::io::Read;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;

use crate::support::{PATIENCE, Server, Site, eventually};

/// A server with these directives of `http` and these of its one server.
fn logging(http: &str, server: &str) -> Server {
    Site::http(&format!(
        "{http}
         server {{
            listen 127.0.0.1:%PORT%;
            root %PREFIX%/html;
            {server}
            location /ok {{ return 200 fine; }}
         }}"
    ))
    .start()
}

/// Waits until a log has that many lines.
#[track_caller]
fn lines(server: &Server, path: &str, count: usize) -> Vec<String> {
    eventually(&format!("{count} lines in {path}"), || {
        server.read(path).matches('\n').count() >= count
    });
    server.read(path).lines().map(str::to_owned).collect()
}

#[test]
fn the_combined_format_is_the_default() {
    let server = logging("", "");
    server.request(
        "GET",
        "/ok?a=\"b\"",
        &[
            "Referer: http://a/",
            "User-Agent: test \"1\" \u{1}\u{fc}",
            "Connection: close",
        ],
    );
    let line = &lines(&server, "logs/access.log", 1)[0];
    let (client, rest) = line.split_once(" [").unwrap();
    let (time, rest) = rest.split_once("] ").unwrap();
    assert_eq!(client, "127.0.0.1 - -");
    assert!(time.len() == 26 && time.ends_with(" +0000"), "{time}");
    let expected =
        r#""GET /ok?a=\x22b\x22 HTTP/1.1" 200 4 "http://a/" "test \x221\x22 \x01\xC3\xBC""#;
    assert_eq!(rest, expected);
}

#[test]
fn a_format_is_made_of_variables() {
    let server = logging(
        "log_format own '$remote_addr|$request_method|$uri|$args|$status|$body_bytes_sent|'
                        '$bytes_sent|$request_length|$http_x_y|$sent_http_content_type|$host|'
                        '$server_port|$connection_requests|$pipe|$http_missing';",
        "access_log logs/own.log own; default_type text/x;",
    );
    let response = server.connect().request("GET", "/ok?q", &["X-Y: z"]);
    let sent = response.head.len() + response.body.len();
    let length = "GET /ok?q HTTP/1.1\r\nHost: localhost\r\nX-Y: z\r\n\r\n".len();
    let port = server.port(0);
    let line = &lines(&server, "logs/own.log", 1)[0];
    let expected =
        format!("127.0.0.1|GET|/ok|q|200|4|{sent}|{length}|z|text/x|localhost|{port}|1|.|-");
    assert_eq!(*line, expected);
}

/// A variable that `set` did not come to set had no value the first time it was logged, and the
/// date of an error page was logged though it is not sent.
#[test]
fn what_is_logged_is_what_was_sent_and_set() {
    let server = logging(
        "log_format own '$status|$x|$x|$sent_http_last_modified';",
        "access_log logs/own.log own; error_page 404 /file.html;
         location /quiet { uninitialized_variable_warn off; return 204; }
         location /set { set $x 1; return 204; }",
    );
    server.write("html/file.html", "page");
    let page = server.get("/file.html");
    let date = page.header("Last-Modified").unwrap();
    for path in ["/quiet", "/set", "/missing"] {
        server.get(path);
    }
    let expected = [&format!("200|||{date}"), "204|||-", "204|1|1|-", "404|||-"];
    assert_eq!(lines(&server, "logs/own.log", 4), expected);
}

#[test]
fn values_are_escaped_as_asked() {
    let server = logging(
        "log_format default '$http_x';
         log_format json escape=json '{\"x\":\"$http_x\"}';
         log_format none escape=none '$http_x';",
        "access_log logs/default.log default;
         access_log logs/json.log json;
         access_log logs/none.log none;",
    );
    server.request("GET", "/ok", &["X: a\"b\\c\td\u{fc}"]);
    server.request("GET", "/ok", &[]);
    for (path, first, second) in [
        ("logs/default.log", "a\\x22b\\x5Cc\\x09d\\xC3\\xBC", "-"),
        (
            "logs/json.log",
            "{\"x\":\"a\\\"b\\\\c\\td\u{fc}\"}",
            "{\"x\":\"\"}",
        ),
        ("logs/none.log", "a\"b\\c\td\u{fc}", ""),
    ] {
        assert_eq!(lines(&server, path, 2), [first, second], "{path}");
    }
}

#[test]
fn a_buffered_log_is_written_in_time() {
    let server = logging(
        "",
        "location /soon { access_log logs/soon.log combined buffer=64k flush=100ms; return 200; }
         location /full { access_log logs/full.log combined buffer=1k; return 200; }
         location /late { access_log logs/late.log combined buffer=64k; return 200; }",
    );
    server.get("/soon");
    lines(&server, "logs/soon.log", 1);
    for _ in 0..20 {
        server.get("/full");
    }
    lines(&server, "logs/full.log", 5);
    server.get("/late");
    assert_eq!(server.read("logs/late.log"), "");
    server.signal(libc::SIGUSR1);
    lines(&server, "logs/late.log", 1);
}

#[test]
fn a_compressed_log_is_readable() {
    let server = logging("", "access_log logs/access.gz combined gzip=9 flush=50ms;");
    server.get("/ok");
    server.get("/missing");
    eventually("both lines", || {
        let compressed = fs::read(server.path("logs/access.gz")).unwrap();
        let mut text = String::new();
        let mut decoder = flate2::read::MultiGzDecoder::new(&compressed[..]);
        decoder.read_to_string(&mut text).is_ok() && text.matches('\n').count() == 2
    });
}

#[test]
fn a_condition_decides_what_is_logged() {
    let server = logging("", "access_log logs/some.log combined if=$arg_log;");
    server.get("/ok?log=0");
    server.get("/ok");
    server.get("/ok?log=1");
    server.get("/ok?log=yes");
    let lines = lines(&server, "logs/some.log", 2);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("log=1") && lines[1].contains("log=yes"));
}

#[test]
fn the_path_of_a_log_may_hold_variables() {
    let server = logging(
        "open_log_file_cache max=4;",
        "access_log %PREFIX%/open/$host.log;",
    );
    // The workers open it, not the master; and only below a root that is there.
    server.write("html/x", "");
    fs::create_dir_all(server.path("open")).unwrap();
    fs::set_permissions(server.path("open"), fs::Permissions::from_mode(0o777)).unwrap();
    for host in ["a", "b", "a"] {
        server.request("GET", "/ok", &[&format!("Host: {host}")]);
    }
    assert_eq!(lines(&server, "open/a.log", 2).len(), 2);
    assert_eq!(lines(&server, "open/b.log", 1).len(), 1);
}

#[test]
fn the_innermost_log_counts() {
    let server = logging(
        "",
        "location /off { access_log off; return 200; }
         location /two { access_log logs/1.log; access_log logs/2.log; return 200; }
         location /to { error_page 418 = /off; return 418; }",
    );
    for path in ["/off", "/two", "/to", "/ok"] {
        server.get(path);
    }
    let seen = lines(&server, "logs/access.log", 1);
    assert!(seen.len() == 1 && seen[0].contains("/ok"), "{seen:?}");
    lines(&server, "logs/1.log", 1);
    lines(&server, "logs/2.log", 1);
}

#[test]
fn logs_go_to_a_syslog_server() {
    let syslog = UdpSocket::bind("127.0.0.1:0").unwrap();
    syslog.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = syslog.local_addr().unwrap();
    let server = logging(
        "log_format short '$request';",
        &format!(
            "access_log syslog:server={address},facility=local3,tag=web,severity=notice short;
             error_log syslog:server={address},nohostname error;"
        ),
    );
    let receive = || {
        let mut packet = [0; 2048];
        let length = syslog.recv(&mut packet).unwrap();
        String::from_utf8_lossy(&packet[..length]).into_owned()
    };
    server.get("/ok");
    let access = receive();
    // local3 is 19, notice 5.
    assert!(access.starts_with("<157>"), "{access}");
    assert!(access.ends_with(" web: GET /ok HTTP/1.1"), "{access}");
    server.get("/missing");
    let error = receive();
    // local7 is 23, error 3.
    assert!(error.starts_with("<187>"), "{error}");
    assert!(
        error.contains("/html/missing\" failed (2: No such file or directory)"),
        "{error}"
    );
}

#[test]
fn an_error_has_its_level_and_its_request() {
    let server = logging(
        "",
        "location /quiet/ { log_not_found off; }
         location /crit/ { error_log logs/crit.log crit; }
         location /own/ { error_log logs/own.log; }",
    );
    for path in ["/missing", "/quiet/x", "/crit/x", "/own/x"] {
        server.request("GET", path, &["Referer: http://a/"]);
    }
    let own = lines(&server, "logs/own.log", 1);
    assert!(own[0].contains("[error]"));
    let log = server.error_log();
    let errors: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("[error]"))
        .collect();
    assert_eq!(errors.len(), 1, "{log}");
    let worker = server.wait_for_workers(1)[0];
    for piece in [
        format!("[error] {worker}#{worker}: *"),
        format!("open() \"{}\" failed (2: No such file or directory)", server.path("html/missing").display()),
        ", client: 127.0.0.1, server: , request: \"GET /missing HTTP/1.1\", host: \"localhost\", referrer: \"http://a/\"".to_owned(),
    ] {
        assert!(errors[0].contains(&piece), "{piece} in {}", errors[0]);
    }
    assert_eq!(server.read("logs/crit.log"), "");
}

#[test]
fn a_full_disk_stops_only_the_log() {
    let site = Site::http(
        "access_log /dev/full;
         server { listen 127.0.0.1:%PORT%; return 200 fine; }",
    );
    let server = site.may_alert().start();
    let mut client = server.connect();
    for _ in 0..50 {
        assert_eq!(client.get("/").text(), "fine");
    }
    eventually("a line about it", || {
        server.error_log().contains("(28: No space left on device)")
    });
    let log = server.error_log();
    assert_eq!(log.matches("No space left on device").count(), 1, "{log}");
}

#[test]
fn a_worker_out_of_descriptors_recovers() {
    let server = Site::main(
        "worker_rlimit_nofile 24;",
        "server { listen 127.0.0.1:%PORT%; root %PREFIX%/html; }",
    )
    .may_alert()
    .file("html/x", "x")
    .start();
    let mut held: Vec<_> = (0..40).map(|_| server.connect()).collect();
    for client in &mut held {
        client.send("GET /x HTTP/1.1\r\n");
    }
    eventually("a line about it", || {
        let log = server.error_log();
        log.contains("accept4() failed (24: Too many open files)")
            || log.contains("connections are not enough")
    });
    drop(held);
    assert_eq!(server.get("/x").text(), "x");
    let log = server.error_log();
    let complaints = log.matches("Too many open files").count();
    assert!(complaints < 20, "{complaints} lines about it");
}

/// Files kept open without being asked for used to take the descriptors that clients needed.
#[test]
fn files_leave_descriptors_to_clients() {
    let mut site = Site::main(
        "worker_rlimit_nofile 40;",
        "server {
            listen 127.0.0.1:%PORT%;
            root %PREFIX%/html;
            location /asked/ { open_file_cache max=1000; alias %PREFIX%/html/; }
         }",
    );
    for number in 0..60 {
        site = site.file(&format!("html/{number}"), "x");
    }
    let server = site.start();
    for folder in ["/", "/asked/"] {
        for number in 0..60 {
            let path = format!("{folder}{number}");
            assert_eq!(server.get(&path).text(), "x", "{path}");
        }
    }
}
