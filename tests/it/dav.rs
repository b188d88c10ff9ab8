//! WebDAV: what nginx's module does, method by method.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use crate::support::{Client, Response, Server, Site};

/// A server that lets everything be done below `/`, in `dav/`.
fn serve(settings: &str) -> Server {
    let server = Site::http(&format!(
        "server {{
            listen 127.0.0.1:%PORT%;
            root %PREFIX%/dav;
            client_body_temp_path %PREFIX%/temp;
            client_max_body_size 2m;
            location / {{ dav_methods PUT DELETE MKCOL COPY MOVE; {settings} }}
        }}"
    ))
    .file("dav/file", "content")
    .start();
    for folder in ["dav", "temp"] {
        let _ = fs::create_dir(server.path(folder));
        // The workers are not root.
        fs::set_permissions(server.path(folder), fs::Permissions::from_mode(0o777)).unwrap();
    }
    server
}

/// Sends a request with a body.
#[track_caller]
fn send(server: &Server, method: &str, path: &str, headers: &[&str], body: &str) -> Response {
    let mut client = server.connect();
    client.send(format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{}Content-Length: {}\r\n\r\n{body}",
        headers
            .iter()
            .map(|line| format!("{line}\r\n"))
            .collect::<String>(),
        body.len()
    ));
    client.response_to(method)
}

#[track_caller]
fn put(server: &Server, path: &str, body: &str) -> u16 {
    send(server, "PUT", path, &[], body).status
}

/// Asserts the status of requests without a body: method, path and header lines.
#[track_caller]
fn assert_statuses(server: &Server, cases: &[(&str, &str, &[&str], u16)]) {
    for (method, path, headers, status) in cases {
        let response = server.request(method, path, headers);
        assert_eq!(
            response.status,
            *status,
            "{method} {path} {headers:?}\n{}",
            server.error_log()
        );
    }
}

#[track_caller]
fn assert_logged(server: &Server, messages: &[&str]) {
    let log = server.error_log();
    for message in messages {
        assert!(log.contains(message), "no {message:?} in\n{log}");
    }
}

#[test]
fn put_makes_and_replaces_files() {
    let server = serve("");
    let response = send(&server, "PUT", "/new%20file%3F", &[], "0123456789");
    assert_eq!(response.status, 201);
    let location = format!("http://localhost:{}/new%20file%3F", server.port(0));
    assert_eq!(response.header("Location"), Some(location.as_str()));
    assert_eq!(response.header("Content-Length"), Some("0"));
    assert_eq!(server.read("dav/new file?"), "0123456789");
    let mode = fs::metadata(server.path("dav/new file?")).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o600);

    let response = send(&server, "PUT", "/new%20file%3F", &[], "");
    assert_eq!(response.status, 204);
    assert_eq!(response.header("Location"), None);
    assert_eq!(server.read("dav/new file?"), "");

    let large = "0123456789abcdef".repeat(100_000);
    assert_eq!(put(&server, "/large", &large), 201);
    assert_eq!(server.read("dav/large"), large);
    let leftovers = fs::read_dir(server.path("temp")).unwrap().count();
    assert_eq!(leftovers, 0);
}

#[test]
fn put_takes_chunks_and_keeps_the_connection() {
    let server = serve("");
    let mut client = server.connect();
    for (name, status) in [("/chunks", 201), ("/chunks", 204)] {
        client.send(format!(
            "PUT {name} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        ));
        client
            .send("5\r\n01234\r\n")
            .send("5\r\n56789\r\n0\r\n\r\n");
        assert_eq!(client.response_to("PUT").status, status);
    }
    assert_eq!(client.get("/chunks").status, 200);
    assert_eq!(server.read("dav/chunks"), "0123456789");
}

#[test]
fn put_refuses() {
    let server = serve("");
    fs::create_dir(server.path("dav/folder")).unwrap();
    assert_eq!(put(&server, "/folder/", "x"), 409);
    assert_eq!(put(&server, "/folder", "x"), 409);
    assert_eq!(put(&server, "/none/file", "x"), 500);
    assert_eq!(put(&server, "/file/below", "x"), 500);
    assert_eq!(put(&server, "/large", &"x".repeat((2 << 20) + 1)), 413);
    let range = ["Content-Range: bytes 0-0/1"];
    assert_eq!(send(&server, "PUT", "/file", &range, "x").status, 501);
    assert_eq!(server.request("PUT", "/file", &[]).status, 500);
    assert_eq!(server.read("dav/file"), "content");
    assert_logged(
        &server,
        &[
            "cannot PUT to a collection",
            "/dav/folder\" could not be created (21: Is a directory)",
            "PUT with range is unsupported",
            "PUT request body must be in a file",
            "/dav/none/file\" failed (2: No such file or directory)",
        ],
    );
    let leftovers = fs::read_dir(server.path("temp")).unwrap().count();
    assert_eq!(leftovers, 0);
}

#[test]
fn half_a_file_is_never_seen() {
    let server = serve("");
    let mut client = server.connect();
    client.send("PUT /half HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n01234");
    client.finish();
    client.rest();
    assert_eq!(server.get("/half").status, 404);
    let leftovers = || fs::read_dir(server.path("temp")).unwrap().count() == 0;
    crate::support::eventually("an empty folder", leftovers);
}

#[test]
fn put_sets_time_permissions_and_folders() {
    let server = serve("create_full_put_path on; dav_access group:rw all:r;");
    let date = ["Date: Sun, 06 Nov 1994 08:49:37 GMT"];
    let response = send(&server, "PUT", "/a/b/c", &date, "x");
    assert_eq!(response.status, 201);
    let file = fs::metadata(server.path("dav/a/b/c")).unwrap();
    assert_eq!((file.mode() & 0o777, file.mtime()), (0o664, 784_111_777));
    let folder = fs::metadata(server.path("dav/a/b")).unwrap();
    assert_eq!(folder.mode() & 0o700, 0o700);
    let odd = ["Date: whenever"];
    assert_eq!(send(&server, "PUT", "/a/b/c", &odd, "y").status, 204);
    let file = fs::metadata(server.path("dav/a/b/c")).unwrap();
    assert!(file.mtime() > 784_111_777);
}

#[test]
fn mkcol_makes_one_folder() {
    let server = serve("");
    let response = server.request("MKCOL", "/folder/", &[]);
    assert_eq!(response.status, 201);
    let location = format!("http://localhost:{}/folder/", server.port(0));
    assert_eq!(response.header("Location"), Some(location.as_str()));
    let mode = fs::metadata(server.path("dav/folder")).unwrap().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert_statuses(
        &server,
        &[
            ("MKCOL", "/folder/", &[], 405),
            ("MKCOL", "/other", &[], 409),
            ("MKCOL", "/none/folder/", &[], 409),
            ("MKCOL", "/file/folder/", &[], 409),
        ],
    );
    assert_eq!(send(&server, "MKCOL", "/x/", &[], "body").status, 415);
    assert_logged(
        &server,
        &[
            "MKCOL can create a collection only",
            "MKCOL with body is unsupported",
            "mkdir() \"",
            "/dav/folder\" failed (17: File exists)",
        ],
    );
}

#[test]
fn delete_removes_files_and_folders() {
    let server = serve("");
    for path in ["dav/tree/a/b/c", "dav/tree/d", "dav/other/e"] {
        server.write(path, "x");
    }
    symlink("/nowhere", server.path("dav/other/dangling")).unwrap();
    for folder in ["tree", "tree/a", "tree/a/b", "other"] {
        let path = server.path(&format!("dav/{folder}"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    assert_statuses(
        &server,
        &[
            ("DELETE", "/tree", &[], 409),
            ("DELETE", "/tree/", &["Depth: 0"], 400),
            ("DELETE", "/tree/d", &["Depth: 1"], 400),
            ("DELETE", "/tree/d", &["Depth: x"], 400),
            ("DELETE", "/tree/d", &["Depth: 0"], 204),
            ("DELETE", "/tree/d", &[], 404),
            ("DELETE", "/file/", &[], 409),
            ("DELETE", "/tree/", &["Depth: infinity"], 204),
            ("DELETE", "/tree/", &[], 404),
            ("DELETE", "/file", &["Depth: infinity"], 204),
        ],
    );
    assert!(!server.path("dav/tree").exists());
    assert_eq!(send(&server, "DELETE", "/other/e", &[], "body").status, 415);
    assert_logged(
        &server,
        &[
            "/dav/tree\" failed (21: Is a directory)",
            "\"Depth\" header must be infinity",
            "\"Depth\" header must be 0 or infinity",
            "client sent invalid \"Depth\" header: \"x\"",
            "DELETE with body is unsupported",
            "lstat() \"",
        ],
    );
}

#[test]
fn shallow_paths_are_not_deleted() {
    let server = serve("min_delete_depth 2;");
    server.write("dav/a/b", "x");
    fs::set_permissions(server.path("dav/a"), fs::Permissions::from_mode(0o777)).unwrap();
    assert_statuses(
        &server,
        &[
            ("DELETE", "/file", &[], 409),
            ("DELETE", "/a/", &[], 409),
            ("DELETE", "/", &[], 409),
            ("DELETE", "/a/b", &[], 204),
        ],
    );
    assert_logged(
        &server,
        &[
            "insufficient URI depth:1 to DELETE",
            "insufficient URI depth:2 to DELETE",
        ],
    );
}

#[test]
fn files_are_copied_and_moved() {
    let server = serve("");
    fs::set_permissions(server.path("dav/file"), fs::Permissions::from_mode(0o644)).unwrap();
    let port = server.port(0);
    assert_statuses(
        &server,
        &[
            ("COPY", "/file", &["Destination: /copy"], 204),
            (
                "COPY",
                "/file",
                &["Destination: /copy", "Overwrite: F"],
                412,
            ),
            (
                "COPY",
                "/file",
                &["Destination: /copy", "Overwrite: t"],
                204,
            ),
            (
                "COPY",
                "/file",
                &["Destination: /copy", "Overwrite: x"],
                400,
            ),
            ("COPY", "/none", &["Destination: /x"], 404),
            ("COPY", "/file", &["Destination: /none/x"], 500),
            (
                "MOVE",
                "/copy",
                &[&format!(
                    "Destination: http://localhost:{port}/made/on/the%20way"
                )],
                204,
            ),
            ("COPY", "/copy", &["Destination: /x"], 404),
            ("MOVE", "/copy", &["Destination: /x"], 404),
            ("MOVE", "/file", &["Destination: /x", "Depth: 0"], 400),
            ("COPY", "/file", &["Destination: /x", "Depth: 1"], 400),
        ],
    );
    assert_eq!(server.read("dav/file"), "content");
    assert_eq!(server.read("dav/made/on/the way"), "content");
    let (from, to) = ("dav/file", "dav/made/on/the way");
    let [from, to] = [from, to].map(|path| fs::metadata(server.path(path)).unwrap());
    assert_eq!((from.mtime(), from.mode()), (to.mtime(), to.mode()));
}

#[test]
fn destinations_are_checked() {
    let server = serve("");
    fs::create_dir(server.path("dav/folder")).unwrap();
    assert_statuses(
        &server,
        &[
            ("COPY", "/file", &[], 400),
            ("COPY", "/file", &["Destination: "], 400),
            ("COPY", "/file", &["Destination: x"], 400),
            ("COPY", "/file", &["Destination: http://localhost"], 400),
            ("COPY", "/file", &["Destination: http://other/x"], 400),
            ("COPY", "/file", &["Destination: ftp://localhost/x"], 400),
            ("COPY", "/file", &["Destination: /../x"], 400),
            ("COPY", "/file", &["Destination: /a/%2e%2e/../x"], 400),
            ("COPY", "/file", &["Destination: /a/%2e%2e"], 400),
            ("COPY", "/file", &["Destination: /a%00"], 400),
            ("COPY", "/file", &["Destination: /folder/"], 409),
            ("COPY", "/file", &["Destination: /folder"], 409),
            ("COPY", "/folder/", &["Destination: /x"], 409),
            ("COPY", "/folder", &["Destination: /x"], 400),
            ("COPY", "/file", &["Destination: /file"], 403),
            ("COPY", "/file", &["Destination: //fil%65?x"], 403),
            ("MOVE", "/folder/", &["Destination: /folder/in/"], 403),
            ("MOVE", "/folder/", &["Destination: /"], 403),
            ("COPY", "/file", &["Destination: /file/below"], 404),
        ],
    );
    assert_eq!(
        send(&server, "COPY", "/file", &["Destination: /x"], "body").status,
        415
    );
    assert_logged(
        &server,
        &[
            "client sent no \"Destination\" header",
            "client sent invalid \"Destination\" header: \"x\"",
            "\"Destination\" URI \"http://other/x\" is handled by different repository than the source URI",
            "unsafe URI \"/../x\" was detected",
            "both URI \"/file\" and \"Destination\" URI \"/folder/\" should be either collections or non-collections",
            "both URI \"/file\" and \"Destination\" URI \"/file\" point to the same location",
            "\"/folder/\" could not be MOVEed to collection \"/folder/in/\"",
            "\"/file\" could not be COPYed to collection \"/folder\"",
            "\"/folder\" is collection",
            "COPY and MOVE with body are unsupported",
        ],
    );
}

#[test]
fn folders_are_copied_and_moved() {
    let server = serve("");
    for path in ["dav/tree/a/b", "dav/tree/c", "dav/other/old"] {
        server.write(path, path);
    }
    for folder in ["tree", "tree/a", "other"] {
        let path = server.path(&format!("dav/{folder}"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    assert_statuses(
        &server,
        &[
            ("COPY", "/tree/", &["Destination: /copy/"], 201),
            (
                "COPY",
                "/tree/",
                &["Destination: /other/", "Overwrite: F"],
                412,
            ),
            ("COPY", "/tree/", &["Destination: /other/"], 201),
            ("COPY", "/tree/", &["Destination: /file/"], 201),
            ("COPY", "/tree/", &["Destination: /none/x/"], 404),
            ("MOVE", "/tree/", &["Destination: /moved/"], 201),
            ("MOVE", "/tree/", &["Destination: /x/"], 404),
        ],
    );
    for root in ["copy", "other", "file", "moved"] {
        let read = |name: &str| server.read(&format!("dav/{root}/{name}"));
        assert_eq!((&*read("a/b"), &*read("c")), ("dav/tree/a/b", "dav/tree/c"));
    }
    assert!(!server.path("dav/other/old").exists());
    assert!(!server.path("dav/tree").exists());
}

#[test]
fn only_what_is_allowed_is_done() {
    let server = Site::http(
        "dav_methods PUT;
         server {
            listen 127.0.0.1:%PORT%;
            root %PREFIX%/dav;
            location /off { dav_methods off; }
            location /delete { dav_methods DELETE; }
            location /alias/ { alias %PREFIX%/dav/; dav_methods COPY; }
            location /page { dav_methods DELETE; error_page 409 /conflict; }
         }",
    )
    .file("dav/conflict", "our page")
    .file("dav/page/x", "")
    .start();
    fs::set_permissions(server.path("dav"), fs::Permissions::from_mode(0o777)).unwrap();
    for (path, status) in [
        ("/a", 201),
        ("/off", 405),
        ("/delete", 405),
        ("/alias/x", 405),
    ] {
        assert_eq!(put(&server, path, "x"), status, "{path}");
    }
    assert_statuses(
        &server,
        &[
            ("DELETE", "/a", &[], 405),
            ("DELETE", "/delete", &[], 404),
            ("COPY", "/alias/a", &["Destination: /alias/b"], 204),
            ("COPY", "/alias/a", &["Destination: /al"], 400),
        ],
    );
    assert_eq!(server.read("dav/b"), "x");
    let page = server.request("DELETE", "/page", &[]);
    assert_eq!((page.status, page.text()), (409, "our page"));
}

#[test]
fn a_client_may_wait_to_be_asked() {
    let server = serve("");
    let mut client: Client = server.connect();
    client.send("PUT /asked HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    assert_eq!(client.response_to("PUT").status, 100);
    client.send("abc");
    assert_eq!(client.response_to("PUT").status, 201);
    assert_eq!(server.read("dav/asked"), "abc");
}

#[test]
fn files_go_from_one_file_system_to_another() {
    let Ok(other) = tempfile::tempdir_in("/dev/shm") else {
        return;
    };
    let other_path = other.path().to_str().unwrap();
    fs::set_permissions(other.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let site = format!(
        "server {{
            listen 127.0.0.1:%PORT%;
            root %PREFIX%/dav;
            dav_methods PUT MOVE;
            client_body_temp_path {other_path};
        }}"
    );
    let server = Site::http(&site).file("dav/tree/a/b", "x").start();
    for folder in ["dav", "dav/tree", "dav/tree/a"] {
        fs::set_permissions(server.path(folder), fs::Permissions::from_mode(0o777)).unwrap();
    }
    let far = other.path().join("far");
    fs::create_dir(&far).unwrap();
    fs::set_permissions(&far, fs::Permissions::from_mode(0o777)).unwrap();
    symlink(&far, server.path("dav/far")).unwrap();

    let date = ["Date: Sun, 06 Nov 1994 08:49:37 GMT"];
    assert_eq!(send(&server, "PUT", "/new", &date, "0123").status, 201);
    assert_eq!(server.read("dav/new"), "0123");
    let known = fs::metadata(server.path("dav/new")).unwrap();
    assert_eq!((known.mtime(), known.mode() & 0o777), (784_111_777, 0o600));

    assert_statuses(
        &server,
        &[
            ("MOVE", "/new", &["Destination: /far/new"], 204),
            ("MOVE", "/tree/", &["Destination: /far/tree/"], 201),
        ],
    );
    assert_eq!(fs::read(far.join("new")).unwrap(), b"0123");
    assert_eq!(fs::read(far.join("tree/a/b")).unwrap(), b"x");
    assert!(!server.path("dav/new").exists() && !server.path("dav/tree").exists());
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 1);
}
