//! WebDAV as clients know it: litmus and cadaver, and what neither of them asks.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::support::{Server, Site};

/// A server on which everything can be done, as a desktop expects it.
fn serve(settings: &str) -> Server {
    let http = format!(
        "dav_ext_lock_zone zone=locks:1m timeout=5m;
         server {{
            listen 127.0.0.1:%PORT%;
            root %PREFIX%/dav;
            client_body_temp_path %PREFIX%/temp;
            client_max_body_size 0;
            dav_methods PUT DELETE MKCOL COPY MOVE;
            dav_ext_methods PROPFIND PROPPATCH OPTIONS LOCK UNLOCK;
            dav_ext_lock zone=locks;
            dav_rfc4918 on;
            {settings}
        }}"
    );
    let server = Site::main("worker_processes 2;", &http)
        .file("dav/file", "content")
        .start();
    for folder in ["dav", "temp"] {
        let _ = fs::create_dir(server.path(folder));
        // The workers are not root.
        fs::set_permissions(server.path(folder), fs::Permissions::from_mode(0o777)).unwrap();
    }
    fs::set_permissions(server.path("dav/file"), fs::Permissions::from_mode(0o666)).unwrap();
    server
}

/// Whether a program is there; says so loudly if it is not.
fn is_installed(program: &str) -> bool {
    let found = Command::new("which").arg(program).output();
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("\n*** {program} is NOT INSTALLED: nothing was tested with it ***\n");
    }
    found
}

/// Whether the files of a site can have extended attributes, which dead properties need.
fn keeps_attributes(server: &Server) -> bool {
    let path = server.path("dav/file");
    let kept = rowhouse::sys::xattr::set(&path, c"user.rowhouse.probe", b"x").is_ok();
    if !kept {
        eprintln!("\n*** NO EXTENDED ATTRIBUTES here: dead properties were not tested ***\n");
    }
    kept
}

#[test]
fn litmus_passes() {
    if !is_installed("litmus") {
        return;
    }
    let server = serve("");
    let suites = match keeps_attributes(&server) {
        true => "basic copymove props locks http",
        false => "basic copymove locks http",
    };
    let run = Command::new("litmus")
        .args(["-k", &format!("http://localhost:{}/", server.port(0))])
        .env("TESTS", suites)
        .current_dir(server.path(""))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&run.stdout).into_owned();
    for suite in suites.split(' ') {
        assert!(told.contains(&format!("running `{suite}'")), "{told}");
    }
    let summaries = told.lines().filter(|line| line.starts_with("<- summary"));
    assert_eq!(summaries.count(), suites.split(' ').count());
    assert!(!told.contains("FAIL"), "{told}");
}

#[test]
fn cadaver_works() {
    if !is_installed("cadaver") {
        return;
    }
    let server = serve("");
    fs::write(server.path("local"), "from here").unwrap();
    let script = "mkcol folder\ncd folder\nput local there\ncopy there copy\nmove copy moved\n\
                  lock moved\nls\nunlock moved\ndelete there\nget moved back\ncd ..\nquit\n";
    fs::write(server.path("script"), script).unwrap();
    let run = Command::new("cadaver")
        .args([
            "-r",
            "script",
            &format!("http://localhost:{}/", server.port(0)),
        ])
        .env("HOME", server.path(""))
        .current_dir(server.path(""))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(!told.contains("failed"), "{told}\n{}", server.error_log());
    assert_eq!(server.read("back"), "from here");
    assert_eq!(server.read("dav/folder/moved"), "from here");
    assert!(!server.path("dav/folder/there").exists());
}

const LOCK: &str = "<lockinfo xmlns='DAV:'><lockscope><exclusive/></lockscope>\
    <locktype><write/></locktype><owner>me &amp; you</owner></lockinfo>";

/// Sends a request with a body and returns status, head and body.
#[track_caller]
fn send(server: &Server, head: &str, body: &str) -> crate::support::Response {
    let mut client = server.connect();
    let length = body.len();
    let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
    let headers: String = headers
        .lines()
        .map(|line| format!("{}\r\n", line.trim()))
        .collect();
    client.send(format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    ));
    client.response()
}

#[test]
fn options_tell_what_can_be_done() {
    let server = serve("location /unlocked { dav_ext_methods OPTIONS; dav_methods off; }");
    let response = server.request("OPTIONS", "/", &[]);
    assert_eq!(
        (response.status, response.header("DAV")),
        (200, Some("1, 2"))
    );
    let allowed =
        "GET, HEAD, PUT, DELETE, MKCOL, COPY, MOVE, OPTIONS, PROPFIND, PROPPATCH, LOCK, UNLOCK";
    assert_eq!(response.header("Allow"), Some(allowed));
    let response = server.request("OPTIONS", "/unlocked", &[]);
    assert_eq!(response.header("DAV"), Some("1"));
    assert_eq!(response.header("Allow"), Some("GET, HEAD, OPTIONS"));
}

#[test]
fn properties_are_shown() {
    let server = serve("default_type text/x;");
    server.write("dav/folder/a & b", "12345");
    let shown = send(&server, "PROPFIND /folder\nDepth: 1", "");
    assert_eq!(shown.status, 207);
    let kind = Some("application/xml; charset=utf-8");
    assert_eq!(shown.header("Content-Type"), kind);
    for part in [
        "<D:href>/folder/</D:href>",
        "<D:resourcetype><D:collection/></D:resourcetype>",
        "<D:href>/folder/a%20&amp;%20b</D:href>",
        "<D:displayname>a &amp; b</D:displayname>",
        "<D:getcontentlength>5</D:getcontentlength>",
        "<D:getcontenttype>text/x</D:getcontenttype>",
        "<D:lockdiscovery></D:lockdiscovery>",
    ] {
        assert!(shown.text().contains(part), "{part} in {}", shown.text());
    }
    let etag = server.get("/folder/a%20&%20b");
    let etag = etag.header("ETag").unwrap().replace('"', "&quot;");
    assert!(shown.text().contains(&etag), "{}", shown.text());

    let asked = "<propfind xmlns='DAV:'><prop><getetag/><x xmlns='y'/></prop></propfind>";
    let shown = send(&server, "PROPFIND /folder\nDepth: 0", asked);
    let missing = "<D:prop><getetag xmlns=\"DAV:\"/><x xmlns=\"y\"/></D:prop>\
                   <D:status>HTTP/1.1 404 Not Found</D:status>";
    assert!(shown.text().contains(missing), "{}", shown.text());

    // What a desktop shows of the disk; a file has no room.
    let asked = "<propfind xmlns='DAV:'><prop><quota-available-bytes/><quota-used-bytes/></prop></propfind>";
    for (path, status) in [("/folder/", "200 OK"), ("/file", "404 Not Found")] {
        let shown = send(&server, &format!("PROPFIND {path}\nDepth: 0"), asked);
        let quota = shown.text().rsplit_once("quota-used-bytes").unwrap().1;
        assert!(quota.contains(status), "{}", shown.text());
    }

    for (head, body, status) in [
        ("PROPFIND /none", "", 404),
        ("PROPFIND /file/", "", 404),
        ("PROPFIND /file\nDepth: 2", "", 400),
        ("PROPFIND /file", "<propfind", 400),
        ("PROPFIND /file", "<propfind/>", 400),
        ("PROPPATCH /file", "", 400),
        ("PROPPATCH /file", "<propfind xmlns='DAV:'/>", 400),
    ] {
        assert_eq!(send(&server, head, body).status, status, "{head} {body}");
    }
}

#[test]
fn large_folders_are_shown_whole() {
    let server = serve("");
    for number in 0..500 {
        server.write(&format!("dav/many/{}/{number}", number % 10), "");
    }
    let shown = send(&server, "PROPFIND /many/\nDepth: infinity", "");
    assert_eq!(shown.header("Transfer-Encoding"), Some("chunked"));
    assert_eq!(shown.text().matches("<D:response>").count(), 511);
    assert!(shown.text().ends_with("</D:multistatus>\n"));
}

#[test]
fn properties_are_stored_and_stay_with_the_file() {
    let server = serve("");
    if !keeps_attributes(&server) {
        return;
    }
    let set = |inner: &str| {
        let body = format!("<propertyupdate xmlns='DAV:'>{inner}</propertyupdate>");
        send(&server, "PROPPATCH /file", &body).text().to_owned()
    };
    let stored = set(
        "<set><prop><a xmlns='x'>1</a><b xmlns='x'>2</b></prop></set>\
                      <remove><prop><a xmlns='x'/></prop></remove>",
    );
    assert_eq!(stored.matches("200 OK").count(), 3, "{stored}");
    let refused = set("<set><prop><c xmlns='x'>3</c><getetag>4</getetag></prop></set>");
    assert!(refused.contains("424 Failed Dependency") && refused.contains("403 Forbidden"));

    assert_eq!(send(&server, "PUT /file", "new content").status, 204);
    for head in [
        "COPY /file\nDestination: /copy",
        "MOVE /file\nDestination: /moved",
    ] {
        assert_eq!(send(&server, head, "").status, 201);
    }
    for path in ["/copy", "/moved"] {
        let shown = send(&server, &format!("PROPFIND {path}"), "");
        let dead = "<b xmlns=\"x\">2</b></D:prop>";
        assert!(shown.text().contains(dead), "{}", shown.text());
    }
}

#[test]
fn locks_outlive_a_reload_and_are_known_to_all_workers() {
    let server = serve("");
    let locked = send(&server, "LOCK /file\nDepth: 0", LOCK);
    assert_eq!(locked.status, 200);
    let token = locked.header("Lock-Token").unwrap().to_owned();
    assert!(locked.text().contains("<D:owner>me &amp; you</D:owner>"));
    assert!(locked.text().contains("<D:timeout>Second-300</D:timeout>"));
    server.reload();
    assert_eq!(send(&server, "PUT /file", "x").status, 423);
    assert_eq!(send(&server, "LOCK /file", LOCK).status, 423);
    assert_eq!(send(&server, "DELETE /file", "").status, 423);
    assert_eq!(send(&server, "MOVE /file\nDestination: /x", "").status, 423);
    assert_eq!(server.read("dav/file"), "content");

    let known = format!("PUT /file\nIf: ({token})");
    assert_eq!(send(&server, &known, "x").status, 204);
    let wrong = format!("PUT /file\nIf: ({token} [\"wrong\"])");
    assert_eq!(send(&server, &wrong, "y").status, 412);
    assert_eq!(send(&server, "PUT /file\nIf: (", "y").status, 400);
    let refresh = format!("LOCK /file\nIf: ({token})");
    assert_eq!(send(&server, &refresh, "").status, 200);
    assert_eq!(send(&server, "LOCK /file", "").status, 400);

    for (head, status) in [
        ("UNLOCK /file".to_owned(), 400),
        ("UNLOCK /file\nLock-Token: <opaque:x>".to_owned(), 409),
        (format!("UNLOCK /other\nLock-Token: {token}"), 409),
        (format!("UNLOCK /file\nLock-Token: {token}"), 204),
        ("PUT /file".to_owned(), 204),
    ] {
        assert_eq!(send(&server, &head, "").status, status, "{head}");
    }
}

#[test]
fn a_deep_lock_guards_all_that_is_below() {
    let server = serve("");
    for head in ["MKCOL /folder", "MKCOL /folder/inner/"] {
        assert_eq!(send(&server, head, "").status, 201);
    }
    let locked = send(&server, "LOCK /folder/", LOCK);
    let token = locked.header("Lock-Token").unwrap().to_owned();
    assert_eq!(send(&server, "PUT /folder/inner/x", "x").status, 423);
    assert_eq!(send(&server, "MKCOL /folder/inner/y/", "").status, 423);
    assert_eq!(send(&server, "DELETE /folder/", "").status, 423);
    let known = format!("PUT /folder/inner/x\nIf: </folder/> ({token})");
    assert_eq!(send(&server, &known, "x").status, 201);
    let shown = send(&server, "PROPFIND /folder/inner/x", "");
    let root = "<D:lockroot><D:href>/folder/</D:href></D:lockroot>";
    assert!(shown.text().contains(root), "{}", shown.text());
    let known = format!("DELETE /folder\nIf: ({token})");
    assert_eq!(send(&server, &known, "").status, 204);
    assert_eq!(send(&server, "MKCOL /folder/", "").status, 201);

    let made = send(&server, "LOCK /folder/new", LOCK);
    assert_eq!(made.status, 201);
    assert_eq!(server.read("dav/folder/new"), "");
    assert_eq!(send(&server, "LOCK /none/new", LOCK).status, 409);
    assert_eq!(
        send(&server, "LOCK /file", "<lockinfo xmlns='DAV:'/>").status,
        400
    );
}

/// Runs `act` while nothing can be made in or removed from a folder.
fn while_frozen(server: &Server, folder: &str, act: impl FnOnce()) {
    let path = server.path(folder);
    let set = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    set(0o555);
    act();
    set(0o777);
}

#[test]
fn what_can_not_be_removed_is_told() {
    let server = serve("location /nginx/ { dav_rfc4918 off; }");
    for folder in ["tree", "nginx/tree"] {
        for name in ["gone/1", "stays/a & b", "stays/inner/3", "2"] {
            server.write(&format!("dav/{folder}/{name}"), name);
        }
        for inner in ["", "gone", "stays/inner"] {
            let path = server.path(&format!("dav/{folder}/{inner}"));
            fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
        }
    }
    let path = server.path("dav/nginx");
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    let locked = send(&server, "LOCK /tree/stays/inner", LOCK);
    let token = locked.header("Lock-Token").unwrap().to_owned();
    while_frozen(&server, "dav/tree/stays", || {
        let known = format!("DELETE /tree\nIf: </tree/stays/inner> ({token})");
        let told = send(&server, &known, "");
        assert_eq!(told.status, 207);
        for uri in ["/tree/stays/a%20&amp;%20b", "/tree/stays/inner"] {
            let part = format!("<D:href>{uri}</D:href><D:status>HTTP/1.1 403 Forbidden</D:status>");
            assert!(told.text().contains(&part), "{part} in {}", told.text());
        }
        assert_eq!(told.text().matches("<D:response>").count(), 2);
    });
    assert!(!server.path("dav/tree/gone").exists() && !server.path("dav/tree/2").exists());
    // What is still there is still locked.
    assert_eq!(send(&server, "DELETE /tree/stays/inner", "").status, 423);
    while_frozen(&server, "dav/nginx/tree/stays", || {
        assert_eq!(send(&server, "DELETE /nginx/tree/", "").status, 500);
    });
}

#[test]
fn what_can_not_be_copied_is_told() {
    let server = serve("location /nginx/ { dav_rfc4918 off; }");
    for path in ["tree/a/1", "tree/b/2", "nginx/tree/a/1"] {
        server.write(&format!("dav/{path}"), path);
    }
    for path in ["tree", "tree/a", "tree/b", "nginx", "nginx/tree/a"] {
        let path = server.path(&format!("dav/{path}"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let secret = server.path("dav/tree/a/1");
    // Root may read everything, but the workers are not root where the tests are.
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    let told = send(&server, "COPY /tree\nDestination: /copy", "");
    assert_eq!(told.status, 207);
    let part = "<D:href>/tree/a/1</D:href><D:status>HTTP/1.1 403 Forbidden</D:status>";
    assert!(told.text().contains(part), "{}", told.text());
    assert_eq!(server.read("dav/copy/b/2"), "tree/b/2");
    let single = send(&server, "COPY /tree/a/1\nDestination: /1", "");
    assert_eq!(single.status, 403);
    fs::set_permissions(
        server.path("dav/nginx/tree/a/1"),
        fs::Permissions::from_mode(0o000),
    )
    .unwrap();
    let silent = "COPY /nginx/tree/\nDestination: /nginx/copy/";
    assert_eq!(send(&server, silent, "").status, 201);
}

#[test]
fn what_desktops_send() {
    let server = serve("");
    let port = server.port(0);
    let options = server.request(
        "OPTIONS",
        "/",
        &["User-Agent: Microsoft-WebDAV-MiniRedir/10.0"],
    );
    assert_eq!(
        (options.status, options.header("MS-Author-Via")),
        (200, Some("DAV"))
    );
    // Windows asks for the source, never for what a program would make of it.
    let source = server.request("GET", "/file", &["Translate: f"]);
    assert_eq!((source.status, source.text()), (200, "content"));
    // macOS locks a name before there is a file, and sends it in chunks.
    let locked = send(&server, "LOCK /._new\nDepth: 0\nTimeout: Second-600", LOCK);
    assert_eq!(locked.status, 201);
    let token = locked.header("Lock-Token").unwrap().to_owned();
    let mut client = server.connect();
    client.send(format!(
        "PUT /._new HTTP/1.1\r\nHost: localhost\r\nX-Expected-Entity-Length: 5\r\n\
         If: <http://localhost:{port}/._new> ({token})\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nhello\r\n0\r\n\r\n"
    ));
    assert_eq!(client.response().status, 204);
    assert_eq!(server.read("dav/._new"), "hello");
    // One list that holds is enough, and a lock that is not there can be asked for.
    for (condition, status) in [
        (
            "(Not <DAV:no-lock> [\"wrong\"]) (Not <DAV:no-lock>)".to_owned(),
            423,
        ),
        (format!("(<DAV:no-lock>) ({token})"), 204),
        (format!("</file> (<DAV:no-lock>) </._new> ({token})"), 204),
        (format!("</file> ({token})"), 412),
    ] {
        let head = format!("PUT /._new\nIf: {condition}");
        assert_eq!(send(&server, &head, "x").status, status, "{condition}");
    }
    assert_eq!(
        send(&server, &format!("UNLOCK /._new\nLock-Token: {token}"), "").status,
        204
    );
    // The scheme is the one that the client uses in front of a proxy, the host in whatever case.
    for (to, status) in [
        (format!("https://localhost:{port}/moved"), 201),
        (format!("http://LocalHost:{port}/file"), 412),
        ("http://elsewhere/x".to_owned(), 400),
    ] {
        let path = if status == 201 { "/._new" } else { "/moved" };
        let head = format!("MOVE {path}\nDestination: {to}\nOverwrite: F");
        assert_eq!(send(&server, &head, "").status, status, "{to}");
    }
}

#[test]
fn where_nothing_can_be_locked() {
    let server = Site::http(
        "server { listen 127.0.0.1:%PORT%; root %PREFIX%; dav_ext_methods LOCK UNLOCK; }",
    )
    .start();
    assert_eq!(send(&server, "LOCK /x", LOCK).status, 405);
    assert_eq!(send(&server, "UNLOCK /x", "").status, 405);
}

#[test]
fn changes_may_be_conditional() {
    let server = serve("location /nginx/ { dav_rfc4918 off; }");
    assert_eq!(send(&server, "MKCOL /nginx/", "").status, 201);
    let etag = server.get("/file");
    let etag = etag.header("ETag").unwrap();
    for (head, status) in [
        ("PUT /file\nIf-None-Match: *".to_owned(), 412),
        ("PUT /file\nIf-Match: \"other\"".to_owned(), 412),
        (format!("DELETE /file\nIf-None-Match: {etag}"), 412),
        ("PUT /none\nIf-Match: *".to_owned(), 412),
        ("PUT /new\nIf-None-Match: *".to_owned(), 201),
        (format!("PUT /file\nIf-Match: {etag}"), 204),
        ("PUT /nginx/file".to_owned(), 201),
        ("PUT /nginx/file\nIf-None-Match: *".to_owned(), 204),
    ] {
        assert_eq!(send(&server, &head, "x").status, status, "{head}");
    }
}

#[test]
fn folders_need_no_slash_where_the_standard_counts() {
    let server = serve("");
    for (head, status) in [
        ("MKCOL /a", 201),
        ("PUT /a/x", 201),
        ("PUT /none/x", 409),
        ("COPY /a\nDestination: /b", 201),
        ("COPY /a\nDestination: /b/", 204),
        ("COPY /a\nDestination: /c\nDepth: 0", 201),
        ("COPY /a\nDestination: /a/inner", 403),
        ("COPY /file\nDestination: /none/x", 409),
        ("MOVE /a/x\nDestination: /c", 204),
        ("MOVE /b\nDestination: /c\nOverwrite: F", 412),
        ("MOVE /b\nDestination: /c", 204),
        ("DELETE /c", 204),
        ("DELETE /a", 204),
    ] {
        assert_eq!(send(&server, head, "").status, status, "{head}");
    }
    let left: Vec<_> = fs::read_dir(server.path("dav"))
        .unwrap()
        .flatten()
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
}
