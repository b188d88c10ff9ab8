//! `-h`, `-v`, `-V`: on standard error, as nginx does.

use std::env::consts::{ARCH, OS};
use std::io::{Write, stderr};

use super::options::Options;
use super::paths::{CONFIGURATION, ERROR_LOG};
use crate::modules::ALL;

const HELP: &str = "\
Usage: rowhouse [-?hvVtTq] [-s signal] [-p prefix]
                [-e filename] [-c filename] [-g directives]
       rowhouse directives [name | --markdown | --man]

Options:
  -?,-h         : this help
  -v            : show version and exit
  -V            : show version and how it was built, then exit
  -t            : test configuration and exit
  -T            : test configuration, dump it and exit
  -q            : suppress non-error messages during configuration testing
  -s signal     : send signal to a master process: stop, quit, reopen, reload
  -p prefix     : set prefix path (default: the current directory)
  -e filename   : set error log file (default: logs/error.log)
  -c filename   : set configuration file (default: conf/server.conf)
  -g directives : set global directives out of configuration file

";

/// What nginx calls its optional parts, each with a directive that is there if the part is.
const PARTS: &[(&str, &str)] = &[
    ("http_addition_module", "add_before_body"),
    ("http_auth_request_module", "auth_request"),
    ("http_dav_module", "dav_methods"),
    ("http_gunzip_module", "gunzip"),
    ("http_gzip_static_module", "gzip_static"),
    ("http_random_index_module", "random_index"),
    ("http_realip_module", "set_real_ip_from"),
    ("http_secure_link_module", "secure_link"),
    ("http_slice_module", "slice"),
    ("http_ssl_module", "ssl_certificate"),
    ("http_stub_status_module", "stub_status"),
    ("http_sub_module", "sub_filter"),
    ("http_v2_module", "http2"),
    ("http_v3_module", "http3"),
    ("stream", "stream"),
];

/// What nginx's `configure` would have been told to build this: tools look there for what the
/// program can do.
fn configure_arguments() -> String {
    let mut arguments = format!("--conf-path={CONFIGURATION} --error-log-path={ERROR_LOG}");
    let rows: Vec<_> = ALL.iter().flat_map(|module| module.rows()).collect();
    for (part, directive) in PARTS {
        if rows.iter().any(|row| row.name == *directive) {
            arguments += " --with-";
            arguments += part;
        }
    }
    arguments + " --with-poll_module --with-select_module"
}

/// Shows what the options ask for.
pub fn show(options: &Options) {
    let mut text = format!("{} version: {}\n", crate::NAME, crate::NAME_AND_VERSION);
    if options.help {
        text.push_str(HELP);
    }
    if options.build {
        let arguments = configure_arguments();
        text += &format!("built for {ARCH} {OS}\nconfigure arguments: {arguments}\n");
    }
    // There is nobody to tell that nobody reads it.
    let _ = stderr().write_all(text.as_bytes());
}
