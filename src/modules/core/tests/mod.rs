//! What the rows make of configurations, in tables.

mod errors;
mod paths;

use std::rc::Rc;
use std::time::Duration;

use super::CoreModule;
use crate::config::Block;
use crate::config::context::{LOCATION, SERVER};
use crate::exchange::{
    BodyInFile, Core, IfModifiedSince, KeepaliveDisable, LingeringClose, Satisfy, ServerTokens,
};
use crate::log::level::Level;
use crate::modules::fixture::{found_in_http, found_in_server, in_http, in_server};

fn of(block: &Block) -> Rc<Core> {
    Rc::clone(&block.settings::<CoreModule>().core)
}

/// The values of a server with these directives.
fn core(text: &str) -> Rc<Core> {
    in_server(text, of)
}

/// The values of the first location of a server, or of the first inside it.
fn location(text: &str) -> Rc<Core> {
    in_server(text, |server| {
        let outer = server.within(LOCATION).next().unwrap();
        of(outer.within(LOCATION).next().unwrap_or(outer))
    })
}

fn root(core: &Core) -> String {
    let root = core.root.literal().unwrap_or(b"(variables)");
    String::from_utf8_lossy(root).into_owned()
}

#[test]
fn defaults_are_those_of_nginx() {
    let core = core("");
    assert_eq!(root(&core), "/srv/html");
    assert_eq!(&*core.prefix, b"/srv/");
    assert_eq!(core.client_body_temp_path.path, b"/srv/client_body_temp");
    assert_eq!(core.client_body_buffer_size, 8192);
    assert_eq!(core.client_max_body_size, 1 << 20);
    assert_eq!(core.keepalive_timeout, Duration::from_secs(75));
    assert_eq!(core.server_tokens, ServerTokens::Unset);
    assert!(core.error_log.enabled(Level::Error) && !core.error_log.enabled(Level::Warn));
    let log = core.error_log.file().unwrap();
    assert_eq!(log.path(), std::path::Path::new("/srv/logs/error.log"));
}

#[test]
fn flags() {
    type Read = fn(&Core) -> bool;
    let flags: &[(&str, Read)] = &[
        ("sendfile", |c| c.sendfile),
        ("tcp_nopush", |c| c.tcp_nopush),
        ("tcp_nodelay", |c| c.tcp_nodelay),
        ("chunked_transfer_encoding", |c| c.chunked_transfer_encoding),
        ("etag", |c| c.etag),
        ("absolute_redirect", |c| c.absolute_redirect),
        ("server_name_in_redirect", |c| c.server_name_in_redirect),
        ("port_in_redirect", |c| c.port_in_redirect),
        ("reset_timedout_connection", |c| c.reset_timedout_connection),
        ("recursive_error_pages", |c| c.recursive_error_pages),
        ("log_not_found", |c| c.log_not_found),
        ("log_subrequest", |c| c.log_subrequest),
    ];
    for (name, read) in flags {
        assert!(read(&core(&format!("{name} on;"))), "{name}");
        assert!(!read(&core(&format!("{name} off;"))), "{name}");
        assert_eq!(
            found_in_server(&format!("{name} maybe;")),
            [format!(
                "invalid value \"maybe\" in \"{name}\" directive, it must be \"on\" or \"off\""
            )]
        );
    }
}

#[test]
fn numbers_and_times() {
    type Read = fn(&Core) -> u64;
    let cases: &[(&str, Read, u64)] = &[
        ("sendfile_max_chunk 1m", |c| c.sendfile_max_chunk, 1 << 20),
        ("send_timeout 5s", |c| c.send_timeout.as_secs(), 5),
        (
            "client_body_timeout 5s",
            |c| c.client_body_timeout.as_secs(),
            5,
        ),
        (
            "client_body_buffer_size 1k",
            |c| c.client_body_buffer_size as u64,
            1024,
        ),
        (
            "client_max_body_size 2g",
            |c| c.client_max_body_size,
            2 << 30,
        ),
        ("client_max_body_size 0", |c| c.client_max_body_size, 0),
        (
            "keepalive_timeout 100ms",
            |c| c.keepalive_timeout.as_millis() as u64,
            100,
        ),
        (
            "keepalive_timeout 5s 6s",
            |c| c.keepalive_header.unwrap_or(0),
            6,
        ),
        (
            "keepalive_timeout 5s 0",
            |c| c.keepalive_header.unwrap_or(0),
            0,
        ),
        (
            "keepalive_min_timeout 2s",
            |c| c.keepalive_min_timeout.as_secs(),
            2,
        ),
        ("keepalive_requests 7", |c| c.keepalive_requests, 7),
        ("keepalive_time 1d", |c| c.keepalive_time.as_secs(), 86400),
        ("lingering_time 3s", |c| c.lingering_time.as_secs(), 3),
        ("lingering_timeout 3s", |c| c.lingering_timeout.as_secs(), 3),
        ("max_ranges 0", |c| c.max_ranges.map_or(9, |n| n as u64), 0),
    ];
    for (text, read, expected) in cases {
        assert_eq!(read(&core(&format!("{text};"))), *expected, "{text}");
        let name = text.split(' ').next().unwrap();
        let found = found_in_server(&format!("{name} x;"));
        assert!(
            found[0].starts_with(&format!("\"{name}\" directive invalid ")),
            "{found:?}"
        );
    }
}

#[test]
fn words() {
    assert_eq!(
        core("lingering_close always;").lingering_close,
        LingeringClose::Always
    );
    assert_eq!(core("satisfy any;").satisfy, Satisfy::Any);
    assert_eq!(core("auth_delay 2s;").auth_delay.as_secs(), 2);
    assert_eq!(
        core("server_tokens build;").server_tokens,
        ServerTokens::Build
    );
    assert_eq!(
        core("if_modified_since Before;").if_modified_since,
        IfModifiedSince::Before
    );
    let clean = core("client_body_in_file_only clean;").client_body_in_file_only;
    assert_eq!(clean, BodyInFile::Clean);
    assert_eq!(found_in_server("satisfy some;"), ["invalid value \"some\""]);
    for (text, msie6, safari) in [
        ("", true, false),
        ("keepalive_disable none;", false, false),
        ("keepalive_disable safari;", false, true),
        ("keepalive_disable msie6 safari;", true, true),
        (
            "keepalive_disable msie6; keepalive_disable safari;",
            true,
            true,
        ),
    ] {
        assert_eq!(
            core(text).keepalive_disable,
            KeepaliveDisable { msie6, safari },
            "{text}"
        );
    }
}

#[test]
fn caches_are_shared_where_settings_are() {
    let same = |text: &str| {
        in_http(text, |http| {
            let server = http.within(SERVER).next().unwrap();
            let caches = [of(http), of(server)].map(|core| Rc::clone(&core.file_cache));
            Rc::ptr_eq(&caches[0], &caches[1])
        })
    };
    for (text, expected) in [
        ("server { }", true),
        ("server { open_file_cache_valid 5s; }", true),
        ("open_file_cache max=10; server { root /a; }", true),
        (
            "open_file_cache max=10; server { open_file_cache_valid 5s; }",
            false,
        ),
        (
            "open_file_cache max=10; server { open_file_cache off; }",
            false,
        ),
        ("server { open_file_cache max=10 inactive=5s; }", false),
    ] {
        assert_eq!(same(text), expected, "{text}");
    }
    for (text, expected) in [
        ("max=0", "invalid \"open_file_cache\" parameter \"max=0\""),
        (
            "max=1 inactive=x",
            "invalid \"open_file_cache\" parameter \"inactive=x\"",
        ),
        ("on", "invalid \"open_file_cache\" parameter \"on\""),
        (
            "inactive=5s",
            "\"open_file_cache\" must have the \"max\" parameter",
        ),
    ] {
        assert_eq!(
            found_in_http(&format!("open_file_cache {text};")),
            [expected],
            "{text}"
        );
    }
}

#[test]
fn locations_that_change_nothing_share_their_server_s_values() {
    in_server("root /a; open_file_cache max=3; location / { }", |server| {
        let location = server.within(LOCATION).next().unwrap();
        assert!(Rc::ptr_eq(&of(server), &of(location)));
        assert!(server.settings.shares::<CoreModule>(&location.settings));
    });
}

#[test]
fn tuning_is_accepted() {
    let text = "aio threads=a; aio_write on; directio 4m; directio_alignment 4k; read_ahead 0; \
                output_buffers 1 32k; postpone_output 0; send_lowat 1; msie_padding off; \
                msie_refresh on; subrequest_output_buffer_size 8k; types_hash_max_size 1; \
                types_hash_bucket_size 1; open_file_cache_events on; \
                client_body_in_single_buffer on;";
    let once = "connection_pool_size 256; request_pool_size 4k; variables_hash_max_size 1; \
                variables_hash_bucket_size 1; server_names_hash_max_size 1; \
                server_names_hash_bucket_size 1; optimize_server_names off;";
    let all = format!("{once} {text} server {{ {text} location / {{ {text} }} }}");
    assert!(found_in_http(&all).is_empty());
}
