//! The configuration and the command line: what is checked, and how mistakes are told.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use crate::support::{Finished, Server, Site};

fn check(text: &str) -> Finished {
    Site::conf(text).run(&["-t"])
}

/// Asserts that each text is found, one after the other.
#[track_caller]
fn assert_in_order(text: &str, pieces: &[&str]) {
    let mut rest = text;
    for piece in pieces {
        let Some((_, after)) = rest.split_once(piece) else {
            panic!("no {piece:?} in the rest of:\n{text}");
        };
        rest = after;
    }
}

#[test]
fn five_mistakes_have_five_reports() {
    let site = Site::conf(
        "worker_processes many;
events {}
http {
    sendfle on;
    server {
        listen 127.0.0.1:99999;
        keepalive_timeout 5parsecs;
        proxy_next_door on;
        location / {
            worker_connections 5;
        }
    }
}
",
    );
    let checked = site.run(&["-t"]);
    assert_eq!(checked.code, 1);
    let file = site.path("conf/server.conf").display().to_string();
    assert_in_order(
        &checked.stderr,
        &[
            &format!("[emerg] \"worker_processes\" directive invalid value in {file}:1\n"),
            &format!("{file}:1:18\n"),
            "worker_processes many;\n",
            "                 ^^^^\n",
            &format!("[emerg] unknown directive \"sendfle\" in {file}:4\n"),
            &format!("{file}:4:5\n"),
            "    sendfle on;\n",
            "    ^^^^^^^\n",
            "did you mean \"sendfile\"?",
            &format!("in \"127.0.0.1:99999\" of the \"listen\" directive in {file}:6\n"),
            &format!("{file}:6:16\n"),
            &format!("[emerg] \"keepalive_timeout\" directive invalid value in {file}:7\n"),
            &format!("[emerg] unknown directive \"proxy_next_door\" in {file}:8\n"),
            &format!("[emerg] \"worker_connections\" directive is not allowed here in {file}:10\n"),
            &format!("configuration file {file} test failed\n"),
        ],
    );
}

#[test]
fn each_mistake_has_its_words() {
    for (text, message) in [
        ("events {", "unexpected end of file, expecting \"}\" in "),
        ("events {} }", "unexpected \"}\" in "),
        (
            "events {} pid",
            "unexpected end of file, expecting \";\" or \"}\" in ",
        ),
        (
            "events {} pid a; pid b;",
            "\"pid\" directive is duplicate in ",
        ),
        (
            "events {} pid;",
            "invalid number of arguments in \"pid\" directive in ",
        ),
        (
            "events {} http;",
            "directive \"http\" has no opening \"{\" in ",
        ),
        (
            "events {} daemon on {}",
            "directive \"daemon\" is not terminated by \";\" in ",
        ),
        (
            "events {} daemon 1;",
            "invalid value \"1\" in \"daemon\" directive, it must be \"on\" or \"off\" in ",
        ),
        (
            "events {} listen 80;",
            "\"listen\" directive is not allowed here in ",
        ),
        ("events { use tea; }", "invalid event type \"tea\" in "),
        (
            "events {} include missing;",
            "/conf/missing\" failed (2: No such file or directory) in ",
        ),
        (
            "events {} http { server { return 200 $nothing; } }",
            "unknown \"nothing\" variable",
        ),
        (
            "events {} http { log_format a $nothing; }",
            "unknown \"nothing\" variable",
        ),
        (
            "events {} http { access_log a nothing; }",
            "unknown log format \"nothing\" in ",
        ),
        (
            "events {} http { server { root a; alias b; } }",
            "\"alias\" directive is not allowed here in ",
        ),
        (
            "events {} http { server { location / { root a; alias b; } } }",
            "\"alias\" directive is duplicate",
        ),
        (
            "events {} http { server { location /a {} location /a {} } }",
            "duplicate location \"/a\" in ",
        ),
        (
            "events {} http { server { location ~ ( {} } }",
            "missing closing parenthesis in \"(\"",
        ),
        (
            "events {} http { server { location /a { location /b {} } } }",
            "location \"/b\" is outside location \"/a\" in ",
        ),
        (
            "events {} http { server { listen 1.1.1.1:80 fast; } }",
            "invalid parameter \"fast\" in ",
        ),
        (
            "events {} http { server { listen 1.1.1.1:80; listen 1.1.1.1:80; } }",
            "a duplicate listen 1.1.1.1:80 in ",
        ),
        (
            "events {} http { server { listen 1.1.1.1:80 default_server; } server { listen 1.1.1.1:80 default_server; } }",
            "a duplicate default server for 1.1.1.1:80 in ",
        ),
        (
            "events {} http { types { a b; } default_type; }",
            "invalid number of arguments in \"default_type\" directive",
        ),
        (
            "events {} http { server { error_page 404; } }",
            "invalid number of arguments in \"error_page\" directive",
        ),
        (
            "events {} http { server { error_page 200 /x; } }",
            "value \"200\" must be between 300 and 599 in ",
        ),
        ("", "no \"events\" section in configuration"),
    ] {
        let checked = check(text);
        assert_eq!(checked.code, 1, "{text}: {}", checked.stderr);
        assert!(
            checked.stderr.contains(message),
            "{message} in:\n{}",
            checked.stderr
        );
    }
}

/// What tables, patterns and zones are refused for, with the place under a caret.
#[test]
fn mistakes_of_the_request_language_are_shown() {
    let site = Site::conf(
        "events {}
http {
    limit_req_zone $uri zone=small:4k rate=1r/s;
    map $uri $kind {
        ~^/(a 1;
        include none.map;
    }
    geo $near {
        include places.geo;
    }
    server {
        rewrite ^/(.*$ /x;
        if ($uri ~ \"[\") { }
        auth_request_set near 1;
        return 200 $kindd;
    }
}
",
    )
    .file("conf/places.geo", "10.0.0.0/8 ten;\n10.0.0.300 host;\n");
    let checked = site.run(&["-t"]);
    assert_eq!(checked.code, 1);
    assert_in_order(
        &checked.stderr,
        &[
            "zone \"zone=small:4k\" is too small",
            "                        ^^^^",
            "missing closing parenthesis in \"^/(a\"",
            "        ^^^^^^^",
            "open()",
            "none.map\" failed (2: No such file or directory)",
            "invalid network \"10.0.0.300\" in ",
            "places.geo:2",
            "10.0.0.300 host;",
            "^^^^",
            "missing closing parenthesis in \"^/(.*$\"",
            "                ^^^^^^",
            "in \"[\"",
            "invalid variable name \"near\"",
            "unknown \"kindd\" variable",
            "did you mean \"$kind\"?",
        ],
    );
}

#[test]
fn names_that_meet_are_only_warned_about() {
    let checked = check(
        "events {} http {
            server { listen 127.0.0.1:1081; server_name a; }
            server { listen 127.0.0.1:1081; server_name a; }
         }",
    );
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    let warning = "[warn] conflicting server name \"a\" on 127.0.0.1:1081, ignored";
    assert!(checked.stderr.contains(warning), "{}", checked.stderr);
}

#[test]
fn a_good_configuration_is_confirmed() {
    let site = Site::http("server { listen 127.0.0.1:%PORT%; }");
    let file = site.path("conf/server.conf").display().to_string();
    let checked = site.run(&["-t"]);
    assert_eq!((checked.code, &*checked.stdout), (0, ""));
    assert_in_order(
        &checked.stderr,
        &[
            &format!("the configuration file {file} syntax is ok\n"),
            &format!("configuration file {file} test is successful\n"),
        ],
    );
    let quiet = site.run(&["-t", "-q"]);
    assert_eq!((quiet.code, &*quiet.stderr), (0, ""));
    assert!(!site.path("logs/access.log").exists() || site.access_log().is_empty());
}

#[test]
fn files_include_each_other() {
    let server = Site::http("include sites/*.conf; include sites/none*; include more;")
        .include(
            "conf/sites/b.conf",
            "server { listen 127.0.0.1:%PORT1%; return 200 b; }",
        )
        .include(
            "conf/sites/a.conf",
            "server { listen 127.0.0.1:%PORT%; include word; }",
        )
        .include("conf/sites/c.off", "nonsense;")
        .include("conf/word", "return 200 a;")
        .include("conf/more", "")
        .start();
    assert_eq!(server.get("/").text(), "a");
    let other = ("127.0.0.1", server.port(1));
    assert_eq!(crate::support::Client::tcp(other).get("/").text(), "b");

    let dumped = server.run(&["-T", "-q"]);
    assert_eq!(dumped.code, 0, "{}", dumped.stderr);
    let name = |file: &str| format!("# configuration file {}:\n", server.path(file).display());
    let text = server.read("conf/server.conf");
    assert_in_order(
        &dumped.stdout,
        &[
            &name("conf/server.conf"),
            &text,
            &name("conf/sites/a.conf"),
            &name("conf/word"),
            "return 200 a;",
        ],
    );
    assert!(dumped.stdout.contains(&name("conf/sites/b.conf")));
}

#[test]
fn a_mistake_in_an_included_file_is_told_there() {
    let site = Site::http("include sites/*;")
        .include("conf/sites/a", "\nserver { lisen 80; }")
        .include("conf/sites/b", "sever {}");
    let checked = site.run(&["-t"]);
    assert_eq!(checked.code, 1);
    for (file, place) in [("conf/sites/a", "2:10"), ("conf/sites/b", "1:1")] {
        let place = format!("{}:{place}\n", site.path(file).display());
        assert!(
            checked.stderr.contains(&place),
            "{place} in:\n{}",
            checked.stderr
        );
    }
}

#[test]
fn a_cycle_of_includes_is_an_error() {
    let site = Site::http("include a;")
        .include("conf/a", "include b;")
        .include("conf/b", "include a;");
    let checked = site.run(&["-t"]);
    assert_eq!(checked.code, 1);
    assert!(checked.stderr.contains(" in "), "{}", checked.stderr);
    assert_eq!(
        checked.stderr.matches("[emerg]").count(),
        1,
        "{}",
        checked.stderr
    );
}

#[test]
fn the_language_is_nginx_s() {
    let server = Site::http(
        "# a comment\r\n\
         server {\r\n\
            listen 127.0.0.1:%PORT%; # another\n\
            location = /single { return 200 'a \"b\" ; # c'; }\n\
            location = /double { return 200 \"a 'b' \\\"c\\\" {}\"; }\n\
            location = /escape { return 200 a\\ b\\;c; }\n\
            location = /lines { return 200 \"one\\ntwo\\tthree\n4\"; }\n\
            location = /braces { return 200 ${arg_x}y; }\n\
            location = /hash { return 200 a#b; }\n\
            location = \"/quo ted\" { return 200 quoted; }\n\
            location ~ \"^/x{2}$\" { return 200 pattern; }\n\
         }",
    )
    .start();
    for (path, text) in [
        ("/single", "a \"b\" ; # c"),
        ("/double", "a 'b' \"c\" {}"),
        ("/escape", "a\\ b\\;c"),
        ("/lines", "one\ntwo\tthree\n4"),
        ("/braces?x=1", "1y"),
        ("/hash", "a#b"),
        ("/quo%20ted", "quoted"),
        ("/xx", "pattern"),
    ] {
        assert_eq!(server.get(path).text(), text, "{path}");
    }
}

#[test]
fn toml_says_the_same() {
    let mut site = Site::conf("").include(
        "conf/server.toml",
        r#"
error_log = ["logs/error.log", "info"]
pid = "logs/server.pid"
events = {}

[http]
access_log = "logs/access.log"

[[http.server]]
listen = "127.0.0.1:%PORT%"
server_name = ["a", "b"]
return = [200, "of $host"]

[[http.server]]
listen = "127.0.0.1:%PORT%"
server_name = "c"
root = "html"

[[http.server.location]]
args = ["=", "/x"]
return = [200, "x"]
"#,
    );
    site.write("html/y", "y");
    let ask = |server: &Server, host: &str, path: &str| {
        let response = server.request("GET", path, &[&format!("Host: {host}")]);
        response.text().to_owned()
    };
    site.configured_by("conf/server.toml");
    let server = site.start();
    assert_eq!(ask(&server, "b", "/"), "of b");
    assert_eq!(ask(&server, "c", "/x"), "x");
    assert_eq!(ask(&server, "c", "/y"), "y");
}

#[test]
fn toml_has_the_same_mistakes() {
    let mut site =
        Site::conf("").include("conf/server.toml", "events = {}\n[http]\nsendfle = true\n");
    site.configured_by("conf/server.toml");
    let checked = site.run(&["-t"]);
    assert_eq!(checked.code, 1);
    let file = site.path("conf/server.toml").display().to_string();
    assert_in_order(
        &checked.stderr,
        &[
            &format!("[emerg] unknown directive \"sendfle\" in {file}:3\n"),
            &format!("{file}:3:1\n"),
            "did you mean \"sendfile\"?",
        ],
    );
}

#[test]
fn options_are_those_of_nginx() {
    let site = Site::conf("events {}");
    let version = site.run(&["-v"]);
    assert_eq!(version.code, 0);
    assert!(version.stderr.contains(" version: "), "{}", version.stderr);
    let build = site.run(&["-V"]);
    assert!(
        build.stderr.starts_with(&version.stderr),
        "{}",
        build.stderr
    );
    let arguments = build.stderr.split("configure arguments: ").nth(1);
    let arguments = arguments.unwrap_or_default();
    assert!(arguments.starts_with("--conf-path="), "{arguments}");
    assert!(!arguments.contains("mail"), "{arguments}");
    for help in ["-h", "-?"] {
        let told = site.run(&[help]);
        assert_eq!(told.code, 0);
        let text = told.stdout + &told.stderr;
        for option in [
            "-t ",
            "-T ",
            "-q ",
            "-s signal",
            "-p prefix",
            "-e ",
            "-c ",
            "-g directives",
        ] {
            assert!(text.contains(option), "{option} in {text}");
        }
    }
    for (arguments, complaint) in [
        (&["-x"][..], "invalid option: \"x\""),
        (&["-g"], "option \"-g\" requires"),
        (&["word"], "invalid option: \"word\""),
        (&["-s"], "option \"-s\" requires"),
    ] {
        let told = site.run(arguments);
        assert_eq!(told.code, 1, "{arguments:?}");
        assert!(
            told.stderr.contains(complaint),
            "{complaint} in {}",
            told.stderr
        );
    }
}

#[test]
fn globals_may_be_given_on_the_command_line() {
    let site = Site::conf("events {} pid logs/p;");
    let checked = site.run(&["-t", "-g", "worker_processes 2; daemon off;"]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    let checked = site.run(&["-t", "-g", "worker_procsses 2;"]);
    assert_eq!(checked.code, 1);
    let told = "unknown directive \"worker_procsses\" in command line";
    assert!(checked.stderr.contains(told), "{}", checked.stderr);
}

#[test]
fn the_reference_comes_from_the_tables() {
    let one = Finished::of(&["directives", "sendfile"]);
    assert_eq!(one.code, 0, "{}", one.stderr);
    for piece in ["sendfile", "on | off", "http", "server", "location"] {
        assert!(one.stdout.contains(piece), "{piece} in {}", one.stdout);
    }
    let all = Finished::of(&["directives"]);
    assert!(all.stdout.contains("\nhttp { ... }\n"), "{}", all.stdout);
    for name in [
        "listen",
        "server_name",
        "worker_processes",
        "try_files",
        "open_file_cache",
    ] {
        assert!(all.stdout.contains(name), "{name}");
    }
    let none = Finished::of(&["directives", "sendfle"]);
    assert_eq!(none.code, 1);
    assert!(none.stderr.contains("sendfile"), "{}", none.stderr);
}

#[test]
fn words_that_only_tune_nginx_are_accepted() {
    let words = "lock_file logs/lock; timer_resolution 100ms; pcre_jit on; debug_points abort;\n\
                 ssl_engine none; events { epoll_events 64; } http { }";
    let checked = check(words);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    for word in [
        "lock_file",
        "timer_resolution",
        "pcre_jit",
        "debug_points",
        "epoll_events",
    ] {
        let told = Finished::of(&["directives", word]);
        assert!(told.stdout.contains("no effect"), "{word}: {}", told.stdout);
    }
}

#[test]
fn directives_are_accepted_where_they_belong() {
    let checked = Site::conf(include_str!("every.conf")).run(&["-t"]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
}

#[test]
fn every_directive_is_named_by_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = String::new();
    for folder in ["tests/it", "src"] {
        collect_tests(&root.join(folder), &mut tests);
    }
    let words: HashSet<&str> = tests.split(|c: char| !is_word(c)).collect();
    let all = Finished::of(&["directives"]).stdout;
    let names = all
        .lines()
        .filter_map(|line| line.split(&[' ', ';']).next());
    let missing: Vec<&str> = names.filter(|name| !words.contains(name)).collect();
    assert_eq!(missing, [""; 0]);
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Adds what tests say: whole files of tests, and what stands behind `#[cfg(test)]`.
fn collect_tests(folder: &Path, tests: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_tests(&path, tests);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap_or_default();
        let name = path.to_string_lossy();
        let whole = name.contains("/tests/") || name.ends_with("/tests.rs");
        let inner = text.split_once("#[cfg(test)]").map(|(_, tests)| tests);
        *tests += if whole {
            &text
        } else {
            inner.unwrap_or_default()
        };
    }
}

#[test]
fn no_directive_is_accepted_in_the_wrong_place() {
    // Each line goes where only the other kind of line belongs.
    for (line, block) in [
        ("worker_processes 2;", "http"),
        ("worker_connections 10;", "http"),
        ("sendfile on;", "events"),
        ("listen 80;", "http"),
        ("server_name a;", "http"),
        ("internal;", "http"),
        ("try_files a =404;", "http"),
        ("log_format a b;", "events"),
    ] {
        let other = if block == "http" { "events" } else { "http" };
        let checked = check(&format!("{block} {{ {line} }} {other} {{}}"));
        let name = line.split(' ').next().unwrap().trim_end_matches(';');
        let told = format!("\"{name}\" directive is not allowed here in ");
        assert!(
            checked.stderr.contains(&told),
            "{told} in {}",
            checked.stderr
        );
    }
}
