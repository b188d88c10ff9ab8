//! Who may have it, and how often: basic authentication, addresses behind proxies, limits that all
//! workers share.

use std::time::{Duration, Instant};

use rowhouse::sys::process::kill;

use crate::support::{Client, Response, Server, Site, eventually};

/// More than sockets take without anybody reading.
const BIG: usize = 4 << 20;

/// What `Authorization` a name and a password make: `user:password`.
const USER: &str = "Authorization: Basic dXNlcjpwYXNzd29yZA==";

/// bcrypt with many rounds, which takes a while; its password is another.
const SLOW: &str = "user:$2y$11$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u\n";

/// A site with two workers and one zone of each kind.
fn limited() -> Site {
    Site::main(
        "worker_processes 2;",
        "limit_req_zone $arg_key zone=rate:1m rate=1r/m;
         limit_conn_zone $arg_key zone=count:1m;
         server {
            listen 127.0.0.1:%PORT% sndbuf=16k;
            root %PREFIX%/html;
            location /rate { limit_req zone=rate; limit_req_status 429; alias %PREFIX%/html/small; }
            location /big { limit_conn count 1; }
         }",
    )
    .file("html/small", "small")
    .file("html/big", vec![b'x'; BIG])
}

/// Asserts that every worker that may be asked refuses.
#[track_caller]
fn assert_exhausted(server: &Server, path: &str) {
    for _ in 0..20 {
        assert_eq!(server.get(path).status, 429);
    }
}

#[test]
fn a_rate_holds_for_all_workers_and_after_a_reload() {
    let mut server = limited().start();
    assert_eq!(server.get("/rate?key=a").status, 200);
    assert_exhausted(&server, "/rate?key=a");
    server.reload();
    assert_exhausted(&server, "/rate?key=a");
    server.reconfigure(|text| text.replace("zone=rate:1m", "zone=rate:2m"));
    server.reload();
    // Old workers may take another request or two, which they refuse.
    eventually("another zone", || server.get("/rate?key=a").status == 200);
    assert_exhausted(&server, "/rate?key=a");
}

#[test]
fn a_zone_keeps_its_key() {
    let mut server = limited().may_alert().start();
    server.reconfigure(|text| text.replace("limit_req_zone $arg_key", "limit_req_zone $uri"));
    let reloaded = server.run(&["-s", "reload"]);
    let message =
        "limit_req \"rate\" uses the \"$uri\" key while previously it used the \"$arg_key\" key";
    eventually("the refusal", || server.error_log().contains(message));
    assert_ne!(reloaded.code, 0, "{}", reloaded.stderr);
    assert_eq!(server.get("/rate?key=a").status, 200);
}

#[test]
fn requests_in_progress_are_counted_until_they_end() {
    let server = limited().start();
    let mut slow = server.connect();
    slow.send("GET /big?key=a HTTP/1.1\r\nHost: x\r\n\r\n");
    slow.take(100);
    assert_eq!(server.get("/big?key=a").status, 503);
    assert_eq!(server.get("/big?key=b").status, 200);
    drop(slow);
    eventually("the client's place is free", || {
        server.get("/big?key=a").status == 200
    });
}

#[test]
fn limits_outlive_workers_that_die() {
    let server = limited().may_alert().start();
    assert_eq!(server.get("/rate?key=a").status, 200);
    let first = server.wait_for_workers(2);
    for worker in &first {
        kill(*worker, 9).unwrap();
    }
    eventually("new workers", || {
        let workers = server.workers();
        workers.len() == 2 && workers.iter().all(|worker| !first.contains(worker))
    });
    assert_exhausted(&server, "/rate?key=a");
}

/// The answer to a request, and how long it took.
fn timed(ask: impl FnOnce() -> Response) -> (Response, Duration) {
    let start = Instant::now();
    (ask(), start.elapsed())
}

#[test]
fn hashing_holds_nobody_up() {
    let server = Site::http(
        "server {
            listen 127.0.0.1:%PORT%;
            location / { return 204; }
            location /closed { auth_basic closed; auth_basic_user_file %PREFIX%/users; }
         }",
    )
    .file("users", SLOW)
    .start();
    let mut hashing = server.connect();
    hashing.send(format!("GET /closed HTTP/1.1\r\nHost: x\r\n{USER}\r\n\r\n"));
    let mut answered = 0;
    let (refusal, hashed) = std::thread::scope(|scope| {
        let hashing = scope.spawn(move || timed(|| hashing.response()));
        while !hashing.is_finished() {
            let (answer, _) = timed(|| server.get("/"));
            assert_eq!(answer.status, 204);
            answered += 1;
        }
        hashing.join().unwrap()
    });
    assert_eq!(refusal.status, 401);
    assert_eq!(
        refusal.header("WWW-Authenticate"),
        Some("Basic realm=\"closed\"")
    );
    assert!(
        answered > 1,
        "{answered} answers while a password was hashed for {hashed:?}"
    );
}

#[test]
fn many_logins_at_once_hold_nobody_up() {
    const LOGINS: usize = 64;
    let server = Site::http(
        "log_format paths $uri;
         access_log logs/paths.log paths;
         server {
            listen 127.0.0.1:%PORT%;
            location / { return 204; }
            location /closed { auth_basic closed; auth_basic_user_file %PREFIX%/users; }
         }",
    )
    .file("users", SLOW.replace("$11$", "$08$"))
    .start();
    let mut logins: Vec<_> = (0..LOGINS).map(|_| server.connect()).collect();
    for login in &mut logins {
        login.send(format!("GET /closed HTTP/1.1\r\nHost: x\r\n{USER}\r\n\r\n"));
    }
    assert_eq!(server.get("/").status, 204);
    for login in &mut logins {
        assert_eq!(login.response().status, 401);
    }
    eventually("all are logged", || {
        server.read("logs/paths.log").lines().count() == LOGINS + 1
    });
    let log = server.read("logs/paths.log");
    let before = log.lines().take_while(|path| *path != "/").count();
    assert!(before < LOGINS, "the other client came last");
}

#[test]
fn the_client_is_whom_the_proxy_protocol_names() {
    let server = Site::http(
        "server {
            listen 127.0.0.1:%PORT% proxy_protocol;
            set_real_ip_from 127.0.0.0/8;
            real_ip_header proxy_protocol;
            location / { return 200 '$remote_addr:$remote_port'; }
            location /denied { deny 192.0.2.0/24; }
         }
         server { listen 127.0.0.1:%PORT1%; }",
    )
    .start();
    let ask = |path: &str| {
        let mut client = Client::tcp(("127.0.0.1", server.port(0)));
        client.send("PROXY TCP4 192.0.2.1 127.0.0.1 5678 80\r\n");
        client.get(path)
    };
    assert_eq!(ask("/").text(), "192.0.2.1:5678");
    assert_eq!(ask("/denied").status, 403);
    let log = server.error_log();
    assert!(
        log.contains("access forbidden by rule, client: 192.0.2.1,"),
        "{log}"
    );
}
