//! Processes: starting, stopping, reloading, upgrading, and what goes wrong on the way.

use std::fs;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};

use rowhouse::sys::process::{effective_uid, kill};

use crate::support::{Client, PID_FILE, Server, Site, eventually, exists};

/// A site that answers with a word, and has a file that takes a while.
fn answering(main: &str, word: &str) -> Site {
    Site::main(
        main,
        &format!(
            "server {{
                listen 127.0.0.1:%PORT% sndbuf=16k;
                location / {{ return 200 {word}; }}
                location /big {{ root %PREFIX%/html; }}
             }}"
        ),
    )
    .file("html/big", vec![b'x'; BIG])
}

/// More than the sockets on the way can hold.
const BIG: usize = 10 << 20;

/// A client in the middle of a download.
#[track_caller]
fn downloading(server: &Server) -> Client {
    let mut client = server.connect();
    client.send("GET /big HTTP/1.0\r\n\r\n");
    client.take(1000);
    client
}

/// Asserts that the download comes to its end.
#[track_caller]
fn assert_completes(mut client: Client) {
    let rest = client.rest();
    assert!(rest.len() > BIG - 1000, "only {} bytes", rest.len());
}

#[test]
fn a_daemon_is_started_and_stopped() {
    for signal in ["stop", "quit"] {
        let mut server = answering("", "ok").daemonize();
        assert_eq!(server.get("/").text(), "ok");
        let stopped = server.run(&["-s", signal]);
        assert_eq!(stopped.code, 0, "{}", stopped.stderr);
        server.wait();
        assert!(!server.path(PID_FILE).exists(), "the pid file stays behind");
    }
}

#[test]
fn a_signal_to_nobody_is_an_error() {
    let site = answering("", "ok");
    for signal in ["stop", "quit", "reload", "reopen"] {
        let sent = site.run(&["-s", signal]);
        assert_eq!(sent.code, 1, "{signal}");
        let reason = format!(
            "{}\" failed (2: No such file or directory)",
            site.path(PID_FILE).display()
        );
        assert!(sent.stderr.contains(&reason), "{}", sent.stderr);
    }
    let sent = site.run(&["-s", "dance"]);
    assert_eq!(sent.code, 1);
    assert!(
        sent.stderr.contains("invalid option: \"-s dance\""),
        "{}",
        sent.stderr
    );
}

#[test]
fn a_reload_changes_the_configuration() {
    let mut server = answering("", "old").start();
    assert_eq!(server.get("/").text(), "old");
    server.reconfigure(|text| text.replace("200 old", "200 new"));
    let reloaded = server.run(&["-s", "reload"]);
    assert_eq!(reloaded.code, 0, "{}", reloaded.stderr);
    eventually("the new answer", || server.get("/").text() == "new");
}

#[test]
fn a_reload_may_change_addresses() {
    let mut server = Site::http("server { listen 127.0.0.1:%PORT%; return 200 one; }").start();
    server.reconfigure(|text| text.replace("return", "listen 127.0.0.1:%PORT1%; return"));
    server.reload();
    let second = server.port(1);
    assert_eq!(Client::tcp(("127.0.0.1", second)).get("/").text(), "one");
    server.reconfigure(|text| text.replace("listen 127.0.0.1:%PORT%;", ""));
    server.reload();
    eventually("the first address is free", || {
        TcpListener::bind(("127.0.0.1", server.port(0))).is_ok()
    });
    assert_eq!(Client::tcp(("127.0.0.1", second)).get("/").text(), "one");
}

#[test]
fn a_reload_cuts_no_download() {
    let mut server = answering("", "old").start();
    let old = server.wait_for_workers(1);
    let client = downloading(&server);
    let mut half = server.connect();
    assert_eq!(half.get("/").text(), "old", "the old worker has it");
    half.send("GET / HTTP/1.1\r\n");
    server.reconfigure(|text| text.replace("200 old", "200 new"));
    server.reload();
    eventually("the new answer", || server.get("/").text() == "new");
    assert!(exists(old[0]), "the old worker left its clients alone");
    assert_completes(client);
    let answer = half.send("Host: a\r\n\r\n").response();
    assert_eq!(
        (answer.text(), answer.header("Connection")),
        ("old", Some("close"))
    );
    eventually("the old worker's end", || !exists(old[0]));
}

#[test]
fn a_bad_reload_changes_nothing() {
    let mut server = answering("", "old").may_alert().start();
    let workers = server.wait_for_workers(1);
    let client = downloading(&server);
    server.reconfigure(|text| text.replace("location / {", "location / { retrun 200;"));
    let reloaded = server.run(&["-s", "reload"]);
    assert_eq!(reloaded.code, 1);
    assert!(
        reloaded.stderr.contains("unknown directive \"retrun\" in "),
        "{}",
        reloaded.stderr
    );
    server.signal(libc::SIGHUP);
    eventually("the master's complaint", || {
        server.error_log().contains("[emerg]") && server.error_log().contains("\"retrun\"")
    });
    assert_eq!(server.workers(), workers);
    assert_eq!(server.get("/").text(), "old");
    assert_completes(client);
}

#[test]
fn who_asked_for_a_reload_learns_that_it_failed_later() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut server = answering("", "old").may_alert().start();
    server.reconfigure(|text| {
        text.replace(
            "location / {",
            &format!("listen 127.0.0.1:{port}; location / {{"),
        )
    });
    let reloaded = server.run(&["-s", "reload"]);
    assert_eq!(reloaded.code, 1, "{}", reloaded.stderr);
    let reason = format!("bind() to 127.0.0.1:{port} failed (98: Address already in use)");
    assert!(reloaded.stderr.contains(&reason), "{}", reloaded.stderr);
    assert_eq!(server.get("/").text(), "old");
}

#[test]
fn reloads_under_load_cost_no_request() {
    let server = answering("worker_processes 2;", "ok").start();
    let done = AtomicBool::new(false);
    // Clients that reuse their connection until they are told not to.
    let ask = || {
        let (mut client, mut count) = (server.connect(), 0);
        while !done.load(Ordering::Relaxed) {
            let response = client.get("/");
            assert_eq!(response.text(), "ok");
            if response.header("Connection") == Some("close") {
                client = server.connect();
            }
            count += 1;
        }
        count
    };
    std::thread::scope(|scope| {
        let asking = [scope.spawn(ask), scope.spawn(ask)];
        for _ in 0..5 {
            server.reload();
        }
        done.store(true, Ordering::Relaxed);
        for asking in asking {
            assert!(asking.join().unwrap() > 5);
        }
    });
}

#[test]
fn logs_are_opened_again() {
    let server = answering("", "ok").start();
    for reopen in [true, false] {
        server.get("/before");
        eventually("a line", || server.access_log().contains("/before"));
        fs::rename(server.path("logs/access.log"), server.path("logs/access.1")).unwrap();
        fs::rename(server.path("logs/error.log"), server.path("logs/error.1")).unwrap();
        if reopen {
            assert_eq!(server.run(&["-s", "reopen"]).code, 0);
        } else {
            server.signal(libc::SIGUSR1);
        }
        eventually("a new log", || {
            server.get("/after");
            server.access_log().contains("/after") && server.path("logs/error.log").exists()
        });
    }
}

#[test]
fn a_dead_worker_is_replaced() {
    let server = answering("worker_processes 2;", "ok").may_alert().start();
    let before = server.wait_for_workers(2);
    kill(before[0], libc::SIGKILL).unwrap();
    eventually("another worker", || {
        let now = server.workers();
        now.len() == 2 && now.contains(&before[1]) && !now.contains(&before[0])
    });
    let log = server.error_log();
    assert!(
        log.contains(&format!("worker process {} exited on signal 9", before[0])),
        "{log}"
    );
    for _ in 0..10 {
        assert_eq!(server.get("/").text(), "ok");
    }
}

#[test]
fn a_graceful_end_waits_for_requests() {
    let mut server = answering("", "ok").start();
    let client = downloading(&server);
    let mut idle = server.connect();
    idle.get("/");
    server.signal(libc::SIGQUIT);
    assert_eq!(idle.rest(), b"", "an idle connection is closed");
    eventually("the address is closed", || {
        std::net::TcpStream::connect(("127.0.0.1", server.port(0))).is_err()
    });
    assert!(server.is_running());
    assert_completes(client);
    assert!(server.wait().unwrap().success());
}

#[test]
fn a_fast_end_waits_for_nothing() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let mut server = answering("", "ok").start();
        let mut client = downloading(&server);
        server.signal(signal);
        assert!(server.wait().unwrap().success());
        assert!(client.rest().len() < BIG);
    }
}

#[test]
fn a_graceful_end_may_be_limited() {
    let mut server = answering("worker_shutdown_timeout 50ms;", "ok").start();
    let mut client = downloading(&server);
    server.signal(libc::SIGQUIT);
    assert!(server.wait().unwrap().success());
    assert!(client.rest().len() < BIG);
}

#[test]
fn workers_retire_and_come_back() {
    let server = answering("", "ok").daemonize();
    server.wait_for_workers(1);
    server.signal(libc::SIGWINCH);
    server.wait_for_workers(0);
    server.signal(libc::SIGHUP);
    server.wait_for_workers(1);
    assert_eq!(server.get("/").text(), "ok");
}

#[test]
fn the_program_is_replaced_while_it_runs() {
    let mut server = answering("", "ok").daemonize();
    let client = downloading(&server);
    let old = server.pid();
    server.signal(libc::SIGUSR2);
    eventually("a second master", || {
        server.pid_file().is_some_and(|pid| pid != old)
    });
    assert_eq!(
        server.read(&format!("{PID_FILE}.oldbin")).trim(),
        old.to_string()
    );
    for _ in 0..10 {
        assert_eq!(
            server.get("/").text(),
            "ok",
            "old and new serve side by side"
        );
    }
    server.signal(libc::SIGQUIT);
    assert_completes(client);
    server.wait();
    assert!(!server.path(&format!("{PID_FILE}.oldbin")).exists());
    for _ in 0..10 {
        assert_eq!(server.get("/").text(), "ok", "the new one alone");
    }
}

#[test]
fn an_upgrade_may_be_taken_back() {
    let server = answering("", "ok").daemonize();
    let old = server.pid();
    server.signal(libc::SIGUSR2);
    eventually("a second master", || {
        server.pid_file().is_some_and(|pid| pid != old)
    });
    let new = server.pid_file().unwrap();
    server.signal(libc::SIGWINCH);
    eventually("only the new master", || server.workers() == [new]);
    server.signal(libc::SIGHUP);
    server.wait_for_workers(2);
    kill(new, libc::SIGQUIT).unwrap();
    eventually("the old pid file", || server.pid_file() == Some(old));
    for _ in 0..10 {
        assert_eq!(server.get("/").text(), "ok");
    }
}

#[test]
fn an_address_in_use_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let site = Site::http(&format!("server {{ listen 127.0.0.1:{port}; }}"));
    let ended = site.run(&["-g", "daemon off;"]);
    assert_eq!(ended.code, 1);
    let reason = format!("[emerg] bind() to 127.0.0.1:{port} failed (98: Address already in use)");
    assert!(ended.stderr.contains(&reason), "{}", ended.stderr);
    assert!(
        site.error_log().contains("still could not bind()"),
        "{}",
        site.error_log()
    );
}

#[test]
fn one_process_may_do_it_all() {
    let mut server = answering("master_process off;", "ok").start();
    assert_eq!(server.get("/").text(), "ok");
    assert_eq!(server.workers(), []);
    server.reconfigure(|text| text.replace("200 ok", "200 anew"));
    let told = server.run(&["-s", "reload"]);
    assert_eq!((told.code, &*told.stderr), (0, ""));
    eventually("the new answer", || server.get("/").text() == "anew");
    server.signal(libc::SIGQUIT);
    assert!(server.wait().unwrap().success());
}

#[test]
fn every_way_to_wait_for_events_serves() {
    for method in ["epoll", "poll", "select"] {
        let server = Site::conf(&format!(
            "error_log logs/error.log info;
             pid {PID_FILE};
             events {{ use {method}; multi_accept on; accept_mutex on; }}
             http {{ server {{ listen 127.0.0.1:%PORT%; root %PREFIX%/html; }} }}"
        ))
        .file("html/big", vec![b'x'; 1 << 20])
        .start();
        let mut clients: Vec<_> = (0..30).map(|_| server.connect()).collect();
        for _ in 0..2 {
            for client in &mut clients {
                client.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
            }
            for client in &mut clients {
                assert_eq!(client.response().body.len(), 1 << 20, "{method}");
            }
        }
        assert!(
            server
                .error_log()
                .contains(&format!("using the \"{method}\" event method"))
        );
    }
}

#[test]
fn workers_are_set_up_as_told() {
    let server = answering(
        "worker_processes 3; worker_rlimit_nofile 300; worker_priority 5; worker_cpu_affinity 01;",
        "ok",
    )
    .start();
    for worker in server.wait_for_workers(3) {
        let proc = |file: &str| fs::read_to_string(format!("/proc/{worker}/{file}")).unwrap();
        eventually("the limit of descriptors", || {
            let limits = proc("limits");
            let files = limits
                .lines()
                .find(|line| line.starts_with("Max open files"))
                .unwrap();
            files.split_whitespace().nth(3) == Some("300")
        });
        eventually("the priority", || {
            let stat = proc("stat");
            stat.rsplit_once(") ").unwrap().1.split(' ').nth(16) == Some("5")
        });
        eventually("the processor", || {
            proc("status").contains("\nCpus_allowed_list:\t0\n")
        });
        eventually("the title", || proc("cmdline").contains("worker process"));
        if effective_uid() == 0 {
            eventually("the user", || !proc("status").contains("\nUid:\t0\t"));
        }
    }
    let title = fs::read_to_string(format!("/proc/{}/cmdline", server.pid())).unwrap();
    assert!(title.contains("master process"), "{title}");
}

#[test]
fn a_client_that_leaves_in_the_middle_harms_nobody() {
    let server = answering("", "ok").start();
    for _ in 0..20 {
        drop(downloading(&server));
    }
    assert_completes(downloading(&server));
    assert_eq!(server.get("/").text(), "ok");
}
