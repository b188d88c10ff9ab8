//! Uploads: what is stored under which name, what is refused, what is resumed, what is never seen.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{Client, Response, Server, Site, eventually};
use rowhouse::sys::process::kill;

/// A server that stores what is sent to `/up/` and serves it again.
fn storing(settings: &str) -> Server {
    site(settings).start()
}

fn site(settings: &str) -> Site {
    Site::http(&format!(
        "default_type application/octet-stream;
         server {{
            listen 127.0.0.1:%PORT%;
            root %PREFIX%/html;
            client_max_body_size 2m;
            location /up/ {{
                upload_store %PREFIX%/html/up;
                upload_store_access user:rw group:r all:r;
                {settings}
            }}
         }}"
    ))
    .file("html/index.html", "")
}

/// Bytes without a pattern, the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// What anybody can see of the store.
fn visible(server: &Server) -> Vec<String> {
    let entries = fs::read_dir(server.path("html/up")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}

/// How many files are hidden in the store.
fn hidden(server: &Server) -> usize {
    fs::read_dir(server.path("html/up/.uploads")).map_or(0, Iterator::count)
}

fn stored(server: &Server, name: &str) -> Vec<u8> {
    fs::read(server.path("html/up").join(name)).unwrap()
}

/// Sends a whole request with a body of known length.
#[track_caller]
fn send(server: &Server, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Response {
    begin(server, method, path, headers, body.len(), body).response_to(method)
}

/// Sends a request whose body will have `length` bytes, and the first of them.
fn begin(
    server: &Server,
    method: &str,
    path: &str,
    headers: &[&str],
    length: usize,
    body: &[u8],
) -> Client {
    let mut client = server.connect();
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    for line in headers {
        head += &format!("{line}\r\n");
    }
    head += &format!("Content-Length: {length}\r\n\r\n");
    client.send(head).send(body);
    client
}

#[test]
fn bodies_become_files_however_they_come() {
    let server = storing("");
    let content = noise(300_000);
    let response = send(&server, "PUT", "/up/a%20b.bin", &[], &content);
    assert_eq!(response.status, 201);
    let location = response.header("Location").unwrap();
    assert!(location.ends_with("/up/a%20b.bin"), "{location}");
    assert!(
        response
            .text()
            .starts_with("[{\"name\":\"a b.bin\",\"size\":300000,\"sha256\":\"")
    );
    assert_eq!(stored(&server, "a b.bin"), content);
    assert_eq!(server.get("/up/a%20b.bin").body, content);
    for (number, step) in [1_000, 7_777, 70_000].into_iter().enumerate() {
        let mut client = server.connect();
        let name = format!("{number}.bin");
        client.send(format!(
            "PUT /up/{name} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        ));
        for piece in content.chunks(step) {
            client
                .send(format!("{:x}\r\n", piece.len()))
                .send(piece)
                .send("\r\n");
        }
        client.send("0\r\n\r\n");
        assert_eq!(client.response().status, 201);
        assert_eq!(stored(&server, &name), content);
    }
    assert_eq!(send(&server, "PUT", "/up/empty", &[], b"").status, 201);
    assert_eq!(stored(&server, "empty"), b"");
    assert_eq!(hidden(&server), 0);
}

const FORM: &str = "Content-Type: multipart/form-data; boundary=\"b\"";

fn part(disposition: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n");
    [head.as_bytes(), content, b"\r\n"].concat()
}

#[test]
fn forms_bring_several_files_and_fields() {
    let server =
        storing("upload_max_file_size 1000; upload_max_field_size 100; upload_max_files 5;");
    let content = noise(900);
    let form = [
        part("name=one; filename=\"../../etc/passwd\"", &content),
        part("name=note", "ünïcode \"quoted\"".as_bytes()),
        part("name=none; filename=\"\"", b""),
        part("name=big; filename=big", &noise(2000)),
        part("name=two; filename=\"b\u{202e}.txt\"", b""),
        b"--b--\r\n".to_vec(),
    ]
    .concat();
    let response = send(&server, "POST", "/up/", &[FORM], &form);
    assert_eq!(response.status, 201);
    let text = response.text();
    assert!(
        text.contains("{\"field\":\"one\",\"name\":\"passwd\",\"size\":900,"),
        "{text}"
    );
    assert!(
        text.contains("{\"field\":\"note\",\"value\":\"ünïcode \\\"quoted\\\"\"}"),
        "{text}"
    );
    assert!(
        text.contains("{\"field\":\"big\",\"name\":\"big\",\"error\":"),
        "{text}"
    );
    assert_eq!(visible(&server), ["b.txt", "passwd"]);
    assert_eq!(stored(&server, "passwd"), content);

    let html = "Accept: text/html";
    let form = [part("name=f; filename=c", b"c"), b"--b--".to_vec()].concat();
    let response = send(&server, "POST", "/up/", &[FORM, html], &form);
    assert_eq!(response.status, 303);
    assert!(response.header("Location").unwrap().ends_with("/up/c"));

    let cases: [(Vec<u8>, u16); 5] = [
        (part("name=f; filename=cut", b"c"), 400),
        (b"--bx".to_vec(), 400),
        (
            part(&format!("name=f; filename={}", "x".repeat(600)), b""),
            400,
        ),
        (part("name=f", &noise(101)), 413),
        (part("name=f", b"").repeat(6), 413),
    ];
    for (form, status) in cases {
        assert_eq!(send(&server, "POST", "/up/", &[FORM], &form).status, status);
    }
    assert_eq!(visible(&server), ["b.txt", "c", "passwd"]);
    assert_eq!(hidden(&server), 0);
}

#[test]
fn a_name_that_is_taken() {
    for (policy, statuses, names, content) in [
        ("refuse", [201, 409, 409], vec!["a.txt"], "0"),
        ("replace", [201, 200, 200], vec!["a.txt"], "2"),
        (
            "number",
            [201, 201, 201],
            vec!["a-1.txt", "a-2.txt", "a.txt"],
            "0",
        ),
    ] {
        let server = storing(&format!("upload_exists {policy};"));
        for (number, status) in statuses.into_iter().enumerate() {
            let body = number.to_string();
            let response = send(&server, "PUT", "/up/a.txt", &[], body.as_bytes());
            assert_eq!(response.status, status, "{policy}");
        }
        assert_eq!(visible(&server), names);
        assert_eq!(stored(&server, "a.txt"), content.as_bytes());
        assert_eq!(hidden(&server), 0);
    }
}

#[test]
fn names_come_from_the_request_or_are_made() {
    let server = storing("");
    let disposition = "Content-Disposition: attachment; filename*=UTF-8''%e2%82%ac.txt";
    assert_eq!(
        send(&server, "POST", "/up/", &[disposition], b"1").status,
        201
    );
    assert_eq!(send(&server, "PUT", "/up/.hidden", &[], b"2").status, 201);
    assert_eq!(visible(&server), ["hidden", "€.txt"]);
    assert_eq!(send(&server, "PUT", "/up/no/folder", &[], b"3").status, 409);
    let range = "Content-Range: bytes 0-0/2";
    assert_eq!(send(&server, "PUT", "/up/part", &[range], b"3").status, 400);
    assert_eq!(send(&server, "POST", "/up/", &[], b"4").status, 201);
    assert!(visible(&server)[1].starts_with("upload-"));
    assert_eq!(server.get("/up/.uploads/x").status, 404);
}

/// Sends chunks of noise without an end, and takes the answer.
#[track_caller]
fn flood(server: &Server, path: &str, chunks: usize) -> Response {
    let mut client = server.connect();
    client.send(format!(
        "PUT {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    ));
    let piece = noise(100_000);
    for _ in 0..chunks {
        client.send("186a0\r\n").send(&piece).send("\r\n");
    }
    client.response()
}

#[test]
fn too_much_is_refused_while_it_comes() {
    for (settings, named) in [
        ("upload_max_file_size 1m;", "upload_max_file_size"),
        ("", "client_max_body_size"),
    ] {
        let server = storing(settings);
        assert_eq!(flood(&server, "/up/a", 22).status, 413);
        assert!(visible(&server).is_empty());
        assert_eq!(hidden(&server), 0);
        let log = server.error_log();
        assert!(log.contains(&format!("the limit of \"{named}\"")), "{log}");
    }
}

#[test]
fn there_is_no_room() {
    let server = storing("upload_quota 1500k;");
    assert_eq!(
        send(&server, "PUT", "/up/a", &[], &noise(1 << 20)).status,
        201
    );
    assert_eq!(
        send(&server, "PUT", "/up/b", &[], &noise(600_000)).status,
        507
    );
    assert_eq!(flood(&server, "/up/c", 10).status, 507);
    assert_eq!((visible(&server), hidden(&server)), (vec!["a".into()], 0));
    let log = server.error_log();
    assert!(log.contains("the limit of \"upload_quota\""), "{log}");

    let server = storing("upload_quota 500k; upload_resumable on;");
    for headers in [
        &["Upload-Complete: ?0"][..],
        &[DRAFT, "Upload-Complete: ?0"],
        &[TUS, OFFSET, "Upload-Length: 700000"],
    ] {
        let mut client = begin(&server, "POST", "/up/", headers, 700_000, &noise(700_000));
        let status = match client.response().status {
            104 => client.response().status,
            status => status,
        };
        assert_eq!((status, hidden(&server)), (507, 0), "{headers:?}");
    }

    let server = storing("upload_min_free 1000000g;");
    assert_eq!(send(&server, "PUT", "/up/a", &[], b"a").status, 507);
    assert_eq!(hidden(&server), 0);
    let log = server.error_log();
    assert!(log.contains("\"upload_min_free\""), "{log}");
}

#[test]
fn no_more_than_a_rate_is_read() {
    let server = storing("upload_limit_rate 100k;");
    let start = std::time::Instant::now();
    assert_eq!(
        send(&server, "PUT", "/up/a", &[], &noise(30 << 10)).status,
        201
    );
    assert!(start.elapsed().as_millis() >= 300, "{:?}", start.elapsed());
}

#[test]
fn a_client_that_leaves_takes_its_file_along() {
    let server = storing("");
    let client = begin(&server, "PUT", "/up/a", &[], 100_000, &noise(50_000));
    eventually("a hidden file", || hidden(&server) == 1);
    drop(client);
    eventually("no hidden file", || hidden(&server) == 0);
    assert!(visible(&server).is_empty());
}

#[test]
fn a_killed_worker_leaves_nothing_to_be_seen() {
    let server = site("").may_alert().start();
    let _client = begin(&server, "PUT", "/up/a", &[], 100_000, &noise(50_000));
    eventually("a hidden file", || hidden(&server) == 1);
    kill_worker(&server);
    assert!(visible(&server).is_empty());
    assert_eq!(send(&server, "PUT", "/up/b", &[], b"b").status, 201);
    assert_eq!((visible(&server), hidden(&server)), (vec!["b".into()], 0));
}

/// Kills the worker as nothing can be killed more, and waits for the next.
fn kill_worker(server: &Server) {
    let workers = server.workers();
    for worker in &workers {
        kill(*worker, libc::SIGKILL).unwrap();
    }
    eventually("another worker", || {
        let now = server.workers();
        !now.is_empty() && now.iter().all(|worker| !workers.contains(worker))
    });
}

/// The path in a `Location`.
#[track_caller]
fn location(response: &Response) -> String {
    response.header("Location").unwrap().to_owned()
}

const DRAFT: &str = "Upload-Draft-Interop-Version: 9";
const PARTIAL: &str = "Content-Type: application/partial-upload";

#[test]
fn an_upload_is_resumed_after_its_worker_was_killed() {
    let server = site("upload_resumable on;").may_alert().start();
    let content = noise(1_000_000);
    for cut in [0, 1, 65_536, 777_777] {
        let name = format!("/up/{cut}.bin");
        let mut client = begin(
            &server,
            "PUT",
            &name,
            &[DRAFT, "Upload-Complete: ?1"],
            content.len(),
            &content[..cut],
        );
        let interim = client.response();
        assert_eq!(interim.status, 104);
        assert_eq!(interim.header("Upload-Draft-Interop-Version"), Some("9"));
        let resource = location(&interim);
        let offset = |server: &Server| {
            let response = server.request("HEAD", &resource, &[]);
            assert_eq!(
                (response.status, response.header("Upload-Complete")),
                (204, Some("?0"))
            );
            assert_eq!(response.header("Upload-Length"), Some("1000000"));
            response
                .header("Upload-Offset")
                .unwrap()
                .parse::<usize>()
                .unwrap()
        };
        let size = || content_length(&server, &resource);
        eventually("what was sent", || size() == cut as u64);
        kill_worker(&server);
        let from = offset(&server);
        assert_eq!(from, cut);
        assert!(!visible(&server).contains(&format!("{cut}.bin")));
        let at = format!("Upload-Offset: {from}");
        let response = send(
            &server,
            "PATCH",
            &resource,
            &[PARTIAL, &at, "Upload-Complete: ?1"],
            &content[from..],
        );
        assert_eq!(
            (response.status, response.header("Upload-Complete")),
            (201, Some("?1"))
        );
        assert_eq!(stored(&server, &format!("{cut}.bin")), content);
    }
}

#[test]
fn workers_killed_at_any_point_leave_no_half_files() {
    let server = site("upload_resumable on;").may_alert().start();
    let content = noise(300_000);
    for number in 0..20 {
        let cut = number * 104_729 % content.len();
        let headers = [DRAFT, "Upload-Complete: ?1"];
        let path = format!("/up/{number}");
        let mut client = begin(
            &server,
            "PUT",
            &path,
            &headers,
            content.len(),
            &content[..cut],
        );
        let resource = location(&client.response());
        kill_worker(&server);
        assert_eq!(visible(&server).len(), number);
        let state = server.request("HEAD", &resource, &[]);
        let offset = state.header("Upload-Offset").unwrap();
        let at = format!("Upload-Offset: {offset}");
        let from: usize = offset.parse().unwrap();
        assert!(from <= cut, "{from} of {cut}");
        let headers = [PARTIAL, &at, "Upload-Complete: ?1"];
        let last = send(&server, "PATCH", &resource, &headers, &content[from..]);
        assert_eq!(last.status, 201);
        assert_eq!(stored(&server, &number.to_string()), content);
    }
}

/// The length of an unfinished upload on disk, which can be seen without asking for it.
fn content_length(server: &Server, resource: &str) -> u64 {
    let id = resource.rsplit('=').next().unwrap();
    fs::metadata(server.path("html/up/.uploads").join(id))
        .unwrap()
        .len()
}

/// Asserts that a response describes a problem of that type (RFC 9457).
#[track_caller]
fn assert_problem(response: &Response, kind: &str) {
    let media_type = response.header("Content-Type");
    assert_eq!(media_type, Some("application/problem+json"));
    let kind = format!("\"type\":\"https://iana.org/assignments/http-problem-types#{kind}\"");
    assert!(response.text().contains(&kind), "{}", response.text());
}

#[test]
fn pages_count_more_than_problems() {
    let server = storing("upload_resumable on; error_page 409 /page;");
    fs::write(server.path("html/page"), "our own").unwrap();
    let begun = send(&server, "PUT", "/up/a", &["Upload-Complete: ?0"], b"abc");
    let headers = [PARTIAL, "Upload-Offset: 1", "Upload-Complete: ?0"];
    let wrong = send(&server, "PATCH", &location(&begun), &headers, b"x");
    assert_eq!((wrong.status, wrong.text()), (409, "our own"));
    assert_eq!(wrong.header("Upload-Offset"), Some("3"));
}

#[test]
fn the_ietfs_protocol() {
    let server = storing("upload_resumable on; upload_max_file_size 3m;");
    let response = server.request("OPTIONS", "/up/", &[]);
    assert_eq!(response.status, 204);
    let limits = "max-size=3145728, max-append-size=2097152, max-age=86400";
    assert_eq!(response.header("Upload-Limit"), Some(limits));

    let headers = ["Upload-Complete: ?0", "Upload-Length: 10"];
    let begun = send(&server, "PUT", "/up/a.txt", &headers, b"0123");
    assert_eq!(
        (begun.status, begun.header("Upload-Complete")),
        (201, Some("?0"))
    );
    let resource = location(&begun);
    let append = |at: &str, complete: &str, body: &[u8]| {
        send(&server, "PATCH", &resource, &[PARTIAL, at, complete], body)
    };
    let wrong = append("Upload-Offset: 3", "Upload-Complete: ?0", b"x");
    assert_eq!(
        (wrong.status, wrong.header("Upload-Offset")),
        (409, Some("4"))
    );
    assert_problem(&wrong, "mismatching-upload-offset");
    let offsets = "\"expected-offset\":4,\"provided-offset\":3}";
    assert!(wrong.text().contains(offsets), "{}", wrong.text());
    assert_eq!(append("Upload-Offset: 4", "X: y", b"x").status, 400);
    let short = append("Upload-Offset: 4", "Upload-Complete: ?1", b"short");
    assert_eq!(short.status, 400);
    assert_problem(&short, "inconsistent-upload-length");
    let more = append("Upload-Offset: 4", "Upload-Complete: ?0", b"456");
    assert_eq!(
        (more.status, more.header("Upload-Offset")),
        (204, Some("7"))
    );
    assert!(visible(&server).is_empty());
    let last = append("Upload-Offset: 7", "Upload-Complete: ?1", b"789");
    assert_eq!(
        (last.status, last.header("Upload-Complete")),
        (201, Some("?1"))
    );
    assert_eq!(stored(&server, "a.txt"), b"0123456789");
    // Whoever did not hear the answer hears it again.
    let again = append("Upload-Offset: 10", "Upload-Complete: ?1", b"");
    assert_eq!((again.status, again.text()), (201, last.text()));
    let further = append("Upload-Offset: 10", "Upload-Complete: ?0", b"x");
    assert_eq!(further.status, 409);
    assert_problem(&further, "completed-upload");
    let state = server.request("HEAD", &resource, &[]);
    assert_eq!(state.header("Upload-Complete"), Some("?1"));

    let begun = send(&server, "POST", "/up/", &["Upload-Complete: ?0"], b"");
    let resource = location(&begun);
    assert_eq!(
        send(&server, "PATCH", &resource, &["Upload-Offset: 0"], b"x").status,
        415
    );
    assert_eq!(server.request("DELETE", &resource, &[]).status, 204);
    assert_eq!(server.request("HEAD", &resource, &[]).status, 404);
    let long = ["Upload-Complete: ?0", "Upload-Length: 4000000"];
    assert_eq!(send(&server, "PUT", "/up/b", &long, b"").status, 413);
    // Without an interop version that is known, it is an upload like any other.
    let plain = send(&server, "PUT", "/up/b", &["Upload-Complete: ?1"], b"b");
    assert_eq!((plain.status, plain.header("Upload-Complete")), (201, None));
    assert_eq!(visible(&server), ["a.txt", "b"]);
}

/// The digest of "hello world".
const DIGEST: &str = "sha-256=:uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=:";

#[test]
fn digests_are_compared_and_told() {
    let server = storing("upload_fsync on;");
    let wants = "Want-Repr-Digest: sha-512=3, sha-256=10";
    for name in ["Content-Digest", "Repr-Digest"] {
        let claim = format!("{name}: {DIGEST}");
        let wrong = send(&server, "PUT", "/up/a", &[&claim], b"hello there");
        assert_eq!(wrong.status, 400);
        assert!(!visible(&server).contains(&"a".to_owned()));
        let path = format!("/up/{name}");
        let right = send(&server, "PUT", &path, &[&claim, wants], b"hello world");
        assert_eq!(
            (right.status, right.header("Repr-Digest")),
            (201, Some(DIGEST))
        );
    }
    let form = [part("name=f; filename=f", b"f"), b"--b--".to_vec()].concat();
    let unasked = send(&server, "POST", "/up/", &[FORM, wants], &form);
    assert_eq!((unasked.status, unasked.header("Repr-Digest")), (201, None));
    assert_eq!(hidden(&server), 0);
}

#[test]
fn files_lie_in_subfolders() {
    let server = Site::http(
        "server {
            listen 127.0.0.1:%PORT%;
            root %PREFIX%/html;
            location /up/ {
                upload_store %PREFIX%/html/up 1 2;
                upload_store_access all:r;
                upload_state_store %PREFIX%/html/state 2;
                upload_exists number;
                upload_quota 100k;
                upload_resumable on;
            }
         }",
    )
    .file("html/index.html", "")
    .start();
    // The folders are the last digits of SHA-256("a.txt") and SHA-256("a-1.txt").
    for (content, name, path) in [
        ("one", "a.txt", "/up/3/99/a.txt"),
        ("two", "a-1.txt", "/up/7/9b/a-1.txt"),
    ] {
        let response = send(&server, "PUT", "/up/a.txt", &[], content.as_bytes());
        assert_eq!(response.status, 201);
        assert!(response.text().contains(&format!("\"name\":\"{name}\"")));
        let location = location(&response);
        assert!(location.ends_with(path), "{location}");
        assert_eq!(server.get(path).text(), content);
    }
    let large = send(&server, "PUT", "/up/b", &[], &noise(110_000));
    assert_eq!(large.status, 507);
    let begun = send(
        &server,
        "PUT",
        "/up/b",
        &["Upload-Complete: ?0"],
        &noise(90_000),
    );
    let id = location(&begun).rsplit('=').next().unwrap().to_owned();
    assert!(
        server
            .path("html/state")
            .join(&id[30..])
            .join(&id)
            .is_file()
    );
    let full = send(&server, "PUT", "/up/c", &[], &noise(20_000));
    assert_eq!(full.status, 507);
}

#[test]
fn digests_of_the_whole_are_compared() {
    let server = storing("upload_resumable on;");
    let (content, whole) = (
        format!("Content-Digest: {DIGEST}"),
        format!("Repr-Digest: {DIGEST}"),
    );
    let begun = send(
        &server,
        "PUT",
        "/up/a",
        &["Upload-Complete: ?0", &content],
        b"hello there",
    );
    assert_eq!(begun.status, 400);
    let begun = send(
        &server,
        "PUT",
        "/up/a",
        &["Upload-Complete: ?0", &whole],
        b"hello ",
    );
    let headers = [PARTIAL, "Upload-Offset: 6", "Upload-Complete: ?1"];
    let wrong = send(&server, "PATCH", &location(&begun), &headers, b"there");
    assert_eq!(
        (wrong.status, wrong.header("Upload-Complete")),
        (400, Some("?1"))
    );
    let begun = send(
        &server,
        "PUT",
        "/up/a",
        &["Upload-Complete: ?0", &whole, "Want-Repr-Digest: sha-256=1"],
        b"hello ",
    );
    let resource = location(&begun);
    let last = send(&server, "PATCH", &resource, &headers, b"world");
    assert_eq!(
        (last.status, last.header("Repr-Digest")),
        (201, Some(DIGEST))
    );
    assert_eq!(stored(&server, "a"), b"hello world");
    let headers = [PARTIAL, "Upload-Offset: 11", "Upload-Complete: ?1"];
    let again = send(&server, "PATCH", &resource, &headers, b"");
    assert_eq!(again.header("Repr-Digest"), Some(DIGEST));
}

#[test]
fn a_form_is_sorted_when_it_is_whole() {
    let server = storing("upload_resumable on;");
    let content = noise(100_000);
    let form = [
        part("name=f; filename=f.bin", &content),
        part("name=n", b"v"),
        b"--b--".to_vec(),
    ];
    let form = form.concat();
    let begun = send(
        &server,
        "POST",
        "/up/",
        &[FORM, "Upload-Complete: ?0"],
        &form[..50_000],
    );
    let headers = [PARTIAL, "Upload-Offset: 50000", "Upload-Complete: ?1"];
    let response = send(
        &server,
        "PATCH",
        &location(&begun),
        &headers,
        &form[50_000..],
    );
    assert_eq!(response.status, 201);
    assert!(response.text().contains("\"value\":\"v\""));
    assert_eq!(stored(&server, "f.bin"), content);
}

#[test]
fn whoever_comes_back_ends_the_request_that_hangs() {
    let server = storing("upload_resumable on;");
    let headers = [DRAFT, "Upload-Complete: ?1"];
    let mut hanging = begin(&server, "PUT", "/up/a", &headers, 10, b"01234");
    let resource = location(&hanging.response());
    eventually("what was sent", || content_length(&server, &resource) == 5);
    let offset = server.request("HEAD", &resource, &[]);
    assert_eq!(offset.header("Upload-Offset"), Some("5"));
    assert_eq!(hanging.rest(), b"");
    let headers = [PARTIAL, "Upload-Offset: 5", "Upload-Complete: ?1"];
    assert_eq!(
        send(&server, "PATCH", &resource, &headers, b"56789").status,
        201
    );
    assert_eq!(stored(&server, "a"), b"0123456789");
}

#[test]
fn what_is_not_to_be_resumed_is_cleaned_up() {
    let server = storing("upload_resumable on; upload_cleanup 400 499;");
    let headers = [DRAFT, "Upload-Complete: ?1"];
    let mut client = begin(&server, "PUT", "/up/a", &headers, 10, b"01234");
    let resource = location(&client.response());
    eventually("what was sent", || content_length(&server, &resource) == 5);
    drop(client);
    eventually("nothing", || hidden(&server) == 0);
}

const TUS: &str = "Tus-Resumable: 1.0.0";
const OFFSET: &str = "Content-Type: application/offset+octet-stream";

#[test]
fn tus() {
    let server = storing("upload_resumable on; upload_max_file_size 1m;");
    let options = server.request("OPTIONS", "/up/", &[]);
    assert_eq!(options.header("Tus-Version"), Some("1.0.0"));
    assert_eq!(options.header("Tus-Max-Size"), Some("1048576"));

    // "a.txt" in base64.
    let metadata = "Upload-Metadata: filename YS50eHQ=,is_confidential";
    let begun = send(
        &server,
        "POST",
        "/up/",
        &[TUS, "Upload-Length: 11", metadata],
        b"",
    );
    assert_eq!(
        (begun.status, begun.header("Tus-Resumable")),
        (201, Some("1.0.0"))
    );
    assert!(begun.header("Upload-Expires").is_some());
    let resource = location(&begun);
    let append = |at: &str, more: &str, body: &[u8]| {
        send(&server, "PATCH", &resource, &[TUS, OFFSET, at, more], body)
    };
    let first = append("Upload-Offset: 0", "X: y", b"hello ");
    assert_eq!(
        (first.status, first.header("Upload-Offset")),
        (204, Some("6"))
    );
    let head = server.request("HEAD", &resource, &[TUS]);
    assert_eq!(
        (head.status, head.header("Upload-Offset")),
        (200, Some("6"))
    );
    assert_eq!(head.header("Upload-Length"), Some("11"));
    assert_eq!(
        head.header("Upload-Metadata"),
        metadata.split_once(": ").map(|(_, value)| value)
    );
    assert_eq!(append("Upload-Offset: 3", "X: y", b"x").status, 409);
    // Of "world".
    let sum = "Upload-Checksum: sha1 fCEUM/AgcVl3Qeb/Wo6jR4mrv0M=";
    let wrong = append("Upload-Offset: 6", sum, b"there");
    assert_eq!(wrong.status, 460);
    let unknown = append("Upload-Offset: 6", "Upload-Checksum: crc32 AAAA", b"world");
    assert_eq!(unknown.status, 400);
    let last = append("Upload-Offset: 6", sum, b"world");
    assert_eq!(
        (last.status, last.header("Upload-Offset")),
        (204, Some("11"))
    );
    assert_eq!(stored(&server, "a.txt"), b"hello world");

    let refused = server.request(
        "POST",
        "/up/",
        &["Tus-Resumable: 0.2.0", "Upload-Length: 1"],
    );
    assert_eq!(
        (refused.status, refused.header("Tus-Version")),
        (412, Some("1.0.0"))
    );
    assert_eq!(server.request("POST", "/up/", &[TUS]).status, 400);
    assert_eq!(
        server
            .request("POST", "/up/", &[TUS, "Upload-Length: 2000000"])
            .status,
        413
    );

    let with_upload = [TUS, OFFSET, "Upload-Defer-Length: 1"];
    let begun = send(&server, "POST", "/up/", &with_upload, b"abc");
    assert_eq!(
        (begun.status, begun.header("Upload-Offset")),
        (201, Some("3"))
    );
    let resource = location(&begun);
    let gone = ["X-HTTP-Method-Override: DELETE", TUS];
    assert_eq!(server.request("POST", &resource, &gone).status, 204);
    assert_eq!(server.request("HEAD", &resource, &[TUS]).status, 404);
    assert_eq!(visible(&server), ["a.txt"]);
}

/// A site whose uploads go to a script that says what it got; `?fail` has it fail.
fn handing_over(settings: &str) -> Server {
    let site = Site::http(&format!(
        "server {{
            listen 127.0.0.1:%PORT%;
            root %PREFIX%/html;
            location /upload/ {{
                client_max_body_size 10m;
                upload_store %PREFIX%/html/up 1;
                upload_store_access all:r;
                upload_set_form_field $upload_field_name.name \"$upload_file_name\";
                upload_set_form_field $upload_field_name.content_type \"$upload_content_type\";
                upload_set_form_field $upload_field_name.path \"$upload_tmp_path\";
                upload_aggregate_form_field \"$upload_field_name.md5\" \"$upload_file_md5\";
                upload_aggregate_form_field \"$upload_field_name.rest\"
                    \"$upload_file_size/$upload_file_number/$upload_file_crc32\";
                upload_pass_form_field \"^submit$|^description$\";
                upload_cleanup 400 404 499 500-505;
                error_page 405 415 = /script;
                {settings}
            }}
            location @script {{ client_max_body_size 1k; cgi pass %PREFIX%/script; }}
            location /script {{ cgi pass %PREFIX%/script; }}
         }}"
    ));
    let script = "#!/bin/sh\n[ \"$QUERY_STRING\" = fail ] && status=500\n\
                  printf 'Status: %s\\nX-Type: %s\\nX-Length: %s\\nX-Query: %s\\n\\n' \
                  ${status:-200} \"$CONTENT_TYPE\" \"$CONTENT_LENGTH\" \"$QUERY_STRING\"\ncat\n";
    let site = site.file("html/index.html", "").file("script", script);
    let path = site.path("script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    site.start()
}

#[test]
fn forms_are_handed_over_as_by_nginxs_module() {
    let server = handing_over("upload_pass @script; upload_tame_arrays on;");
    let form = [
        b"--b\r\nContent-Disposition: form-data; name=\"f[]\"; filename=\"C:\\\\x\\\\a.txt\"\r\n\
          Content-Type: text/plain\r\n\r\nhello world\r\n"
            .to_vec(),
        part("name=submit", b"Send"),
        part("name=secret", b"not for you"),
        part("name=g; filename=b", &noise(10_000)),
        b"--b--\r\n".to_vec(),
    ]
    .concat();
    let handed = send(&server, "POST", "/upload/?fine", &[FORM], &form);
    assert_eq!(handed.status, 200);
    let length = handed.body.len().to_string();
    assert_eq!(handed.header("X-Length"), Some(&*length));
    assert_eq!(
        handed.header("X-Type"),
        FORM.split_once(": ").map(|(_, value)| value)
    );
    let field = |name: &str| {
        let head = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        let (_, rest) = handed.text().split_once(&head)?;
        rest.split_once("\r\n--b").map(|(value, _)| value)
    };
    for (name, value) in [
        ("f.name", Some("a.txt")),
        ("f.content_type", Some("text/plain")),
        ("f.md5", Some("5eb63bbbe01eeed093cb22bb8f5acdc3")),
        ("f.rest", Some("11/1/0d4a1185")),
        ("submit", Some("Send")),
        ("secret", None),
        ("g.name", Some("b")),
    ] {
        assert_eq!(field(name), value, "{name}");
    }
    let path = field("f.path").unwrap();
    assert_eq!(fs::read(path).unwrap(), b"hello world");
    let number = path.rsplit('/').next().unwrap();
    assert!(number.len() == 10 && path.ends_with(&format!("/up/{}/{number}", &number[9..])));
    assert_eq!(fs::read(field("g.path").unwrap()).unwrap(), noise(10_000));
    // What the backend refuses goes, and so does what never reached it.
    let files = || walk(&server.path("html/up"));
    assert_eq!(files(), 2);
    assert_eq!(
        send(&server, "POST", "/upload/?fail", &[FORM], &form).status,
        500
    );
    let cut = send(
        &server,
        "POST",
        "/upload/",
        &[FORM],
        &form[..form.len() - 9],
    );
    assert_eq!(cut.status, 400);
    eventually("nothing more", || files() == 2);
    // Other requests go where the configuration says.
    assert_eq!(server.get("/upload/").status, 200);
    assert_eq!(send(&server, "POST", "/upload/", &[], b"x").status, 200);
}

/// How many files are below a folder.
fn walk(folder: &std::path::Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().flatten();
    let count = |entry: fs::DirEntry| match entry.path() {
        path if path.is_dir() => walk(&path),
        _ => 1,
    };
    entries.map(count).sum()
}

#[test]
fn what_is_handed_over_has_its_limits() {
    let form = [part("name=submit", &noise(900)), b"--b--\r\n".to_vec()].concat();
    let server =
        handing_over("upload_pass /script; upload_pass_args on; upload_max_output_body_len 500;");
    assert_eq!(
        send(&server, "POST", "/upload/", &[FORM], &form).status,
        413
    );
    let log = server.error_log();
    assert!(log.contains("\"upload_max_output_body_len\""), "{log}");
    let empty = send(&server, "POST", "/upload/?a=b", &[FORM], b"--b--\r\n");
    assert_eq!((empty.status, empty.header("X-Query")), (200, Some("a=b")));
    assert_eq!(empty.text(), "--b--\r\n");
}

#[test]
fn memory_does_not_grow_with_the_upload() {
    let server = storing("client_max_body_size 0; ");
    let worker = server.wait_for_workers(1)[0];
    let peak = || {
        let status = fs::read_to_string(format!("/proc/{worker}/status")).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    assert_eq!(
        send(&server, "PUT", "/up/a", &[], &noise(1_000_000)).status,
        201
    );
    let before = peak();
    let zeroes = vec![0; 1 << 20];
    let mut client = begin(&server, "PUT", "/up/b", &[], 64 << 20, b"");
    for _ in 0..64 {
        client.send(&zeroes);
    }
    assert_eq!(client.response().status, 201);
    assert!(
        peak() < before + 2048,
        "{before} KiB before, {} after",
        peak()
    );
}

#[test]
fn progress_is_told_by_any_worker() {
    let server = Site::main(
        "worker_processes 2;",
        "upload_progress uploads 1m;
         server {
            listen 127.0.0.1:%PORT%;
            root %PREFIX%/html;
            location /up/ { upload_store %PREFIX%/html/up; track_uploads uploads 1m; }
            location = /progress { report_uploads uploads; upload_progress_json_output; }
            location = /xml {
                report_uploads uploads;
                upload_progress_content_type text/xml;
                upload_progress_template uploading '<i>$uploadprogress_received/$uploadprogress_length</i>';
            }
            location = /script { report_uploads uploads; }
            location = /jsonp { report_uploads uploads; upload_progress_jsonp_output; }
         }",
    )
    .file("html/index.html", "")
    .start();
    let ask = |path: &str| server.get(path).text().to_owned();
    let starting = "{ \"state\" : \"starting\" }\r\n";
    assert_eq!(ask("/progress?X-Progress-ID=a"), starting);
    let mut client = begin(
        &server,
        "PUT",
        "/up/a?X-Progress-ID=a",
        &[],
        1000,
        &noise(400),
    );
    let uploading = "{ \"state\" : \"uploading\", \"received\" : 400, \"size\" : 1000 }\r\n";
    eventually("progress", || ask("/progress?X-Progress-ID=a") == uploading);
    // Several times, so that each worker is asked.
    for _ in 0..8 {
        assert_eq!(ask("/progress?X-Progress-ID=a"), uploading);
        assert_eq!(ask("/xml?X-Progress-ID=a"), "<i>400/1000</i>");
    }
    let call = ask("/jsonp?X-Progress-ID=a&callback=f");
    assert!(call.starts_with("f({ \"state\" : \"uploading\""), "{call}");
    assert!(ask("/jsonp?X-Progress-ID=a&callback=alert(1)").starts_with("({"));
    client.send(noise(600));
    assert_eq!(client.response().status, 201);
    eventually("the end", || {
        ask("/progress?X-Progress-ID=a") == "{ \"state\" : \"done\" }\r\n"
    });
    assert_eq!(ask("/progress"), starting);

    let mut client = server.connect();
    client.send(
        "PUT /up/b HTTP/1.1\r\nHost: x\r\nX-Progress-ID: b\r\nContent-Length: 9999999\r\n\r\n",
    );
    assert_eq!(client.response().status, 413);
    let error = "new Object({ 'state' : 'error', 'status' : 413 })\r\n";
    eventually("413", || ask("/script?X-Progress-ID=b") == error);
}
