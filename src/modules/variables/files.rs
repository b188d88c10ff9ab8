//! Variables of the file a request maps to.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::{Found, text};
use crate::exchange::{Exchange, Variable};
use crate::log::errno::Errno;
use crate::log::level::Level;

pub(super) const ROWS: &[Variable] = &[
    Variable::plain(
        "document_root",
        "What `root` or `alias` says for this request.",
        |exchange, out| text(&exchange.document_root(), out),
    ),
    Variable::plain(
        "realpath_root",
        "The same as `$document_root`, with all symbolic links resolved.",
        real_root,
    ),
    Variable::plain(
        "request_filename",
        "The file the request maps to.",
        |exchange, out| text(&exchange.map_path().ok()?, out),
    ),
];

fn real_root(exchange: &Exchange, out: &mut Vec<u8>) -> Found {
    let root = exchange.document_root();
    match std::fs::canonicalize(OsStr::from_bytes(&root)) {
        Ok(real) => text(real.as_os_str().as_bytes(), out),
        Err(error) => {
            let root = String::from_utf8_lossy(&root);
            let message = format_args!("realpath() \"{root}\" failed {}", Errno(&error));
            exchange.log(Level::Crit, message);
            None
        }
    }
}
