//! Files: opening them in nginx's ways, what they are, and reading at an offset.

use super::fd::{append, own, set_flag};
use super::{check, retry};
use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::mem::MaybeUninit;
use std::ops::BitOr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::slice;

/// What names a file: bytes as they come from a request, or Rust's paths.
pub trait FileName {
    /// The name's bytes, without a terminating NUL.
    fn bytes(&self) -> &[u8];

    /// The same with a NUL behind it, where there is one already.
    fn terminated(&self) -> Option<&CStr> {
        None
    }
}

impl FileName for CStr {
    fn bytes(&self) -> &[u8] {
        self.to_bytes()
    }

    fn terminated(&self) -> Option<&CStr> {
        Some(self)
    }
}

macro_rules! file_name {
    ($($type:ty => |$name:ident| $bytes:expr),* $(,)?) => {
        $(impl FileName for $type {
            fn bytes(&self) -> &[u8] {
                let $name = self;
                $bytes
            }
        })*
    };
}

file_name! {
    [u8] => |name| name,
    Vec<u8> => |name| name,
    str => |name| name.as_bytes(),
    String => |name| name.as_bytes(),
    OsStr => |name| OsStrExt::as_bytes(name),
    Path => |name| OsStrExt::as_bytes(name.as_os_str()),
    PathBuf => |name| OsStrExt::as_bytes(name.as_os_str()),
}

/// Names up to this length are passed to the kernel without allocating.
const SHORT_NAME: usize = 384;

/// Passes the name to `call` with a NUL behind it.
///
/// # Errors
/// `InvalidInput` when the name itself contains a NUL, besides those of `call`.
pub(super) fn with_c_name<T>(
    name: &(impl FileName + ?Sized),
    call: impl FnOnce(&CStr) -> io::Result<T>,
) -> io::Result<T> {
    if let Some(name) = name.terminated() {
        return call(name);
    }
    let name = name.bytes();
    if name.len() < SHORT_NAME && memchr::memchr(0, name).is_none() {
        let mut short = MaybeUninit::<[u8; SHORT_NAME]>::uninit();
        let start = short.as_mut_ptr().cast::<u8>();
        // SAFETY: the name and the NUL behind it fit into `short`, and there is no other NUL.
        let name = unsafe {
            start.copy_from_nonoverlapping(name.as_ptr(), name.len());
            start.add(name.len()).write(0);
            CStr::from_bytes_with_nul_unchecked(slice::from_raw_parts(start, name.len() + 1))
        };
        return call(name);
    }
    call(&CString::new(name)?)
}

/// How to open a file. Every file is opened non-blocking and close-on-exec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags(libc::c_int);

impl Flags {
    /// For reading.
    pub const READ: Flags = Flags(libc::O_RDONLY);
    /// For writing.
    pub const WRITE: Flags = Flags(libc::O_WRONLY);
    /// For both.
    pub const READ_WRITE: Flags = Flags(libc::O_RDWR);
    /// Create it if it does not exist.
    pub const CREATE: Flags = Flags(libc::O_CREAT);
    /// Create it, and fail if it exists.
    pub const CREATE_NEW: Flags = Flags(libc::O_CREAT | libc::O_EXCL);
    /// Empty it.
    pub const TRUNCATE: Flags = Flags(libc::O_TRUNC);
    /// Every write goes to the end.
    pub const APPEND: Flags = Flags(libc::O_APPEND);
    /// Fail unless it is a directory.
    pub const DIRECTORY: Flags = Flags(libc::O_DIRECTORY);
    /// Fail with `ELOOP` if it is a symbolic link.
    pub const NO_FOLLOW: Flags = Flags(libc::O_NOFOLLOW);
    /// Only name it, as a starting point for others; needs search permission alone.
    const SEARCH: Flags = Flags(libc::O_PATH | libc::O_DIRECTORY);
}

impl BitOr for Flags {
    type Output = Flags;
    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

/// Opens a file; one that is created gets mode 0644.
pub fn open(path: &(impl FileName + ?Sized), flags: Flags) -> io::Result<OwnedFd> {
    open_mode(path, flags, 0o644)
}

/// Opens a file; one that is created gets `mode`, less the umask.
pub fn open_mode(path: &(impl FileName + ?Sized), flags: Flags, mode: u32) -> io::Result<OwnedFd> {
    open_at(libc::AT_FDCWD, path, flags, mode)
}

fn open_at(
    folder: RawFd,
    name: &(impl FileName + ?Sized),
    flags: Flags,
    mode: u32,
) -> io::Result<OwnedFd> {
    let flags = flags.0 | libc::O_NONBLOCK | libc::O_CLOEXEC;
    with_c_name(name, |name| {
        // SAFETY: `name` is terminated by a NUL.
        let fd = retry(|| check(unsafe { libc::openat(folder, name.as_ptr(), flags, mode) }))?;
        Ok(own(fd))
    })
}

/// Which symbolic links a name may pass through (`disable_symlinks`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symlinks {
    /// None: `disable_symlinks on`.
    Refused,
    /// Those whose owner also owns what they point to: `disable_symlinks if_not_owner`.
    SameOwner,
}

/// Opens a file, component by component, so that links can be refused (`disable_symlinks`).
///
/// The first `from` bytes of the path are trusted (`from=`): a prefix that is followed by a
/// slash. 0 checks every component.
///
/// # Errors
/// `ELOOP` or, in the middle of the path, `ENOTDIR` where a link is refused.
pub fn open_no_symlinks(
    path: &(impl FileName + ?Sized),
    from: usize,
    symlinks: Symlinks,
    flags: Flags,
) -> io::Result<OwnedFd> {
    let (mut folder, rest) = starting_point(path.bytes(), from)?;
    let mut components = rest.split(|byte| *byte == b'/');
    let last = components.next_back().unwrap_or_default();
    for component in components.filter(|component| !component.is_empty()) {
        folder = Some(step(folder.as_ref(), component, symlinks, Flags::SEARCH)?);
    }
    if last.is_empty() {
        // A trailing slash: the folder itself, with the flags asked for.
        return open_at(raw(folder.as_ref()), ".", flags, 0o644);
    }
    step(folder.as_ref(), last, symlinks, flags)
}

/// The folder that checking starts in (none: the working directory) and what lies below.
fn starting_point(path: &[u8], from: usize) -> io::Result<(Option<OwnedFd>, &[u8])> {
    match path.split_at_checked(from) {
        Some((trusted, rest)) if from > 0 => {
            let rest = rest.strip_prefix(b"/").unwrap_or(rest);
            Ok((Some(open(trusted, Flags::SEARCH)?), rest))
        }
        _ => match path.strip_prefix(b"/") {
            Some(rest) => Ok((Some(open("/", Flags::SEARCH)?), rest)),
            None => Ok((None, path)),
        },
    }
}

fn raw(folder: Option<&OwnedFd>) -> RawFd {
    folder.map_or(libc::AT_FDCWD, AsRawFd::as_raw_fd)
}

/// Opens one component below `folder`, under the rule for links.
fn step(
    folder: Option<&OwnedFd>,
    name: &[u8],
    symlinks: Symlinks,
    flags: Flags,
) -> io::Result<OwnedFd> {
    if symlinks == Symlinks::Refused || flags.0 & (libc::O_CREAT | libc::O_TRUNC) != 0 {
        return open_at(raw(folder), name, flags | Flags::NO_FOLLOW, 0o644);
    }
    let opened = open_at(raw(folder), name, flags, 0o644)?;
    let entry = stat_at(raw(folder), name, libc::AT_SYMLINK_NOFOLLOW)?;
    if fstat(opened.as_fd())?.uid != entry.uid {
        return Err(io::Error::from_raw_os_error(libc::ELOOP));
    }
    Ok(opened)
}

/// What there is to know of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Length in bytes.
    pub size: u64,
    /// When the content last changed: Unix seconds.
    pub mtime: i64,
    /// The nanoseconds past `mtime`.
    pub mtime_ns: u32,
    /// When content or attributes last changed: Unix seconds.
    pub ctime: i64,
    /// The nanoseconds past `ctime`.
    pub ctime_ns: u32,
    /// Its number on the device; together they tell whether two names are one file.
    pub inode: u64,
    /// The device.
    pub dev: u64,
    /// Type and permission bits.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The owning group.
    pub gid: u32,
    /// What it takes up on disk, in units of 512 bytes.
    pub blocks: u64,
}

impl Stat {
    fn is(&self, kind: libc::mode_t) -> bool {
        self.mode & libc::S_IFMT == kind
    }

    /// A regular file.
    pub fn is_file(&self) -> bool {
        self.is(libc::S_IFREG)
    }

    /// A directory.
    pub fn is_dir(&self) -> bool {
        self.is(libc::S_IFDIR)
    }

    /// A symbolic link, which only [`lstat`] sees.
    pub fn is_symlink(&self) -> bool {
        self.is(libc::S_IFLNK)
    }
}

/// Makes a `Stat` of what one of the stat calls fills in.
fn stat_by(call: impl FnOnce(*mut libc::stat) -> libc::c_int) -> io::Result<Stat> {
    let mut stat = MaybeUninit::<libc::stat>::zeroed();
    check(call(stat.as_mut_ptr()))?;
    // SAFETY: zeroes are a valid `stat`, and the call has filled it in.
    let stat = unsafe { stat.assume_init() };
    Ok(Stat {
        size: stat.st_size.unsigned_abs(),
        mtime: stat.st_mtime,
        mtime_ns: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        ctime: stat.st_ctime,
        ctime_ns: u32::try_from(stat.st_ctime_nsec).unwrap_or(0),
        inode: stat.st_ino,
        dev: stat.st_dev,
        mode: stat.st_mode,
        uid: stat.st_uid,
        gid: stat.st_gid,
        blocks: stat.st_blocks.unsigned_abs(),
    })
}

fn stat_at(folder: RawFd, name: &(impl FileName + ?Sized), flags: libc::c_int) -> io::Result<Stat> {
    with_c_name(name, |name| {
        // SAFETY: `name` is terminated by a NUL, and there is room for the answer.
        stat_by(|room| unsafe { libc::fstatat(folder, name.as_ptr(), room, flags) })
    })
}

/// What the name leads to.
pub fn stat(path: &(impl FileName + ?Sized)) -> io::Result<Stat> {
    stat_at(libc::AT_FDCWD, path, 0)
}

/// The same, without following a link.
pub fn lstat(path: &(impl FileName + ?Sized)) -> io::Result<Stat> {
    stat_at(libc::AT_FDCWD, path, libc::AT_SYMLINK_NOFOLLOW)
}

/// What is open.
pub fn fstat(fd: BorrowedFd<'_>) -> io::Result<Stat> {
    // SAFETY: there is room for the answer.
    stat_by(|room| unsafe { libc::fstat(fd.as_raw_fd(), room) })
}

/// Reads at most `at_most` bytes from `offset` onto the end of `buffer`; 0 is the file's end.
pub fn pread(
    fd: BorrowedFd<'_>,
    buffer: &mut Vec<u8>,
    at_most: usize,
    offset: u64,
) -> io::Result<usize> {
    let offset = i64::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: `append` passes a pointer to `room` writable bytes.
    append(buffer, at_most, |to, room| unsafe {
        libc::pread(fd.as_raw_fd(), to, room, offset)
    })
}

/// Tells the kernel that the file will be read in order, so that it reads further ahead
/// (`read_ahead`).
pub fn read_ahead(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: no pointers are involved.
    match unsafe { libc::posix_fadvise(fd.as_raw_fd(), 0, 0, libc::POSIX_FADV_SEQUENTIAL) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Reads past the page cache (`directio`), or no longer.
pub fn set_direct(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    set_flag(fd, libc::O_DIRECT, on)
}

/// Makes a directory with `mode`, less the umask.
pub fn mkdir(path: &(impl FileName + ?Sized), mode: u32) -> io::Result<()> {
    with_c_name(path, |path| {
        // SAFETY: `path` is terminated by a NUL.
        check(unsafe { libc::mkdir(path.as_ptr(), mode) }).map(drop)
    })
}

/// Renames a file; fails with `EEXIST` if the new name is taken.
pub fn rename_new(
    from: &(impl FileName + ?Sized),
    to: &(impl FileName + ?Sized),
) -> io::Result<()> {
    let at = libc::AT_FDCWD;
    let renamed = with_c_name(from, |from| {
        with_c_name(to, |to| {
            let flags = libc::RENAME_NOREPLACE;
            // SAFETY: both names are terminated by a NUL.
            check(unsafe { libc::renameat2(at, from.as_ptr(), at, to.as_ptr(), flags) }).map(drop)
        })
    });
    match renamed {
        // The file system does not know the flag: a second name is as atomic.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            with_c_name(from, |from| {
                with_c_name(to, |to| {
                    // SAFETY: both names are terminated by a NUL.
                    check(unsafe { libc::link(from.as_ptr(), to.as_ptr()) })?;
                    // SAFETY: as above.
                    check(unsafe { libc::unlink(from.as_ptr()) }).map(drop)
                })
            })
        }
        renamed => renamed,
    }
}

/// What a file system has room for, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What an unprivileged user may still write.
    pub free: u64,
    /// What is taken.
    pub used: u64,
}

/// How much room there is in the file system of `fd`.
pub fn space(fd: BorrowedFd<'_>) -> io::Result<Space> {
    let mut stat = MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: there is room for the answer.
    check(unsafe { libc::fstatvfs(fd.as_raw_fd(), stat.as_mut_ptr()) })?;
    // SAFETY: zeroes are a valid `statvfs`, and the call has filled it in.
    let stat = unsafe { stat.assume_init() };
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok(Space {
        free: bytes(stat.f_bavail),
        used: bytes(stat.f_blocks.saturating_sub(stat.f_bfree)),
    })
}

/// Changes the owner; `None` leaves the group as it is.
pub fn chown(path: &(impl FileName + ?Sized), uid: u32, gid: Option<u32>) -> io::Result<()> {
    with_c_name(path, |path| {
        // SAFETY: `path` is terminated by a NUL; a group of -1 means no change.
        check(unsafe { libc::chown(path.as_ptr(), uid, gid.unwrap_or(u32::MAX)) }).map(drop)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn names_of_any_length_end_in_one_nul() {
        for len in [0, 1, SHORT_NAME - 1, SHORT_NAME, SHORT_NAME + 1, 5000] {
            let name = vec![b'a'; len];
            let seen = with_c_name(&name, |c| Ok(c.to_bytes().to_vec())).unwrap();
            assert_eq!(seen, name);
        }
        assert!(stat("a\0b").is_err());
    }

    #[test]
    fn stat_tells_files_folders_and_links_apart() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "12345").unwrap();
        symlink(&file, &link).unwrap();
        let known = stat(&file).unwrap();
        assert!(known.is_file() && known.size == 5 && known.mtime > 0);
        assert!(stat(folder.path()).unwrap().is_dir());
        assert!(lstat(&link).unwrap().is_symlink());
        assert_eq!(stat(&link).unwrap(), known);
        assert_eq!(
            fstat(open(&file, Flags::READ).unwrap().as_fd()).unwrap(),
            known
        );
    }

    #[test]
    fn a_new_name_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        std::fs::write(path("a"), "a").unwrap();
        std::fs::write(path("b"), "b").unwrap();
        let taken = rename_new(&path("a"), &path("b")).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        rename_new(&path("a"), &path("c")).unwrap();
        assert_eq!(std::fs::read(path("c")).unwrap(), b"a");
        let space = space(open(folder.path(), Flags::READ).unwrap().as_fd()).unwrap();
        assert!(space.free > 0 && space.used > 0, "{space:?}");
    }

    #[test]
    fn pread_leaves_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "0123456789").unwrap();
        let file = open(&path, Flags::READ).unwrap();
        read_ahead(file.as_fd()).unwrap();
        let mut buffer = b">".to_vec();
        assert_eq!(pread(file.as_fd(), &mut buffer, 3, 4).unwrap(), 3);
        assert_eq!(pread(file.as_fd(), &mut buffer, 9, 10).unwrap(), 0);
        assert_eq!(buffer, b">456");
    }

    #[test]
    fn links_are_refused_below_the_trusted_prefix() {
        let folder = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(folder.path()).unwrap();
        std::fs::create_dir_all(root.join("real/sub")).unwrap();
        std::fs::write(root.join("real/sub/file"), "x").unwrap();
        symlink("real", root.join("linked")).unwrap();
        symlink("file", root.join("real/sub/alias")).unwrap();
        let prefix = root.as_os_str().len();
        let linked = prefix + "/linked".len();
        let cases = [
            ("real/sub/file", 0, true),
            ("real//sub/", 0, true),
            ("real/sub/alias", 0, false),
            ("linked/sub/file", prefix, false),
            ("linked/sub/file", linked, true),
            ("linked/sub/alias", linked, false),
            ("linked/sub/", linked, true),
            ("real/sub/file/", 0, false),
        ];
        for (name, from, fine) in cases {
            let path = root.join(name).into_os_string();
            let refused = open_no_symlinks(path.as_os_str(), from, Symlinks::Refused, Flags::READ);
            assert_eq!(refused.is_ok(), fine, "{name} from {from}: {refused:?}");
            if name != "real/sub/file/" {
                open_no_symlinks(path.as_os_str(), 0, Symlinks::SameOwner, Flags::READ).unwrap();
            }
        }
    }
}
