//! Where nginx buffers upstreams' responses on disk, which never happens here.

use crate::config::context::HTTP_SERVER_LOCATION;
use crate::config::{Directive, Module, directive};
use crate::modules::core::temp_path_row;

/// The folders for temporary files of upstream modules.
pub struct TempPaths;

/// There is nothing to be kept.
#[derive(Clone, Default)]
pub struct Settings;

const fn row(name: &'static str) -> Directive<Settings> {
    directive(name)
        .syntax("path [level1 [level2 [level3]]]")
        .contexts(HTTP_SERVER_LOCATION)
        .between(1, 4)
        .doc("Names a folder for buffered responses; responses are not buffered on disk.")
        .set(|_, d| temp_path_row(d).map(drop))
}

impl Module for TempPaths {
    type Settings = Settings;
    const NAME: &'static str = "temp_paths";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        row("proxy_temp_path").default("proxy_temp"),
        row("fastcgi_temp_path").default("fastcgi_temp"),
        row("uwsgi_temp_path").default("uwsgi_temp"),
        row("scgi_temp_path").default("scgi_temp"),
    ];
}

#[cfg(test)]
mod tests {
    use crate::modules::fixture::found_in_http;

    #[test]
    fn accepted() {
        let text = "proxy_temp_path a 1 2; server { fastcgi_temp_path a; uwsgi_temp_path /b; \
                    location / { scgi_temp_path c 1 2 3; } }";
        assert!(found_in_http(text).is_empty());
        let wrong = found_in_http("proxy_temp_path a 0;");
        assert_eq!(wrong, ["\"proxy_temp_path\" directive invalid value"]);
    }
}
