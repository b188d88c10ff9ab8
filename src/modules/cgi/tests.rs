//! The directives.

use super::Cgi;
use super::settings::{Mode, Settings, Stderr};
use crate::config::context::LOCATION;
use crate::http::Text;
use crate::log::level::Level;
use crate::modules::fixture::{found_in_server, in_server};
use crate::sys::process::{self, Resource};
use std::time::Duration;

/// Loads the inside of a location and shows what it says of CGI.
fn in_location<T>(text: &str, show: impl FnOnce(&Settings) -> T) -> T {
    in_server(&format!("location / {{ {text} }}"), |server| {
        let location = server.within(LOCATION).next();
        show(&location.unwrap_or(server).settings::<Cgi>())
    })
}

#[test]
fn programs() {
    in_location(
        "cgi pass bin/x $uri; cgi_interpreter /bin/sh -e; cgi_path /bin;",
        |s| {
            assert!(matches!(&s.mode, Mode::Pass(words) if words.len() == 2));
            assert_eq!((s.interpreter.len(), &*s.path), (2, &b"/bin"[..]));
            assert!(!s.needs_execute_bit());
        },
    );
    in_location(
        "cgi on; cgi_index index.cgi; cgi_set_var A 1; cgi_set_var B $uri;",
        |s| {
            assert!(matches!(s.mode, Mode::Locate) && s.needs_execute_bit());
            assert_eq!((s.set_var.len(), s.index.is_some()), (2, true));
            assert!(matches!(s.stderr, Stderr::Log(Level::Warn)));
        },
    );
    in_location(
        "cgi_pass x; cgi_x_only on; cgi_interpreter; cgi_working_dir /; cgi_stderr off;",
        |s| {
            assert!(s.needs_execute_bit() && s.working_dir.is_some());
            assert!(matches!(s.stderr, Stderr::Off));
        },
    );
    in_location(
        "cgi_stderr stderr; cgi_split_path_info \"^(/a)(/.*)$\";",
        |s| {
            assert!(matches!(s.stderr, Stderr::Inherit) && s.split_path_info.is_some());
        },
    );
    in_location("cgi_stderr file logs/cgi.log;", |s| {
        assert!(matches!(s.stderr, Stderr::File(_)));
    });
}

#[test]
fn streams() {
    in_location(
        "cgi_strict off; cgi_body_only on; cgi_request_buffering off; cgi_buffering off;
         cgi_buffer_size 1k; cgi_buffers 2 4k; cgi_intercept_errors on;
         cgi_pass_header Date; cgi_hide_header X-A;",
        |s| {
            let flags = [
                s.strict,
                s.body_only,
                s.request_buffering,
                s.buffering,
                s.intercept_errors,
            ];
            assert_eq!(flags, [false, true, false, false, true]);
            assert_eq!((s.buffer_size, s.buffers), (1024, 8192));
            let hidden = ["date", "Server", "x-a", "X-B", "X-Accel-Redirect"];
            let hidden = hidden.map(|name| s.hides(&Text::from(name)));
            assert_eq!(hidden, [false, true, true, false, true]);
        },
    );
}

#[test]
fn limits() {
    in_location(
        "cgi_read_timeout 1s; cgi_send_timeout 2s; cgi_timeout 3s 4s; cgi_ignore_client_abort on;
         cgi_max_processes 3 queue=4 timeout=5s; cgi_rlimit_cpu 10s; cgi_rlimit_memory 1g;
         cgi_rlimit_nofile 64; cgi_rlimit_nproc 32;",
        |s| {
            let seconds = Duration::from_secs;
            assert_eq!((s.read_timeout, s.send_timeout), (seconds(1), seconds(2)));
            assert_eq!(
                (s.timeout, s.grace()),
                ((seconds(3), seconds(4)), seconds(4))
            );
            assert!(s.ignore_client_abort);
            let expected = [
                (Resource::CpuTime, 10),
                (Resource::Memory, 1 << 30),
                (Resource::OpenFiles, 64),
                (Resource::Processes, 32),
            ];
            assert_eq!(s.limits, expected);
        },
    );
}

#[test]
fn mistakes() {
    let cases = [
        ("cgi maybe;", "invalid parameter \"maybe\""),
        ("cgi on x;", "invalid parameter \"x\""),
        ("cgi pass;", "\"cgi\" directive has no script to pass to"),
        ("cgi_set_var 1A x;", "invalid variable name \"1A\""),
        ("cgi_stderr loud;", "invalid parameter \"loud\""),
        ("cgi_stderr warn x;", "invalid parameter \"x\""),
        ("cgi_stderr file;", "\"cgi_stderr\" directive has no path"),
        (
            "cgi_split_path_info ^/a$;",
            "pattern \"^/a$\" must have 2 captures",
        ),
        (
            "cgi_buffer_size 0;",
            "\"cgi_buffer_size\" directive invalid value",
        ),
        (
            "cgi_max_processes 1 queue=x;",
            "invalid parameter \"queue=x\"",
        ),
        (
            "cgi_rlimit_nofile many;",
            "\"cgi_rlimit_nofile\" directive invalid number",
        ),
    ];
    let is_root = process::effective_uid() == 0;
    for (text, message) in cases {
        if text.starts_with("cgi_user") && !is_root {
            continue;
        }
        assert_eq!(found_in_server(text), [message], "{text}");
    }
}
