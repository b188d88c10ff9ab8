//! `listen`, `server_name` and the settings for request heads.

use std::time::Duration;

use super::{Server, ServerBlock};
use crate::modules::fixture::{found_in_http, found_in_server, in_http, in_server};
use crate::net::listen::{KeepAlive, ListenOptions};
use crate::sys::process;

fn server(text: &str) -> ServerBlock {
    in_server(text, |block| (*block.settings::<Server>()).clone())
}

fn listens(text: &str) -> Vec<ListenOptions> {
    server(text)
        .listens
        .into_iter()
        .map(|(options, _)| options)
        .collect()
}

#[test]
fn addresses() {
    for (text, expected) in [
        ("listen 8080;", "0.0.0.0:8080"),
        ("listen *:81;", "0.0.0.0:81"),
        ("listen 127.0.0.1;", "127.0.0.1:80"),
        ("listen [::1]:82;", "[::1]:82"),
        ("listen unix:/tmp/s;", "unix:/tmp/s"),
        ("listen 80; listen 81;", "0.0.0.0:80 0.0.0.0:81"),
        (
            "listen 127.0.0.1:81-83 backlog=9;",
            "127.0.0.1:81 127.0.0.1:82 127.0.0.1:83",
        ),
    ] {
        let addresses = listens(text)
            .iter()
            .map(|options| options.address.to_string())
            .collect::<Vec<_>>();
        assert_eq!(addresses.join(" "), expected, "{text}");
    }
    let port = if process::effective_uid() == 0 {
        80
    } else {
        8000
    };
    assert_eq!(listens("")[0].address.port(), Some(port));
    let range = listens("listen 81-82 backlog=9;");
    assert!(range.iter().all(|options| options.backlog == 9));
}

#[test]
fn parameters_of_listen() {
    let one = |text: &str| listens(&format!("listen 80 {text};")).remove(0);
    let plain = one("");
    let with = |change: fn(&mut ListenOptions)| {
        let mut options = plain.clone();
        change(&mut options);
        options
    };
    let socket = |change: fn(&mut ListenOptions)| {
        let mut options = with(change);
        (options.set, options.bind) = (true, true);
        options
    };
    let on = |idle, interval, count| {
        socket_keepalive(
            &plain,
            KeepAlive::On {
                idle,
                interval,
                count,
            },
        )
    };
    for (text, expected) in [
        ("default_server", with(|o| o.default_server = true)),
        ("default", with(|o| o.default_server = true)),
        ("ssl", with(|o| o.ssl = true)),
        ("http2", with(|o| o.http2 = true)),
        ("quic", with(|o| o.quic = true)),
        ("proxy_protocol", with(|o| o.proxy_protocol = true)),
        ("accept_filter=x", with(|_| ())),
        ("bind", socket(|_| ())),
        ("multipath", socket(|_| ())),
        ("deferred", socket(|o| o.deferred = true)),
        ("reuseport", socket(|o| o.reuseport = true)),
        ("backlog=7", socket(|o| o.backlog = 7)),
        ("rcvbuf=8k", socket(|o| o.rcvbuf = Some(8192))),
        ("sndbuf=1m", socket(|o| o.sndbuf = Some(1 << 20))),
        ("fastopen=3", socket(|o| o.fastopen = Some(3))),
        ("setfib=1", socket(|o| o.setfib = Some(1))),
        ("ipv6only=off", socket(|o| o.ipv6only = false)),
        ("ipv6only=on", socket(|_| ())),
        ("so_keepalive=off", socket_keepalive(&plain, KeepAlive::Off)),
        ("so_keepalive=on", on(None, None, None)),
        ("so_keepalive=1m::5", on(Some(60), None, Some(5))),
        ("so_keepalive=:2", on(None, Some(2), None)),
    ] {
        assert_eq!(one(text), expected, "{text}");
    }
}

fn socket_keepalive(plain: &ListenOptions, keep_alive: KeepAlive) -> ListenOptions {
    ListenOptions {
        set: true,
        bind: true,
        so_keepalive: Some(keep_alive),
        ..plain.clone()
    }
}

#[test]
fn mistakes_in_listen() {
    for (text, expected) in [
        (
            "80x:",
            "invalid port in \"80x:\" of the \"listen\" directive",
        ),
        (
            "65536",
            "invalid port in \"65536\" of the \"listen\" directive",
        ),
        (
            "unix:",
            "no path in the unix domain socket in \"unix:\" of the \"listen\" directive",
        ),
        ("80 x", "invalid parameter \"x\""),
        ("80 x=1", "invalid parameter \"x=1\""),
        ("80 backlog=0", "invalid backlog \"backlog=0\""),
        ("80 rcvbuf=x", "invalid rcvbuf \"rcvbuf=x\""),
        ("80 sndbuf=", "invalid sndbuf \"sndbuf=\""),
        ("80 fastopen=-1", "invalid fastopen \"fastopen=-1\""),
        ("80 ipv6only=ox", "invalid ipv6only flags \"ox\""),
        ("80 ipv6only=x", "invalid parameter \"ipv6only=x\""),
        ("80 so_keepalive=::", "invalid so_keepalive value: \"::\""),
        (
            "80 so_keepalive=1:2:3:4",
            "invalid so_keepalive value: \"1:2:3:4\"",
        ),
        (
            "80 quic backlog=3",
            "\"listen\" directive \"backlog\" parameter is incompatible with \"quic\"",
        ),
        (
            "80 ssl quic",
            "\"listen\" directive \"ssl\" parameter is incompatible with \"quic\"",
        ),
        (
            "80 http2",
            "the \"listen ... http2\" directive is deprecated, use the \"http2\" directive instead",
        ),
        (
            "80 accept_filter=x",
            "accept filters \"accept_filter=x\" are not supported on this platform, ignored",
        ),
    ] {
        assert_eq!(
            found_in_server(&format!("listen {text};")),
            [expected],
            "{text}"
        );
    }
}

#[test]
fn names() {
    let shown = |text: &str| {
        let server = server(text);
        let names = server
            .names
            .iter()
            .map(|name| String::from_utf8_lossy(name.shown()).into_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(shown(""), [""]);
    assert_eq!(
        shown("server_name A.b .C.d *.e; server_name f.* \"\" ~^G$;"),
        ["a.b", "c.d", "*.e", "f.*", "", "~^G$"]
    );
    let host = process::hostname().unwrap().to_ascii_lowercase();
    assert_eq!(shown("server_name $Hostname;"), [host]);
}

#[test]
fn patterns() {
    let server = server("server_name ~^(?<a>.)(x)(?<b>.)$ ~^WWW;");
    let [first, second] = &server.names[..] else {
        panic!("two names")
    };
    assert_eq!(&*first.captures, [(1, 0), (3, 1)]);
    let matches = |name: &super::ServerName, host: &str| {
        name.pattern.as_ref().unwrap().is_match(host.as_bytes())
    };
    assert!(matches(first, "1x2"));
    assert!(!matches(first, "1X2"));
    assert!(matches(second, "www"));
}

#[test]
fn mistakes_in_names() {
    for (text, expected) in [
        ("*", "server name \"*\" is invalid"),
        ("*a", "server name \"*a\" is invalid"),
        ("*.", "server name \"*.\" is invalid"),
        (".", "server name \".\" is invalid"),
        ("~", "empty regex in server name \"~\""),
        ("a/b", "server name \"a/b\" has suspicious symbols"),
    ] {
        assert_eq!(
            found_in_server(&format!("server_name {text};")),
            [expected],
            "{text}"
        );
    }
    let broken = found_in_server("server_name ~(;");
    assert!(
        broken[0].starts_with("pcre2_compile() failed: "),
        "{broken:?}"
    );
}

#[test]
fn heads() {
    let text = "client_header_timeout 5s; client_header_buffer_size 2k; max_headers 7; \
                large_client_header_buffers 2 4k; ignore_invalid_headers off; \
                underscores_in_headers on; merge_slashes off;";
    for settings in [
        server(text).settings,
        in_http(&format!("{text} server {{ }}"), |http| {
            http.children[0].settings::<Server>().settings.clone()
        }),
    ] {
        assert_eq!(settings.client_header_timeout, Duration::from_secs(5));
        let head = settings.head;
        assert_eq!((head.buffer_size, head.max_headers), (2048, 7));
        assert_eq!((head.large_buffers, head.large_buffer_size), (2, 4096));
        assert!(!head.ignore_invalid_headers && head.underscores_in_headers);
        assert!(!settings.merge_slashes);
    }
    let small = "the \"large_client_header_buffers\" size must be equal to or greater than \
                 \"connection_pool_size\"";
    let found = found_in_http("large_client_header_buffers 4 511; server { }");
    assert_eq!(found, [small]);
}
