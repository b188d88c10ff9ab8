//! The directives of uploads. Those that nginx's upload module has mean what it means by them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use super::handover::Handover;
use crate::config::context::HTTP_SERVER_LOCATION;
use crate::config::tree::bytes_of;
use crate::config::units;
use crate::config::{Directive, Mistake, Use, directive};
use crate::exchange::Template;
use crate::modules::core::body::levels;

/// What happens to an upload whose name is taken (`upload_exists`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exists {
    /// It is refused with 409.
    Refuse,
    /// It replaces the file there is, at once and whole.
    Replace,
    /// It gets a number in its name.
    Number,
}

/// How a location stores files.
#[derive(Clone)]
#[allow(missing_docs)] // Each field is the directive of the same name; 0 is no limit.
pub struct Settings {
    pub store: Option<Template>,
    /// Digits of the names of subfolders, level by level.
    pub store_levels: [u8; 3],
    pub url: Option<Template>,
    pub redirect: Option<Template>,
    /// Permission bits.
    pub access: u32,
    pub exists: Exists,
    pub max_file_size: u64,
    pub max_part_header_len: usize,
    pub max_files: u64,
    pub max_field_size: u64,
    pub limit_rate: u64,
    pub quota: u64,
    pub min_free: u64,
    pub resumable: bool,
    pub fsync: bool,
    pub state_store: Option<PathBuf>,
    pub state_levels: [u8; 3],
    pub expires: Duration,
    /// First and last status of each range.
    pub cleanup: Rc<[(u16, u16)]>,
    /// What other locations get.
    pub handover: Handover,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            store: None,
            store_levels: [0; 3],
            url: None,
            redirect: None,
            access: 0o600,
            exists: Exists::Refuse,
            max_file_size: 0,
            max_part_header_len: 512,
            max_files: 100,
            max_field_size: 64 << 10,
            limit_rate: 0,
            quota: 0,
            min_free: 0,
            resumable: false,
            fsync: false,
            state_store: None,
            state_levels: [0; 3],
            expires: Duration::from_secs(24 * 60 * 60),
            cleanup: Rc::from([]),
            handover: Handover {
                max_output: 100 << 10,
                ..Handover::default()
            },
        }
    }
}

impl Settings {
    /// The folders that do not exist yet: they are to be made, and given to those who write to
    /// them. One that exists belongs to whom it belongs, and what requests name is made by requests.
    pub fn missing_folders(&self) -> Vec<Vec<u8>> {
        let Some(store) = &self.store else {
            return Vec::new();
        };
        let state = self.state_store.clone().map(bytes_of);
        let folders = store.literal().map(<[u8]>::to_vec).into_iter().chain(state);
        folders
            .filter(|path| !Path::new(OsStr::from_bytes(path)).exists())
            .collect()
    }

    /// Whether `upload_cleanup` names that status.
    pub fn cleans_up(&self, status: u16) -> bool {
        let mut ranges = self.cleanup.iter();
        ranges.any(|(first, last)| (first..=last).contains(&&status))
    }
}

type Row = Directive<Settings>;

const fn row(name: &'static str) -> Row {
    directive(name).contexts(HTTP_SERVER_LOCATION)
}

/// Where files go, and what is said of them.
pub(super) const STORING: &[Row] = &[
    row("upload_store")
        .syntax("directory [level1 [level2 [level3]]] | off")
        .default("off")
        .between(1, 4)
        .doc("Keeps the files that clients send with POST or PUT in this folder, which may contain variables, or in subfolders chosen by the last digits of their names' SHA-256.")
        .set(|s, d| {
            s.store = folder(d)?;
            s.store_levels = levels(d)?;
            Ok(())
        }),
    row("upload_store_access")
        .syntax("users:permissions ...")
        .default("user:rw")
        .between(1, 3)
        .doc("Sets who may read and write stored files, as in \"user:rw group:r all:r\".")
        .set(|s, d| {
            s.access = access(d)?;
            Ok(())
        }),
    row("upload_exists")
        .syntax("refuse | replace | number")
        .default("refuse")
        .doc("Says what becomes of an upload whose name is taken: 409, in its place, or under a name with a number.")
        .set(|s, d| {
            let words = [
                ("refuse", Exists::Refuse),
                ("replace", Exists::Replace),
                ("number", Exists::Number),
            ];
            s.exists = d.one_of(0, &words)?;
            Ok(())
        }),
    row("upload_fsync")
        .syntax("on | off")
        .default("off")
        .flag()
        .doc("Has each file on disk before it gets its name, and the name before the answer, so that what was answered survives a power failure.")
        .set(|s, d| d.flag().map(|on| s.fsync = on)),
    row("upload_url")
        .syntax("uri")
        .doc("Sets under which URI stored files are found, for the answer; by default it is that of the location.")
        .set(|s, d| {
            s.url = Some(d.template(0)?);
            Ok(())
        }),
    row("upload_redirect")
        .syntax("uri")
        .doc("Sends browsers there with 303 once their form is stored; by default to the first file.")
        .set(|s, d| {
            s.redirect = Some(d.template(0)?);
            Ok(())
        }),
];

/// How much may come, and how fast.
pub(super) const LIMITS: &[Row] = &[
    row("upload_max_file_size")
        .syntax("size")
        .default("0")
        .doc("Leaves larger files out: of a form the others are stored, a file alone is refused with 413; 0 is no limit.")
        .set(|s, d| d.offset(0).map(|size| s.max_file_size = size)),
    row("upload_max_part_header_len")
        .syntax("size")
        .default("512")
        .doc("Limits the header of each part of a form; a longer one is answered with 400.")
        .set(|s, d| {
            s.max_part_header_len = usize::try_from(d.size(0)?).unwrap_or(usize::MAX);
            Ok(())
        }),
    row("upload_max_files")
        .syntax("number")
        .default("100")
        .doc("Limits how many parts a form may have, files and fields together; more are answered with 413.")
        .set(|s, d| d.number(0).map(|number| s.max_files = number)),
    row("upload_max_field_size")
        .syntax("size")
        .default("64k")
        .doc("Limits all fields of a form together that are no files; more is answered with 413.")
        .set(|s, d| d.size(0).map(|size| s.max_field_size = size)),
    row("upload_limit_rate")
        .syntax("rate")
        .default("0")
        .doc("Limits how many bytes each second an upload may bring; 0 is no limit.")
        .set(|s, d| d.size(0).map(|rate| s.limit_rate = rate)),
    row("upload_quota")
        .syntax("size")
        .default("0")
        .doc("Limits what all files of the folder may take up together; more is answered with 507; 0 is no limit.")
        .set(|s, d| d.offset(0).map(|size| s.quota = size)),
    row("upload_min_free")
        .syntax("size")
        .default("0")
        .doc("Answers 507 to uploads that would leave less than this free in the file system.")
        .set(|s, d| d.offset(0).map(|size| s.min_free = size)),
    row("upload_buffer_size")
        .syntax("size")
        .default("4k")
        .doc("Sets how much is written at once; what has arrived is always written at once.")
        .tunes(),
];

/// Uploads that survive interruptions.
pub(super) const RESUMING: &[Row] = &[
    row("upload_resumable")
        .syntax("on | off")
        .default("off")
        .flag()
        .doc("Lets clients resume interrupted uploads, by the IETF's protocol or by tus 1.0.")
        .set(|s, d| d.flag().map(|on| s.resumable = on)),
    row("upload_state_store")
        .syntax("directory [level1 [level2 [level3]]]")
        .between(1, 4)
        .doc("Keeps unfinished uploads in this folder or subfolders of it, which must be in the store's file system; by default in \".uploads\" below the store.")
        .set(|s, d| {
            s.state_store = Some(d.prefix_path(0));
            s.state_levels = levels(d)?;
            Ok(())
        }),
    row("upload_expires")
        .syntax("time")
        .default("1d")
        .doc("Removes unfinished uploads nothing was added to for so long.")
        .set(|s, d| d.time_secs(0).map(|time| s.expires = Duration::from_secs(time))),
    row("upload_cleanup")
        .syntax("status | first-last ...")
        .at_least(1)
        .doc("Removes what came of an upload when its request ends with one of these statuses, instead of keeping it to be resumed or for whom it was handed to.")
        .set(|s, d| {
            s.cleanup = (0..d.count()).map(|i| statuses(d, i)).collect::<Result<_, _>>()?;
            Ok(())
        }),
];

/// The store's folder: a path, relative to the prefix, that may contain variables.
fn folder(d: &Use<'_>) -> Result<Option<Template>, Mistake> {
    let path = d.arg(0);
    if path == b"off" {
        return Ok(None);
    }
    let path = path.strip_suffix(b"/").unwrap_or(path);
    if path.is_empty() {
        return Err(d.mistake(
            0,
            "\"upload_store\" must not be the root of the file system",
        ));
    }
    d.template_of(0, &bytes_of(d.resolve_prefix(path)))
        .map(Some)
}

/// `user:rw group:r all:r` as permission bits; the owner may always read and write unless named.
fn access(d: &Use<'_>) -> Result<u32, Mistake> {
    let mut bits = 0;
    let mut owner_named = false;
    for i in 0..d.count() {
        let (who, rights) = d
            .arg(i)
            .split_at(memchr::memchr(b':', d.arg(i)).unwrap_or(d.arg(i).len()));
        let shift = match who {
            b"user" => 6,
            b"group" => 3,
            b"all" => 0,
            _ => return Err(d.complaint(i, "invalid value")),
        };
        owner_named |= shift == 6;
        bits |= match rights {
            b":rw" => 0o6 << shift,
            b":r" => 0o4 << shift,
            _ => return Err(d.complaint(i, "invalid value")),
        };
    }
    Ok(if owner_named { bits } else { bits | 0o600 })
}

/// One argument of `upload_cleanup`.
fn statuses(d: &Use<'_>, i: usize) -> Result<(u16, u16), Mistake> {
    let status = |text: &[u8]| {
        let number = units::number(text).filter(|number| (400..600).contains(number))?;
        u16::try_from(number).ok()
    };
    let range = match memchr::memchr(b'-', d.arg(i)) {
        Some(dash) => status(&d.arg(i)[..dash]).zip(status(&d.arg(i)[dash + 1..])),
        None => status(d.arg(i)).map(|only| (only, only)),
    };
    let range = range.filter(|(first, last)| first <= last);
    range.ok_or_else(|| d.complaint(i, "invalid value"))
}
