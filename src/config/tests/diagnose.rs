//! Every mistake the layer can find: nginx's words, line and column.

use super::{found, load, load_text, options};

#[test]
fn mistakes() {
    let table: &[(&str, &[&str])] = &[
        ("", &[]),
        (
            "events {} http { server { listen 80; } }",
            &["1:27 unknown directive \"listen\""],
        ),
        (
            "\n  sendfile on;",
            &["2:3 \"sendfile\" directive is not allowed here"],
        ),
        (
            "worker_processes 1 2;",
            &["1:1 invalid number of arguments in \"worker_processes\" directive"],
        ),
        (
            "worker_processes;",
            &["1:1 invalid number of arguments in \"worker_processes\" directive"],
        ),
        (
            "worker_processes x;",
            &["1:18 \"worker_processes\" directive invalid number"],
        ),
        (
            "worker_processes 1; worker_processes 2;",
            &["1:21 \"worker_processes\" directive is duplicate"],
        ),
        (
            "worker_processes 1 {}",
            &["1:1 directive \"worker_processes\" is not terminated by \";\""],
        ),
        ("http;", &["1:1 directive \"http\" has no opening \"{\""]),
        ("http {} http {}", &["1:9 \"http\" directive is duplicate"]),
        (
            "http x {}",
            &["1:1 invalid number of arguments in \"http\" directive"],
        ),
        (
            "http { sendfile yes; }",
            &["1:17 invalid value \"yes\" in \"sendfile\" directive, it must be \"on\" or \"off\""],
        ),
        (
            "http { timeout 5q; }",
            &["1:16 \"timeout\" directive invalid value"],
        ),
        ("http { types { a { b; } } }", &["1:16 unexpected \"{\""]),
        (
            "http { types; }",
            &["1:8 directive \"types\" has no opening \"{\""],
        ),
        (
            "http { server { server_name a fail; } }",
            &["1:8 no server may be called \"fail\""],
        ),
        ("}", &["1:1 unexpected \"}\""]),
        ("{ }", &["1:1 unexpected \"{\""]),
        (";", &["1:1 unexpected \";\""]),
        ("http {\n", &["2:1 unexpected end of file, expecting \"}\""]),
        (
            "http",
            &["1:5 unexpected end of file, expecting \";\" or \"}\""],
        ),
        (
            "use \"epoll;",
            &["1:12 unexpected end of file, expecting \";\" or \"}\""],
        ),
        (
            "use epoll\\",
            &["1:11 unexpected end of file, expecting \";\" or \"}\""],
        ),
        ("events { use \"a\"b; }", &["1:17 unexpected \"b\""]),
        ("events { use a }", &["1:16 unexpected \"}\""]),
        ("log_once 1;", &["1:1 \"log_once\" is deprecated"]),
        (
            "include;",
            &["1:1 invalid number of arguments in \"include\" directive"],
        ),
        (
            "include x {}",
            &["1:1 directive \"include\" is not terminated by \";\""],
        ),
        (
            "include x;",
            &["1:9 open() \"/srv/conf/x\" failed (2: No such file or directory)"],
        ),
        ("include x*;", &[]),
        (
            "http { server { location {} } }",
            &["1:17 invalid number of arguments in \"location\" directive"],
        ),
        (
            "http { server { location ~ (a {} } }",
            &["1:28 pcre2_compile() failed: missing closing parenthesis in \"(a\""],
        ),
    ];
    for (text, expected) in table {
        assert_eq!(found(text), *expected, "{text}");
    }
}

#[test]
fn all_mistakes_in_one_run() {
    let text = "worker_processes x;\nhttp {\n  sevrer {\n  }\n  server {\n    sendfile maybe;\n    \
                server {\n      rot /;\n    }\n  }\n";
    assert_eq!(
        found(text),
        [
            "1:18 \"worker_processes\" directive invalid number",
            "3:3 unknown directive \"sevrer\"",
            "6:14 invalid value \"maybe\" in \"sendfile\" directive, it must be \"on\" or \"off\"",
            "7:5 \"server\" directive is not allowed here",
            "8:7 unknown directive \"rot\"",
            "11:1 unexpected end of file, expecting \"}\"",
        ]
    );
}

#[test]
fn shown_with_line_caret_and_advice() {
    let shown = load("http {\n\tsevrer {\n\t}\n}\n")
        .err()
        .map(|d| d.to_string());
    let expected = "\
rowhouse: [emerg] unknown directive \"sevrer\" in t.conf:2
 --> t.conf:2:2
  |
2 |     sevrer {
  |     ^^^^^^
  |
  = help: did you mean \"server\"?
";
    assert_eq!(shown.as_deref(), Some(expected));
}

#[test]
fn a_forgotten_semicolon_is_shown() {
    let text = "http {\n  sendfile on\n  timeout 5s;\n}\n";
    let shown = load(text).err().map(|d| d.to_string());
    let expected = "\
rowhouse: [emerg] invalid number of arguments in \"sendfile\" directive in t.conf:2
 --> t.conf:2:3
  |
2 |   sendfile on
  |   ^^^^^^^^^^^
  |
 ::: t.conf:2:12
  |
2 |   sendfile on
  |            -- a \";\" may be missing after this
";
    assert_eq!(shown.as_deref(), Some(expected));
}

#[test]
fn what_may_follow_from_a_mistake_is_not_reported() {
    let text = "http { server { server_name fail; sendfile x; } }";
    assert_eq!(found(text).len(), 1);
}

#[test]
fn bytes_that_are_not_utf8_do_no_harm() {
    let text = b"\xff\xfe \xff;\nhttp { server { location \xff { } } }";
    let loaded = load_text(super::fake::ALL, "t".as_ref(), text, &options());
    let shown = loaded.err().map(|d| d.to_string()).unwrap_or_default();
    assert!(
        shown.contains("unknown directive \"\u{fffd}\u{fffd}\" in t:1"),
        "{shown}"
    );
    assert!(shown.contains("invalid UTF-8"), "{shown}");
}

#[test]
fn globals_of_the_command_line() {
    let with = |globals: &str, text: &str| {
        let options = super::Options {
            globals: globals.into(),
            ..options()
        };
        let loaded = load_text(super::fake::ALL, "t".as_ref(), text.as_bytes(), &options);
        let lines = loaded
            .err()
            .map(|d| d.lines().map(|(_, line)| line).collect::<Vec<_>>());
        lines.unwrap_or_default()
    };
    assert_eq!(with("worker_processes 3;", ""), [""; 0]);
    assert_eq!(
        with("worker_processes 3", ""),
        ["unexpected end of parameter, expecting \";\" in command line"]
    );
    assert_eq!(
        with("events {}", ""),
        ["block directives are not supported in -g option in command line"]
    );
    assert_eq!(
        with("worker_processes 3;", "worker_processes 4;"),
        ["\"worker_processes\" directive is duplicate in t:1"]
    );
}
