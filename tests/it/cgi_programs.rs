//! Real programs under CGI: git, two that show its repositories, PHP, Python, a shell, C.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::{Response, Server, Site, is_there};

/// Sends a body and takes the answer.
fn post(server: &Server, path: &str, headers: &[&str], body: &[u8]) -> Response {
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{lines}\r\n"
    );
    server.connect().send(head).send(body).response()
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn a_python_and_a_shell_script() {
    let python = "#!/usr/bin/env python3\nimport os, sys\n\
        sys.stdout.write('Content-Type: text/plain\\r\\n\\r\\n' + sys.stdin.read().upper() + os.environ['CONTENT_LENGTH'])\n";
    let shell =
        "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'; tr a-z A-Z; printf $CONTENT_LENGTH";
    let site = Site::http(
        "server { listen 127.0.0.1:%PORT%; root %PREFIX%/html; location / { cgi on; } }",
    )
    .file("html/x.py", python)
    .file("html/x.sh", shell);
    for name in ["x.py", "x.sh"] {
        let path = site.path(&format!("html/{name}"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let server = site.start();
    assert_eq!(post(&server, "/x.sh", &[], b"hello").text(), "HELLO5");
    if is_there("python3") {
        assert_eq!(post(&server, "/x.py", &[], b"hello").text(), "HELLO5");
    }
}

#[test]
fn a_program_of_one_file() {
    if !is_there("cc") {
        return;
    }
    let server = Site::http(
        "server { listen 127.0.0.1:%PORT%; root %PREFIX%/html; location / { cgi on; } }",
    )
    .file(
        "x.c",
        "#include <stdio.h>\nint main(void) { puts(\"Content-Type: text/plain\\n\\nstatic\"); return 0; }",
    )
    .file("html/empty", "")
    .start();
    let built = Command::new("cc")
        .args(["-static", "-o"])
        .args([server.path("html/x"), server.path("x.c")])
        .status();
    assert!(built.unwrap().success());
    assert_eq!(server.get("/x").text(), "static\n");
}

fn git(folder: &Path, arguments: &[&str]) {
    let settings = ["user.name=a", "user.email=a@b", "init.defaultBranch=main"];
    let output = Command::new("git")
        .current_dir(folder)
        .args(settings.iter().flat_map(|setting| ["-c", setting]))
        .args(arguments)
        .env("HOME", folder)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {told}");
}

/// A repository `repositories/git/x.git` with these files in its one commit, "first light".
fn repository(server: &Server, files: &[(&str, &[u8])]) {
    git(
        &server.path(""),
        &["init", "-q", "--bare", "repositories/git/x.git"],
    );
    for (name, content) in files {
        server.write(&format!("work/{name}"), content);
    }
    let work = server.path("work");
    git(&work, &["init", "-q"]);
    git(&work, &["add", "."]);
    git(&work, &["commit", "-qm", "first light"]);
}

#[test]
fn git_clones_and_pushes() {
    if !is_there("git") {
        return;
    }
    let output = Command::new("git").arg("--exec-path").output().unwrap();
    let folder = String::from_utf8(output.stdout).unwrap();
    let backend = format!("{}/git-http-backend", folder.trim());
    let noise = noise(20 << 20);
    for settings in ["", "cgi_request_buffering off;"] {
        let server = Site::main(
            "user root;",
            &format!(
                "server {{ listen 127.0.0.1:%PORT%; client_max_body_size 0;
                    client_body_temp_path %PREFIX%/body;
                    location /git {{
                        {settings}
                        cgi pass {backend};
                        cgi_set_var GIT_PROJECT_ROOT %PREFIX%/repositories;
                        cgi_set_var GIT_HTTP_EXPORT_ALL 1;
                        cgi_set_var PATH_INFO $uri;
                        cgi_set_var REMOTE_USER tester;
                    }}
                }}"
            ),
        )
        .file("work/README", "hello")
        .file("repositories/git/empty", "")
        .start();
        repository(&server, &[("README", b"hello"), ("noise", &noise)]);
        let url = format!("http://127.0.0.1:{}/git/x.git", server.port(0));
        // So long a pack goes in the chunked coding.
        let push = [
            "-c",
            "http.postBuffer=65536",
            "push",
            "-q",
            &url,
            "HEAD:main",
        ];
        git(&server.path("work"), &push);
        git(
            &server.path(""),
            &["clone", "-q", "-b", "main", &url, "cloned"],
        );
        git(
            &server.path("repositories/git/x.git"),
            &["fsck", "--strict"],
        );
        let cloned = fs::read(server.path("cloned/noise")).unwrap();
        assert!(cloned == noise, "{settings}");
        assert_eq!(server.read("cloned/README"), "hello");
        let log = server.access_log();
        let push = log
            .lines()
            .find(|line| line.contains("git-receive-pack HTTP"));
        assert!(push.is_some_and(|line| line.contains("\" 200 ")), "{log}");
    }
}

#[test]
fn gitweb_and_cgit_show_a_repository() {
    let programs = [
        ("/usr/share/gitweb", "gitweb.cgi"),
        ("/usr/lib/cgit", "cgit.cgi"),
    ];
    let paths = programs.map(|(folder, name)| format!("{folder}/{name}"));
    let there = paths.each_ref().map(|path| is_there(path));
    if !is_there("git") || there == [false, false] {
        return;
    }
    let server = Site::main(
        "user root;",
        "server { listen 127.0.0.1:%PORT%;
            location /gitweb.cgi {
                root /usr/share/gitweb;
                cgi on;
                cgi_set_var GITWEB_CONFIG %PREFIX%/gitweb.conf;
            }
            location /cgit.cgi {
                root /usr/lib/cgit;
                cgi on;
                cgi_set_var CGIT_CONFIG %PREFIX%/cgitrc;
            }
        }",
    )
    .file("repositories/git/empty", "")
    .start();
    let noise = noise(300_000);
    repository(&server, &[("README", b"hello\n"), ("noise", &noise)]);
    let bare = server.path("repositories/git/x.git");
    git(
        &server.path("work"),
        &["push", "-q", bare.to_str().unwrap(), "HEAD:main"],
    );
    let folder = server.path("repositories/git").display().to_string();
    server.write("gitweb.conf", format!("$projectroot = '{folder}';\n"));
    server.write("cgitrc", format!("cache-size=0\nscan-path={folder}\n"));
    let pages = [
        ("/gitweb.cgi", "x.git", "text/html"),
        ("/gitweb.cgi?p=x.git;a=log", "first light", "html"),
        ("/gitweb.cgi/x.git/tree", "README", "html"),
        (
            "/gitweb.cgi/x.git/blob_plain/main:/README",
            "hello\n",
            "text/plain",
        ),
        ("/cgit.cgi/", "x.git", "text/html"),
        ("/cgit.cgi/x.git/log/", "first light", "text/html"),
        ("/cgit.cgi/x.git/tree/", "README", "text/html"),
        ("/cgit.cgi/x.git/plain/README", "hello\n", "text/plain"),
    ];
    for (path, text, kind) in pages {
        if !there[usize::from(path.starts_with("/cgit"))] {
            continue;
        }
        let page = server.get(path);
        let shown = String::from_utf8_lossy(&page.body).into_owned();
        assert_eq!(page.status, 200, "{path}: {shown} {}", server.error_log());
        assert!(shown.contains(text), "{path}: {shown}");
        let given = page.header("Content-Type").unwrap_or_default();
        assert!(given.contains(kind), "{path}: {given}");
    }
    let files = [
        "/gitweb.cgi/x.git/blob_plain/main:/noise",
        "/cgit.cgi/x.git/plain/noise",
    ];
    for (path, there) in files.into_iter().zip(there) {
        assert!(!there || server.get(path).body == noise, "{path}");
    }
}

/// The notebook of `notes/`, a PHP application of several files.
fn notebook() -> Server {
    let server = Site::http(
        "server { listen 127.0.0.1:%PORT%;
            client_body_temp_path %PREFIX%/body;
            client_max_body_size 8m;
            root %PREFIX%/notes;
            location / { return 404; }
            location ~ ^/[^/]+\\.php(/|$) {
                cgi on;
                cgi_interpreter /usr/bin/php-cgi;
                cgi_set_var REDIRECT_STATUS 200;
                cgi_set_var PHPRC %PREFIX%;
            }
        }",
    )
    .file("notes/index.php", include_str!("notes/index.php"))
    .file(
        "notes/lib/session.php",
        include_str!("notes/lib/session.php"),
    )
    .file("notes/lib/notes.php", include_str!("notes/lib/notes.php"))
    .file("notes/lib/page.php", include_str!("notes/lib/page.php"))
    .file("notes/data/empty", "")
    .file("sessions/empty", "")
    .start();
    let sessions = server.path("sessions").display().to_string();
    let ini = format!(
        "session.save_path={sessions}\nupload_tmp_dir={sessions}\ndisplay_errors=0\nlog_errors=1\n"
    );
    server.write("php.ini", ini);
    for folder in ["sessions", "notes/data"] {
        fs::set_permissions(server.path(folder), fs::Permissions::from_mode(0o777)).unwrap();
    }
    server
}

#[test]
fn php_runs_an_application() {
    if !is_there("/usr/bin/php-cgi") {
        return;
    }
    let server = notebook();
    let form = "Content-Type: application/x-www-form-urlencoded";
    let refused = post(&server, "/index.php/notes", &[form], b"text=x");
    assert_eq!((refused.status, refused.text()), (403, "log in first\n"));
    let welcome = post(&server, "/index.php/login", &[form], b"name=J%C3%B6rg+%3C3");
    let home = "http://localhost/index.php/";
    assert_eq!(
        (welcome.status, welcome.header("Location")),
        (303, Some(home))
    );
    // The session begun and the one after the login: the last counts.
    let cookie = welcome.headers("Set-Cookie").last().unwrap();
    let cookie = format!("Cookie: {}", cookie.split(';').next().unwrap());
    for text in ["one%26two", "three"] {
        let text = format!("text={text}");
        let noted = post(
            &server,
            "/index.php/notes",
            &[form, &cookie],
            text.as_bytes(),
        );
        assert_eq!(noted.status, 303, "{}", server.error_log());
    }
    let page = server.request("GET", "/index.php/", &[&cookie]);
    assert_eq!(
        page.header("Content-Type"),
        Some("text/html; charset=UTF-8")
    );
    for part in [
        "Hello Jörg &lt;3",
        "<li>Jörg &lt;3: one&amp;two</li>",
        ": three</li>",
    ] {
        assert!(page.text().contains(part), "{}", page.text());
    }
    sends_a_file(&server, &cookie);
    assert_eq!(
        post(&server, "/index.php/logout", &[form, &cookie], b"").status,
        303
    );
    let page = server.request("GET", "/index.php", &[&cookie]);
    assert!(page.text().contains("Hello stranger"), "{}", page.text());
    assert_eq!(server.get("/index.php/other").status, 404);
    assert_eq!(server.get("/lib/notes.php").status, 404);
}

/// An upload, which PHP takes from the form and the application from PHP.
fn sends_a_file(server: &Server, cookie: &str) {
    let content = noise(1_500_000);
    let head = b"--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a b.bin\"\r\n\
        Content-Type: application/octet-stream\r\n\r\n";
    let body = [&head[..], &content, b"\r\n--XX--\r\n"].concat();
    let form = "Content-Type: multipart/form-data; boundary=XX";
    let sent = post(server, "/index.php/files", &[form, cookie], &body);
    let told = sent.text();
    assert!(
        told.starts_with("Jörg <3 a b.bin 1500000 "),
        "{told} {}",
        server.error_log()
    );
    assert!(fs::read(server.path("notes/data/a b.bin")).unwrap() == content);
}
