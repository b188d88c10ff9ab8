//! Directives that tune what is done otherwise here: accepted, without effect.

use super::{Row, flag, row};
use crate::config::context::{HTTP, HTTP_SERVER_LOCATION, SERVER};

/// A row for a size in bytes.
const fn amount(name: &'static str, contexts: u32, default: &'static str) -> Row {
    row(name, contexts).syntax("size").default(default)
}

/// A row for a number.
const fn number(name: &'static str, contexts: u32, default: &'static str) -> Row {
    row(name, contexts).syntax("number").default(default)
}

pub(super) const ROWS: &[Row] = &[
    row("aio", HTTP_SERVER_LOCATION)
        .syntax("on | off | threads[=pool]")
        .default("off")
        .doc("Reads files asynchronously; here the page cache is read as it is.")
        .tunes(),
    flag("aio_write", HTTP_SERVER_LOCATION, "off")
        .doc("Writes files asynchronously; here they are written at once.")
        .tunes(),
    row("directio", HTTP_SERVER_LOCATION)
        .syntax("size | off")
        .default("off")
        .doc("Reads large files past the page cache; here no file is.")
        .tunes(),
    amount("directio_alignment", HTTP_SERVER_LOCATION, "512")
        .doc("Sets the alignment of reads past the page cache.")
        .tunes(),
    row("output_buffers", HTTP_SERVER_LOCATION)
        .syntax("number size")
        .default("2 32k")
        .takes(2)
        .doc("Sets the buffers files are read into; here their size is fixed.")
        .tunes(),
    amount("postpone_output", HTTP_SERVER_LOCATION, "1460")
        .doc("Holds back less output than this; here everything goes out once a turn of the loop.")
        .tunes(),
    amount("read_ahead", HTTP_SERVER_LOCATION, "0")
        .doc("Tells the kernel how much of a file to read in advance; here it decides by itself.")
        .tunes(),
    amount("send_lowat", HTTP_SERVER_LOCATION, "0")
        .doc("Waits until the kernel has room for so much, on systems other than Linux.")
        .tunes(),
    flag("msie_padding", HTTP_SERVER_LOCATION, "on")
        .doc("Lengthens error pages for a browser that is gone.")
        .tunes(),
    flag("msie_refresh", HTTP_SERVER_LOCATION, "off")
        .doc("Sends pages instead of redirects to a browser that is gone.")
        .tunes(),
    amount("subrequest_output_buffer_size", HTTP_SERVER_LOCATION, "4k")
        .doc("Sets the buffer for responses kept in memory; here it grows as needed.")
        .tunes(),
    amount("connection_pool_size", HTTP | SERVER, "512")
        .doc("Sets what a connection allocates at once; here memory is not pooled.")
        .tunes(),
    amount("request_pool_size", HTTP | SERVER, "4k")
        .doc("Sets what a request allocates at once; here memory is not pooled.")
        .tunes(),
    number("types_hash_max_size", HTTP_SERVER_LOCATION, "1024")
        .doc("Limits a hash table that here grows as needed.")
        .tunes(),
    number("types_hash_bucket_size", HTTP_SERVER_LOCATION, "64")
        .doc("Sets the buckets of a hash table that here has none.")
        .tunes(),
    number("variables_hash_max_size", HTTP, "1024")
        .doc("Limits a hash table that here grows as needed.")
        .tunes(),
    number("variables_hash_bucket_size", HTTP, "64")
        .doc("Sets the buckets of a hash table that here has none.")
        .tunes(),
    number("server_names_hash_max_size", HTTP, "512")
        .doc("Limits a hash table that here grows as needed.")
        .tunes(),
    number("server_names_hash_bucket_size", HTTP, "64")
        .doc("Sets the buckets of a hash table that here has none.")
        .tunes(),
    row("resolver", HTTP_SERVER_LOCATION)
        .syntax("address ... [valid=time] [ipv4=on|off] [ipv6=on|off]")
        .at_least(1)
        .doc("Names the servers that look up names of upstream servers; here are none.")
        .tunes(),
    row("resolver_timeout", HTTP_SERVER_LOCATION)
        .syntax("time")
        .default("30s")
        .doc("Limits how long looking up a name takes.")
        .tunes(),
    row("early_hints", HTTP_SERVER_LOCATION)
        .syntax("string ...")
        .at_least(1)
        .doc("Passes responses 103 of upstream servers on; here are none.")
        .tunes_each(),
    flag("optimize_server_names", HTTP | SERVER, "on")
        .doc("Leaves out checks of the host that are never made here; nginx has dropped the directive.")
        .tunes(),
];
