//! The directives and variables of nginx's upload module that speak of handing over.

use std::os::unix::ffi::OsStrExt;

use crate::config::context::HTTP_SERVER_LOCATION;
use crate::config::{Directive, directive};
use crate::exchange::{Exchange, Variable};

use super::super::names::hex;
use super::super::rows::Settings;
use super::Uploaded;

const fn row(name: &'static str) -> Directive<Settings> {
    directive(name).contexts(HTTP_SERVER_LOCATION)
}

/// What other locations get in place of files.
pub const ROWS: &[Directive<Settings>] = &[
    row("upload_pass")
        .syntax("uri | @name")
        .doc("Hands forms over to another location once their files are stored, with fields about the files in place of them; the files get numbers for names.")
        .set(|s, d| {
            s.handover.to = Some(d.template(0)?);
            Ok(())
        }),
    row("upload_pass_args")
        .syntax("on | off")
        .default("off")
        .flag()
        .doc("Hands the request's arguments over as well, if \"upload_pass\" names no named location.")
        .set(|s, d| d.flag().map(|on| s.handover.pass_args = on)),
    row("upload_set_form_field")
        .syntax("name value")
        .takes(2)
        .doc("Adds a field for each file to the form that is handed over.")
        .append(
            |s| s.handover.fields.clear(),
            |s, d| {
                s.handover.fields.push((d.template(0)?, d.template(1)?));
                Ok(())
            },
        ),
    row("upload_aggregate_form_field")
        .syntax("name value")
        .takes(2)
        .doc("Adds a field for each file to the form that is handed over; its digests and size are known there.")
        .append(
            |s| {
                s.handover.aggregates.clear();
                s.handover.with_sums = false;
            },
            |s, d| {
                s.handover.aggregates.push((d.template(0)?, d.template(1)?));
                let names = [d.arg(0), d.arg(1)];
                let sums = ["md5", "sha1", "crc32"].map(|sum| format!("upload_file_{sum}"));
                s.handover.with_sums |= sums.iter().any(|sum| {
                    names.iter().any(|name| memchr::memmem::find(name, sum.as_bytes()).is_some())
                });
                Ok(())
            },
        ),
    row("upload_pass_form_field")
        .syntax("regex")
        .doc("Hands over those of the form's own fields whose names match; by default none.")
        .append(
            |s| s.handover.passed.clear(),
            |s, d| {
                s.handover.passed.push(d.pattern(0, false)?);
                Ok(())
            },
        ),
    row("upload_tame_arrays")
        .syntax("on | off")
        .default("off")
        .flag()
        .doc("Drops \"[]\" at the end of names of fields that bring files.")
        .set(|s, d| d.flag().map(|on| s.handover.tame_arrays = on)),
    row("upload_max_output_body_len")
        .syntax("size")
        .default("100k")
        .doc("Limits the form that is handed over; a longer one is answered with 413; 0 is no limit.")
        .set(|s, d| d.offset(0).map(|size| s.handover.max_output = size)),
];

/// Of the file whose fields are just being made.
pub const VARIABLES: &[Variable] = &[
    Variable::plain(
        "upload_field_name",
        "The name of the field a file came in.",
        |e, out| put(out, &uploaded(e)?.field),
    ),
    Variable::plain(
        "upload_content_type",
        "The media type a client gave its file.",
        |e, out| put(out, &uploaded(e)?.content_type),
    ),
    Variable::plain(
        "upload_file_name",
        "The name a client gave its file, made harmless.",
        |e, out| put(out, &uploaded(e)?.name),
    ),
    Variable::plain(
        "upload_tmp_path",
        "The path a file was stored at.",
        |e, out| put(out, uploaded(e)?.path.as_os_str().as_bytes()),
    ),
    Variable::plain(
        "upload_file_size",
        "The size of a stored file in bytes.",
        |e, out| put(out, uploaded(e)?.size.to_string()),
    ),
    Variable::plain(
        "upload_file_number",
        "The place of a file among those of its form, from 1.",
        |e, out| put(out, uploaded(e)?.number.to_string()),
    ),
    Variable::plain("upload_file_md5", "The MD5 of a stored file.", |e, out| {
        put(out, &uploaded(e)?.sums.md5)
    }),
    Variable::plain(
        "upload_file_md5_uc",
        "The MD5 of a stored file in upper case.",
        |e, out| put(out, uploaded(e)?.sums.md5.to_uppercase()),
    ),
    Variable::plain(
        "upload_file_sha1",
        "The SHA-1 of a stored file.",
        |e, out| put(out, &uploaded(e)?.sums.sha1),
    ),
    Variable::plain(
        "upload_file_sha1_uc",
        "The SHA-1 of a stored file in upper case.",
        |e, out| put(out, uploaded(e)?.sums.sha1.to_uppercase()),
    ),
    Variable::plain(
        "upload_file_sha256",
        "The SHA-256 of a stored file.",
        |e, out| put(out, hex(&uploaded(e)?.sha256)),
    ),
    Variable::plain(
        "upload_file_sha256_uc",
        "The SHA-256 of a stored file in upper case.",
        |e, out| put(out, hex(&uploaded(e)?.sha256).to_uppercase()),
    ),
    Variable::plain(
        "upload_file_crc32",
        "The CRC-32 of a stored file.",
        |e, out| put(out, &uploaded(e)?.sums.crc32),
    ),
];

fn uploaded(exchange: &Exchange) -> Option<&Uploaded> {
    exchange.noted()
}

fn put(out: &mut Vec<u8>, value: impl AsRef<[u8]>) -> Option<()> {
    out.extend_from_slice(value.as_ref());
    Some(())
}
