//! Which file answers, and how: locations, static files, redirects, error pages, listings.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::support::{Response, Server, Site, eventually};

/// A server with these directives, and a few files under `html/`.
fn serve(settings: &str) -> Server {
    site(settings).start()
}

fn site(settings: &str) -> Site {
    Site::http(&format!(
        "types {{ text/html html; text/plain txt; }}
         server {{
            listen 127.0.0.1:%PORT%;
            root %PREFIX%/html;
            {settings}
        }}"
    ))
    .file("html/index.html", "the index")
    .file("html/a.txt", "0123456789")
    .file("html/dir/b.txt", "b")
    .file("html/404.html", "our own page")
}

/// Asserts status and body for each path.
#[track_caller]
fn assert_answers(server: &Server, cases: &[(&str, u16, &str)]) {
    for (path, status, text) in cases {
        let response = server.get(path);
        let got = (response.status, response.text());
        assert_eq!(got, (*status, *text), "{path}");
    }
}

#[track_caller]
fn assert_statuses(server: &Server, cases: &[(&str, u16)]) {
    for (path, status) in cases {
        assert_eq!(server.get(path).status, *status, "{path}");
    }
}

#[test]
fn the_location_is_chosen_as_nginx_chooses_it() {
    let server = serve(
        "location = /exact { return 200 exact; }
         location / { return 200 root; }
         location /prefix {
            location /prefix/nested { return 200 nested; }
            location ~ \\.in$ { return 200 inner; }
            return 200 prefix;
         }
         location ^~ /static { return 200 static; }
         location ~ \\.php$ { return 200 php; }
         location ~* \\.(gif|jpg)$ { return 200 image:$1; }
         location ~ ^/user/(?<name>\\w+)$ { return 200 user:$name; }
         location /jump { error_page 418 = @named; return 418; }
         location @named { return 200 named:$uri; }",
    );
    assert_answers(
        &server,
        &[
            ("/exact", 200, "exact"),
            ("/exact?with=arguments", 200, "exact"),
            ("/exact/", 200, "root"),
            ("/other", 200, "root"),
            ("/prefixed", 200, "prefix"),
            ("/prefix/nested/x", 200, "nested"),
            ("/prefix/x.in", 200, "inner"),
            ("/prefix/x.php", 200, "php"),
            ("/x.in", 200, "root"),
            ("/static/x.php", 200, "static"),
            ("/x.php", 200, "php"),
            ("/x.PHP", 200, "root"),
            ("/x.GIF", 200, "image:GIF"),
            ("/user/joe", 200, "user:joe"),
            ("/jump/up", 200, "named:/jump/up"),
        ],
    );
}

#[test]
fn files_directories_and_what_is_not_there() {
    let server = serve("location /bare/ { root %PREFIX%/nowhere; }");
    assert_answers(
        &server,
        &[
            ("/", 200, "the index"),
            ("/a.txt", 200, "0123456789"),
            ("/dir/b.txt", 200, "b"),
        ],
    );
    assert_statuses(
        &server,
        &[
            ("/missing", 404),
            ("/missing/", 404),
            ("/a.txt/", 404),
            ("/a.txt/below", 404),
            ("/dir/", 403),
            ("/bare/x", 404),
        ],
    );
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(
            server.request(method, "/a.txt", &[]).status,
            405,
            "{method}"
        );
    }
}

#[test]
fn a_directory_without_its_slash_is_redirected() {
    let server = serve("location /short { absolute_redirect off; root %PREFIX%/html; }");
    server.write("html/short/x", "");
    let port = server.port(0);
    let redirect = server.get("/dir?a=b");
    assert_eq!(redirect.status, 301);
    let expected = format!("http://localhost:{port}/dir/?a=b");
    assert_eq!(redirect.header("Location"), Some(&*expected));
    assert_eq!(server.get("/short").header("Location"), Some("/short/"));

    let server = serve("server_name a.example; server_name_in_redirect on; port_in_redirect off;");
    assert_eq!(
        server.get("/dir").header("Location"),
        Some("http://a.example/dir/")
    );
}

#[test]
fn an_alias_replaces_the_location() {
    let server = serve(
        "location /other/ { alias %PREFIX%/html/dir/; }
         location = /one { alias %PREFIX%/html/a.txt; }
         location ~ ^/by/(\\w+)/(.*)$ { alias %PREFIX%/html/$1/$2; }",
    );
    assert_answers(
        &server,
        &[
            ("/other/b.txt", 200, "b"),
            ("/one", 200, "0123456789"),
            ("/by/dir/b.txt", 200, "b"),
        ],
    );
    assert_statuses(&server, &[("/other/a.txt", 404), ("/by/dir/c.txt", 404)]);
}

#[test]
fn an_index_is_looked_up_again() {
    let server = serve(
        "location /dir/ { index no.html b.txt; }
         location = /dir/b.txt { return 200 again; }
         location /far/ { index index.$arg_kind /a.txt; }",
    );
    server.write("html/far/index.x", "x");
    assert_answers(
        &server,
        &[
            ("/dir/", 200, "again"),
            ("/far/?kind=x", 200, "x"),
            ("/far/?kind=y", 200, "0123456789"),
        ],
    );
}

#[test]
fn types_go_by_extension() {
    let server = serve(
        "default_type application/x-unknown;
         location /own/ {
            types { text/x-own own OWN2; }
            default_type text/x-default;
         }
         location /none/ { types {} }",
    );
    for (path, content_type) in [
        ("a.html", "text/html"),
        ("a.HTML", "text/html"),
        ("a.b.txt", "text/plain"),
        ("a", "application/x-unknown"),
        ("html", "application/x-unknown"),
        ("own/a.own", "text/x-own"),
        ("own/a.own2", "text/x-own"),
        ("own/a.html", "text/x-default"),
        ("none/a.html", "application/x-unknown"),
    ] {
        server.write(&format!("html/{path}"), "x");
        let response = server.get(&format!("/{path}"));
        assert_eq!(
            response.header("Content-Type"),
            Some(content_type),
            "{path}"
        );
    }
}

#[test]
fn bodies_of_every_size_arrive_whole() {
    let pattern: Vec<u8> = (0..(10_usize << 20))
        .map(|at| (at * at / 251) as u8)
        .collect();
    let sizes = [
        0,
        1,
        1000,
        4096,
        16_383,
        16_384,
        16_385,
        65_537,
        1 << 20,
        pattern.len(),
    ];
    for settings in [
        "sendfile off;",
        "sendfile on;",
        "sendfile on; tcp_nopush on; sendfile_max_chunk 16k;",
        "sendfile on; sendfile_min_size 0; sendfile_max_chunk 16k;",
        "sendfile off; output_buffers 2 4k;",
        "sendfile on; open_file_cache max=100;",
    ] {
        let server = serve(settings);
        for size in sizes {
            server.write(&format!("html/{size}"), &pattern[..size]);
        }
        let mut client = server.connect();
        for size in sizes {
            let response = client.get(&format!("/{size}"));
            assert!(response.body == pattern[..size], "{settings} {size}");
        }
    }
}

#[test]
fn a_range_is_a_part() {
    let server = serve("");
    for (range, part, text) in [
        ("0-0", "bytes 0-0/10", "0"),
        ("2-4", "bytes 2-4/10", "234"),
        ("7-", "bytes 7-9/10", "789"),
        ("7-99", "bytes 7-9/10", "789"),
        ("-3", "bytes 7-9/10", "789"),
        ("-99", "bytes 0-9/10", "0123456789"),
        ("2-2,99-", "bytes 2-2/10", "2"),
    ] {
        let response = server.request("GET", "/a.txt", &[&format!("Range: bytes={range}")]);
        assert_eq!(response.status, 206, "{range}");
        assert_eq!(response.header("Content-Range"), Some(part), "{range}");
        assert_eq!(response.text(), text, "{range}");
    }
    for range in [
        "bytes=10-",
        "bytes=99-100",
        "bytes=-0",
        "bytes=5-4",
        "bytes=x",
    ] {
        let response = server.request("GET", "/a.txt", &[&format!("Range: {range}")]);
        assert_eq!(response.status, 416, "{range}");
        assert_eq!(
            response.header("Content-Range"),
            Some("bytes */10"),
            "{range}"
        );
    }
    for range in ["lines=1-2", "bytes 1-2"] {
        let response = server.request("GET", "/a.txt", &[&format!("Range: {range}")]);
        assert_eq!(
            (response.status, response.text()),
            (200, "0123456789"),
            "{range}"
        );
    }
    assert_eq!(server.get("/a.txt").header("Accept-Ranges"), Some("bytes"));
}

#[test]
fn several_ranges_come_in_parts() {
    let server = serve(
        "location /one/ { alias %PREFIX%/html/; max_ranges 1; } location /none/ { alias %PREFIX%/html/; max_ranges 0; }",
    );
    let ask = |path: &str| server.request("GET", path, &["Range: bytes=0-1,-2"]);
    let response = ask("/a.txt");
    assert_eq!(response.status, 206);
    let kind = response.header("Content-Type").unwrap();
    let boundary = kind
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap();
    let expected = format!(
        "\r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01\
         \r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 8-9/10\r\n\r\n89\
         \r\n--{boundary}--\r\n"
    );
    assert_eq!(response.text(), expected);
    assert_eq!(ask("/one/a.txt").text(), "0123456789");
    assert_eq!(ask("/none/a.txt").text(), "0123456789");
    assert_eq!(ask("/none/a.txt").header("Accept-Ranges"), None);
}

/// Makes header lines from a file's `ETag` and `Last-Modified`.
type Condition = fn(&str, &str) -> String;

/// Asks for a file with header lines made from its validators.
fn conditional(server: &Server, path: &str, line: impl Fn(&str, &str) -> String) -> Response {
    let first = server.get(path);
    let etag = first.header("ETag").unwrap_or_default();
    let modified = first.header("Last-Modified").unwrap_or_default();
    let lines = line(etag, modified);
    let lines: Vec<&str> = lines.split('\n').collect();
    server.request("GET", path, &lines)
}

const LONG_AGO: &str = "Mon, 01 Jan 1990 00:00:00 GMT";

#[test]
fn what_the_client_has_is_not_sent_again() {
    let server = serve("");
    let cases: [(Condition, u16); 14] = [
        (|etag, _| format!("If-None-Match: {etag}"), 304),
        (|etag, _| format!("If-None-Match: \"x\", W/{etag}"), 304),
        (|_, _| "If-None-Match: *".into(), 304),
        (|_, _| "If-None-Match: \"x\"".into(), 200),
        (|_, modified| format!("If-Modified-Since: {modified}"), 304),
        (|_, _| format!("If-Modified-Since: {LONG_AGO}"), 200),
        (|_, _| "If-Modified-Since: nonsense".into(), 200),
        (
            |_, modified| format!("If-None-Match: \"x\"\nIf-Modified-Since: {modified}"),
            200,
        ),
        (|etag, _| format!("If-Match: {etag}"), 200),
        (|_, _| "If-Match: *".into(), 200),
        (|_, _| "If-Match: \"x\"".into(), 412),
        (|etag, _| format!("If-Match: W/{etag}"), 412),
        (
            |_, modified| format!("If-Unmodified-Since: {modified}"),
            200,
        ),
        (|_, _| format!("If-Unmodified-Since: {LONG_AGO}"), 412),
    ];
    for (at, (line, status)) in cases.into_iter().enumerate() {
        let response = conditional(&server, "/a.txt", line);
        assert_eq!(response.status, status, "case {at}");
        if status == 304 {
            assert!(
                response.header("ETag").is_some() && response.header("Content-Length").is_none()
            );
        }
    }
}

#[test]
fn a_range_of_another_version_is_the_whole() {
    let server = serve("");
    let cases: [(Condition, u16); 5] = [
        (|etag, _| format!("If-Range: {etag}"), 206),
        (|_, modified| format!("If-Range: {modified}"), 206),
        (|_, _| "If-Range: \"x\"".into(), 200),
        (|etag, _| format!("If-Range: W/{etag}"), 200),
        (|_, _| format!("If-Range: {LONG_AGO}"), 200),
    ];
    for (at, (line, status)) in cases.into_iter().enumerate() {
        let with_range = |etag: &str, modified: &str| line(etag, modified) + "\nRange: bytes=1-2";
        assert_eq!(
            conditional(&server, "/a.txt", with_range).status,
            status,
            "case {at}"
        );
    }
}

#[test]
fn validators_may_be_switched_off() {
    let server = serve("etag off; if_modified_since off;");
    let response = server.get("/a.txt");
    assert_eq!(response.header("ETag"), None);
    let modified = response.header("Last-Modified").unwrap().to_owned();
    let line = format!("If-Modified-Since: {modified}");
    assert_eq!(server.request("GET", "/a.txt", &[&line]).status, 200);

    let server = serve("if_modified_since before;");
    let tomorrow = "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT";
    assert_eq!(server.request("GET", "/a.txt", &[tomorrow]).status, 304);
}

#[test]
fn a_cached_file_that_changed_is_noticed() {
    let server = serve(
        "open_file_cache max=10;
         open_file_cache_valid 1s;
         open_file_cache_min_uses 1;
         open_file_cache_errors on;",
    );
    assert_eq!(server.get("/a.txt").text(), "0123456789");
    assert_eq!(server.get("/late.txt").status, 404);
    server.write("html/a.new", "changed");
    fs::rename(server.path("html/a.new"), server.path("html/a.txt")).unwrap();
    server.write("html/late.txt", "here");
    eventually("the change", || server.get("/a.txt").text() == "changed");
    eventually("the new file", || server.get("/late.txt").text() == "here");
    fs::remove_file(server.path("html/a.txt")).unwrap();
    eventually("the loss", || server.get("/a.txt").status == 404);
}

#[test]
fn headers_are_added() {
    let server = serve(
        "add_header X-A \"$uri\";
         location /always/ { add_header X-B b always; }
         location /hour/ { expires 1h; }
         location /past/ { expires -1; }
         location /epoch/ { expires epoch; }
         location /max/ { expires max; }",
    );
    for folder in ["always", "hour", "past", "epoch", "max"] {
        server.write(&format!("html/{folder}/x"), "x");
    }
    assert_eq!(server.get("/a.txt").header("X-A"), Some("/a.txt"));
    assert_eq!(
        server.get("/missing").header("X-A"),
        None,
        "not with errors"
    );
    assert_eq!(server.get("/always/missing").header("X-B"), Some("b"));
    assert_eq!(server.get("/always/x").header("X-A"), None, "replaced");
    for (folder, control) in [
        ("hour", "max-age=3600"),
        ("past", "no-cache"),
        ("epoch", "no-cache"),
        ("max", "max-age=315360000"),
    ] {
        let response = server.get(&format!("/{folder}/x"));
        assert_eq!(response.header("Cache-Control"), Some(control), "{folder}");
        assert!(response.header("Expires").unwrap().ends_with(" GMT"));
    }
}

#[test]
fn an_internal_location_is_not_for_clients() {
    let server = serve(
        "error_page 404 = /inner/page;
         location /inner/ { internal; return 200 inside; }
         location /outer { error_page 418 =200 /inner/x; return 418; }",
    );
    assert_answers(
        &server,
        &[("/outer", 200, "inside"), ("/missing", 200, "inside")],
    );
    let server = serve("location /inner/ { internal; return 200 inside; }");
    assert_statuses(&server, &[("/inner/", 404)]);
}

#[test]
fn try_files_takes_the_first_there_is() {
    let server = serve(
        "location / { try_files $uri $uri/ /fallback; }
         location = /fallback { return 200 \"for $request_uri\"; }
         location /status/ { try_files $uri =410; }
         location /named/ { try_files $uri @name; }
         location @name { return 200 \"named $uri\"; }
         location /other/ { try_files /a.txt =404; }",
    );
    assert_answers(
        &server,
        &[
            ("/a.txt", 200, "0123456789"),
            ("/", 200, "the index"),
            ("/missing?x", 200, "for /missing?x"),
            ("/named/x", 200, "named /named/x"),
            ("/other/x", 200, "0123456789"),
        ],
    );
    assert_statuses(&server, &[("/dir/", 403), ("/status/x", 410)]);
}

#[test]
fn errors_have_pages() {
    let server = serve(
        "error_page 404 /404.html;
         location /keep { return 404; }
         location /as { error_page 404 =200 /404.html; return 404; }
         location /from { error_page 404 = /made; return 404; }
         location /made { return 203 made; }
         location /away { error_page 404 http://a.example/; return 404; }
         location /moved { error_page 404 =301 http://a.example/; return 404; }
         location /called { error_page 404 @called; return 404; }
         location @called { return 200 \"$status\"; }
         location /none { error_page 404 /nowhere; return 404; }
         location /empty { error_page 404 =204 /made; return 404; }
         location /status { error_page 404 = /asked; return 404; }
         location /asked { return 202 \"$status\"; }
         location /kept { error_page 404 /asked; return 404; }
         location /builtin { return 410; }",
    );
    assert_answers(
        &server,
        &[
            ("/missing", 404, "our own page"),
            ("/keep", 404, "our own page"),
            ("/as", 200, "our own page"),
            ("/from", 203, "made"),
            ("/status", 202, "202"),
            ("/kept", 404, "404"),
        ],
    );
    let empty = server.get("/empty");
    assert_eq!((empty.status, empty.header("Content-Type")), (204, None));
    for (path, status) in [("/away", 302), ("/moved", 301)] {
        let response = server.get(path);
        assert_eq!(response.status, status);
        assert_eq!(response.header("Location"), Some("http://a.example/"));
    }
    assert_statuses(&server, &[("/none", 404), ("/called", 404)]);
    let builtin = server.get("/builtin");
    assert_eq!(builtin.status, 410);
    assert!(builtin.text().contains("<title>410 Gone</title>"));
    let posted = server.request("POST", "/keep", &["Content-Length: 0"]);
    assert_eq!(
        (posted.status, posted.text()),
        (404, "our own page"),
        "asked for with GET"
    );
}

#[test]
fn return_answers_at_once() {
    let server = serve(
        "default_type text/plain;
         location /empty { return 204; }
         location /text { return 200 \"$request_method of $uri\"; }
         location /error { return 404 \"not here\"; }
         location /found { return http://a.example$uri; }
         location /moved { return 301 /elsewhere; }
         location /other { return 307 https://a.example/; }
         location /silent { return 444; }",
    );
    assert_answers(
        &server,
        &[
            ("/empty", 204, ""),
            ("/text", 200, "GET of /text"),
            ("/error", 404, "not here"),
        ],
    );
    assert_eq!(
        server.get("/text").header("Content-Type"),
        Some("text/plain")
    );
    let port = server.port(0);
    for (path, status, location) in [
        ("/found", 302, "http://a.example/found"),
        (
            "/moved",
            301,
            &*format!("http://localhost:{port}/elsewhere"),
        ),
        ("/other", 307, "https://a.example/"),
    ] {
        let response = server.get(path);
        assert_eq!(response.status, status, "{path}");
        assert_eq!(response.header("Location"), Some(location), "{path}");
    }
    assert_eq!(
        server.exchange("GET /silent HTTP/1.1\r\nHost: a\r\n\r\n"),
        ""
    );
}

#[test]
fn folders_are_listed() {
    let server = serve(
        "location / { autoindex on; }
         location /json/ { alias %PREFIX%/html/list/; autoindex on; autoindex_format json; }
         location /xml/ { alias %PREFIX%/html/list/; autoindex on; autoindex_format xml; }
         location /jsonp/ { alias %PREFIX%/html/list/; autoindex on; autoindex_format jsonp; }",
    );
    server.write("html/list/a b&<.txt", "12345");
    server.write("html/list/sub/x", "");
    server.write("html/list/.hidden", "");
    let html = server.get("/list/");
    assert_eq!(html.header("Content-Type"), Some("text/html"));
    for piece in [
        "href=\"a%20b",
        "a b&amp;&lt;.txt",
        "href=\"sub/\"",
        "href=\"../\"",
    ] {
        assert!(html.text().contains(piece), "{piece} in {}", html.text());
    }
    assert!(!html.text().contains(".hidden"));
    let json = server.get("/json/");
    assert_eq!(json.header("Content-Type"), Some("application/json"));
    for piece in [
        "{ \"name\":\"sub\", \"type\":\"directory\", \"mtime\":\"",
        "{ \"name\":\"a b&<.txt\", \"type\":\"file\", \"mtime\":\"",
        "\"size\":5 }",
    ] {
        assert!(json.text().contains(piece), "{piece} in {}", json.text());
    }
    assert!(
        server
            .get("/xml/")
            .text()
            .contains("size=\"5\">a b&amp;&lt;.txt</file>")
    );
    let jsonp = server.get("/jsonp/?callback=f");
    assert!(jsonp.text().contains("f(["), "{}", jsonp.text());
}

#[test]
fn symbolic_links_may_be_refused() {
    let server = serve(
        "location /on/ { disable_symlinks on; alias %PREFIX%/html/; }
         location /owner/ { disable_symlinks if_not_owner; alias %PREFIX%/html/; }
         location /from/ { disable_symlinks on from=%PREFIX%/html/way; alias %PREFIX%/html/way/; }",
    );
    symlink(server.path("html/a.txt"), server.path("html/link.txt")).unwrap();
    symlink(server.path("html/dir"), server.path("html/way")).unwrap();
    assert_statuses(
        &server,
        &[
            ("/link.txt", 200),
            ("/on/a.txt", 200),
            ("/on/link.txt", 403),
            ("/on/way/b.txt", 404),
            ("/owner/link.txt", 200),
            ("/from/b.txt", 200),
        ],
    );
}

#[test]
fn paths_are_decoded_and_made_plain_first() {
    let server = serve("");
    server.write("html/sp ace/\u{fc}.txt", "u");
    server.write("html/q?x", "q");
    server.write("html/per%cent", "p");
    assert_answers(
        &server,
        &[
            ("/%61.txt", 200, "0123456789"),
            ("//a.txt", 200, "0123456789"),
            ("/dir//b.txt", 200, "b"),
            ("/dir/../a.txt", 200, "0123456789"),
            ("/dir/%2e%2e/a.txt", 200, "0123456789"),
            ("/./dir/./b.txt", 200, "b"),
            ("/dir%2Fb.txt", 200, "b"),
            ("/sp%20ace/%C3%BC.txt", 200, "u"),
            ("/q%3Fx", 200, "q"),
            ("/per%25cent", 200, "p"),
            ("/a.txt?../../x", 200, "0123456789"),
            ("/a.txt#part", 200, "0123456789"),
        ],
    );
    for path in [
        "/../a.txt",
        "/dir/../../a.txt",
        "/%2e%2e/a.txt",
        "/..",
        "/a%00.txt",
        "/%zz",
        "/%4",
    ] {
        assert_eq!(server.get(path).status, 400, "{path}");
    }
    let server = serve("merge_slashes off; location /dir//b { return 200 double; }");
    assert_answers(
        &server,
        &[("/dir//b", 200, "double"), ("/dir/b.txt", 200, "b")],
    );
}

#[test]
fn what_may_not_be_read_is_forbidden() {
    let server = serve("");
    server.write("html/secret", "x");
    fs::set_permissions(
        server.path("html/secret"),
        fs::Permissions::from_mode(0o000),
    )
    .unwrap();
    server.write("html/closed/x", "x");
    fs::set_permissions(
        server.path("html/closed"),
        fs::Permissions::from_mode(0o000),
    )
    .unwrap();
    assert_statuses(
        &server,
        &[("/secret", 403), ("/closed/x", 403), ("/closed/", 403)],
    );
    fs::set_permissions(
        server.path("html/closed"),
        fs::Permissions::from_mode(0o700),
    )
    .unwrap();
    let log = server.error_log();
    assert!(
        log.contains("/html/secret\" failed (13: Permission denied)"),
        "{log}"
    );
}

#[test]
fn other_methods_get_other_settings() {
    let server = serve(
        "location / { access_log logs/here.log; limit_except GET { access_log logs/except.log; } }",
    );
    server.write("html/a", "a");
    assert_eq!(server.get("/a").status, 200);
    assert_eq!(server.request("HEAD", "/a", &[]).status, 200);
    assert_eq!(server.request("DELETE", "/a", &[]).status, 405);
    eventually("both logs are written", || {
        server.read("logs/here.log").lines().count() == 2
            && server.read("logs/except.log").contains("DELETE /a")
    });
}

#[test]
fn listings_round_sizes_and_tell_local_time() {
    let server =
        serve("location / { autoindex on; autoindex_exact_size off; autoindex_localtime on; }");
    server.write("html/sizes/big", vec![0; 10 * 1024]);
    let listing = server.get("/sizes/");
    assert!(listing.text().contains("10K"), "{}", listing.text());
}

#[test]
fn a_charset_goes_to_the_types_that_have_one() {
    let server = serve(
        "charset utf-8; types { text/css css; text/html html; image/png png; }
         location / { }
         location /css/ { charset_types text/css; alias %PREFIX%/html/; }",
    );
    for name in ["a.html", "a.css", "a.png"] {
        server.write(&format!("html/{name}"), "x");
    }
    for (path, expected) in [
        ("/a.html", "text/html; charset=utf-8"),
        ("/a.css", "text/css"),
        ("/a.png", "image/png"),
        ("/css/a.css", "text/css; charset=utf-8"),
        ("/css/a.html", "text/html; charset=utf-8"),
    ] {
        assert_eq!(
            server.get(path).header("Content-Type"),
            Some(expected),
            "{path}"
        );
    }
}

#[test]
fn trailers_are_inherited_as_told() {
    let server = serve(
        "add_trailer X-A a;
         location / { add_trailer X-B b; }
         location /merge { add_trailer_inherit merge; add_trailer X-B b; return 200 ok; }",
    );
    let merged = server.exchange("GET /merge HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(
        merged.ends_with("0\r\nX-B: b\r\nX-A: a\r\n\r\n"),
        "{merged}"
    );
}
#[test]
fn methods_may_be_limited() {
    let server = serve("location / { limit_except GET { deny all; } }");
    for (method, status) in [("GET", 200), ("HEAD", 200), ("POST", 403), ("DELETE", 403)] {
        assert_eq!(
            server.request(method, "/a.txt", &[]).status,
            status,
            "{method}"
        );
    }
}

#[test]
fn a_part_of_a_recoded_file_is_served() {
    let site = Site::http(
        "charset_map B A { 58 59; }
         server { listen 127.0.0.1:%PORT%; location / { charset A; source_charset B; types { text/html html; } } }",
    );
    let server = site.file("html/a.html", "aXbXc").start();
    let part = server.request("GET", "/a.html", &["Range: bytes=1-3"]);
    assert_eq!((part.status, part.text()), (206, "YbY"));
    assert_eq!(part.header("Content-Range"), Some("bytes 1-3/5"));
    let both = server.request("GET", "/a.html", &["Range: bytes=0-0,2-2"]);
    assert_eq!((both.status, both.text()), (200, "aYbYc"));
}
