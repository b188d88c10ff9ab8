//! `-h`, `-v`, `-V`: on standard error, as nginx does.

use std::env::consts::{ARCH, OS};
use std::io::{Write, stderr};

use super::options::Options;

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

/// Shows what the options ask for.
pub fn show(options: &Options) {
    let mut text = format!("{} version: {}\n", crate::NAME, crate::NAME_AND_VERSION);
    if options.help {
        text.push_str(HELP);
    }
    if options.build {
        text.push_str(&format!("built for {ARCH} {OS}\nconfigure arguments:\n"));
    }
    // There is nobody to tell that nobody reads it.
    let _ = stderr().write_all(text.as_bytes());
}
