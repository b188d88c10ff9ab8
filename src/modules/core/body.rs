//! Request bodies: how large, how fast, and where they wait.

use std::path::PathBuf;
use std::rc::Rc;

use super::{Row, flag, row};
use crate::config::context::HTTP_SERVER_LOCATION;
use crate::config::tree::bytes_of;
use crate::config::units;
use crate::config::{Mistake, Use};
use crate::exchange::{BodyInFile, TempPath};

/// The most digits all levels of folders may take together.
const MAX_DIGITS: u64 = 10;

pub(super) const ROWS: &[Row] = &[
    row("client_max_body_size", HTTP_SERVER_LOCATION)
        .syntax("size")
        .default("1m")
        .doc("Refuses larger request bodies with 413; 0 means there is no limit.")
        .set(|s, d| d.offset(0).map(|size| s.edit().client_max_body_size = size)),
    row("client_body_buffer_size", HTTP_SERVER_LOCATION)
        .syntax("size")
        .default("8k")
        .doc("Keeps request bodies of up to this size in memory, larger ones in a file.")
        .set(|s, d| {
            s.edit().client_body_buffer_size = usize::try_from(d.size(0)?).unwrap_or(usize::MAX);
            Ok(())
        }),
    row("client_body_timeout", HTTP_SERVER_LOCATION)
        .syntax("time")
        .default("60s")
        .doc("Answers 408 when a client sends nothing of its request body for so long.")
        .set(|s, d| d.duration(0).map(|time| s.edit().client_body_timeout = time)),
    row("client_body_temp_path", HTTP_SERVER_LOCATION)
        .syntax("path [level1 [level2 [level3]]]")
        .default("client_body_temp")
        .between(1, 4)
        .doc("Names the folder for request bodies, with up to three levels of folders below it.")
        .set(|s, d| {
            s.edit().client_body_temp_path = Rc::new(temp_path_row(d)?);
            Ok(())
        }),
    row("client_body_in_file_only", HTTP_SERVER_LOCATION)
        .syntax("on | clean | off")
        .default("off")
        .doc("Puts every request body into a file, which stays (on) or goes with the request (clean).")
        .set(|s, d| {
            s.edit().client_body_in_file_only = d.one_of(
                0,
                &[("off", BodyInFile::Off), ("on", BodyInFile::On), ("clean", BodyInFile::Clean)],
            )?;
            Ok(())
        }),
    flag("client_body_in_single_buffer", HTTP_SERVER_LOCATION, "off")
        .doc("Keeps a request body in one piece of memory, as is always done.")
        .tunes(),
];

/// A folder for temporary files.
pub(super) fn temp_path(path: PathBuf, levels: [u8; 3]) -> TempPath {
    TempPath {
        path: bytes_of(path),
        levels,
    }
}

/// The folder a row's arguments name, checked.
pub fn temp_path_row(d: &Use<'_>) -> Result<TempPath, Mistake> {
    let path = d.arg(0).strip_suffix(b"/").unwrap_or(d.arg(0));
    Ok(temp_path(d.resolve_prefix(path), levels(d)?))
}

/// The levels of subfolders that follow a folder: how many digits name those of each level.
pub fn levels(d: &Use<'_>) -> Result<[u8; 3], Mistake> {
    let mut levels = [0; 3];
    let mut digits = 0;
    for (i, level) in (1..d.count()).zip(&mut levels) {
        let invalid = || d.complaint(i, "invalid value");
        let number = units::number(d.arg(i)).filter(|number| (1..=MAX_DIGITS).contains(number));
        let number = number.ok_or_else(invalid)?;
        digits += number;
        if digits > MAX_DIGITS {
            return Err(invalid());
        }
        *level = number as u8;
    }
    Ok(levels)
}
