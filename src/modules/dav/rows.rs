//! The directives of WebDAV.

use std::rc::Rc;

use super::Settings;
use super::locks::{DEFAULT_TIMEOUT, Locks};
use crate::config::context::{HTTP, HTTP_SERVER_LOCATION};
use crate::config::{Directive, Mistake, Outcome, Use, directive, units};
use crate::exchange::Zone;
use crate::http::Method;

/// Stands for `off`, which must be something to end inheritance.
pub(super) const OFF: u32 = 1 << 31;

const METHODS: &[(&str, u32)] = &[
    ("off", OFF),
    ("put", Method::Put.bit()),
    ("delete", Method::Delete.bit()),
    ("mkcol", Method::Mkcol.bit()),
    ("copy", Method::Copy.bit()),
    ("move", Method::Move.bit()),
];

const EXT_METHODS: &[(&str, u32)] = &[
    ("off", OFF),
    ("propfind", Method::Propfind.bit()),
    ("proppatch", Method::Proppatch.bit()),
    ("options", Method::Options.bit()),
    ("lock", Method::Lock.bit()),
    ("unlock", Method::Unlock.bit()),
];

pub(super) const ROWS: &[Directive<Settings>] = &[
    directive::<Settings>("dav_methods")
        .syntax("off | method ...")
        .default("off")
        .contexts(HTTP_SERVER_LOCATION)
        .at_least(1)
        .doc("Allows the WebDAV methods PUT, DELETE, MKCOL, COPY and MOVE.")
        .append(
            |settings| settings.methods = 0,
            |settings, d| {
                settings.methods |= d.bits_from(0, METHODS)?;
                Ok(())
            },
        ),
    directive("create_full_put_path")
        .syntax("on | off")
        .default("off")
        .contexts(HTTP_SERVER_LOCATION)
        .flag()
        .doc("Lets PUT make the folders that are missing on the way to its file.")
        .set(|settings, d| {
            settings.create_full_put_path = d.flag()?;
            Ok(())
        }),
    directive("min_delete_depth")
        .syntax("number")
        .default("0")
        .contexts(HTTP_SERVER_LOCATION)
        .doc("Lets DELETE remove only what has at least so many elements in its path.")
        .set(|settings, d| {
            settings.min_delete_depth = d.number(0)?;
            Ok(())
        }),
    directive("dav_access")
        .syntax("users:permissions ...")
        .default("user:rw")
        .contexts(HTTP_SERVER_LOCATION)
        .between(1, 3)
        .doc("Sets the permissions of files and folders that are made: user, group, all; r or rw.")
        .set(|settings, d| {
            settings.access = access(d)?;
            Ok(())
        }),
    directive("dav_rfc4918")
        .syntax("on | off")
        .default("off")
        .contexts(HTTP_SERVER_LOCATION)
        .flag()
        .doc("Follows RFC 4918 where nginx does not: folders named without a slash, COPY of depth 0, If-Match, 201 and 409.")
        .set(|settings, d| {
            settings.rfc4918 = d.flag()?;
            Ok(())
        }),
    directive("dav_ext_methods")
        .syntax("off | [propfind] [proppatch] [options] [lock] [unlock]")
        .default("off")
        .contexts(HTTP_SERVER_LOCATION)
        .at_least(1)
        .doc("Allows the WebDAV methods PROPFIND, PROPPATCH, OPTIONS, LOCK and UNLOCK.")
        .append(
            |settings| settings.ext_methods = 0,
            |settings, d| {
                settings.ext_methods |= d.bits_from(0, EXT_METHODS)?;
                Ok(())
            },
        ),
    directive("dav_ext_lock_zone")
        .syntax("zone=name:size [timeout=time]")
        .contexts(HTTP)
        .between(1, 2)
        .doc(
            "Declares a zone for WebDAV's locks, and how long a lock lasts unless it is refreshed.",
        )
        .repeat(|_, d| lock_zone(d)),
    directive("dav_ext_lock")
        .syntax("zone=name")
        .contexts(HTTP_SERVER_LOCATION)
        .doc("Turns WebDAV's locks on and keeps them in a zone.")
        .set(|settings, d| {
            let name = d
                .parameter(0, "zone=")
                .ok_or_else(|| d.invalid_parameter(0))?;
            settings.locks = Some(d.zone(0, name)?);
            Ok(())
        }),
];

/// Declares a zone of locks.
fn lock_zone(d: &Use<'_>) -> Outcome {
    let (mut zone, mut timeout) = (None, DEFAULT_TIMEOUT);
    for i in 0..d.count() {
        if let Some(declared) = d.parameter(i, "zone=") {
            zone = Some(d.new_zone(i, declared)?);
        } else if let Some(time) = d.parameter(i, "timeout=") {
            let seconds = units::time_secs(time).filter(|seconds| *seconds > 0);
            timeout = seconds.ok_or_else(|| d.invalid_parameter(i))?;
        } else {
            return Err(d.invalid_parameter(i));
        }
    }
    let zone: Rc<Zone<Locks>> =
        zone.ok_or_else(|| d.mistake(0, "\"dav_ext_lock_zone\" must have \"zone\" parameter"))?;
    match zone.define(Locks { timeout }) {
        true => Ok(()),
        false => {
            let name = String::from_utf8_lossy(zone.name());
            Err(d.mistake(0, format!("duplicate zone \"{name}\"")))
        }
    }
}

/// Reads `user:rw group:r all:r`; the user may read and write unless told otherwise.
fn access(d: &Use<'_>) -> Result<u32, Mistake> {
    let (mut access, mut user) = (0, 0o600);
    for i in 0..d.count() {
        let invalid = || d.mistake(i, format!("invalid value \"{}\"", d.lossy(i)));
        let groups = [("user:", 6), ("group:", 3), ("all:", 0)];
        let mut groups = groups.iter();
        let found = groups.find_map(|(who, shift)| Some((d.parameter(i, who)?, *shift)));
        let (right, shift) = found.ok_or_else(invalid)?;
        if shift == 6 {
            user = 0;
        }
        access |= match right {
            b"rw" => 6 << shift,
            b"r" => 4 << shift,
            _ => return Err(invalid()),
        };
    }
    Ok(access | user)
}
