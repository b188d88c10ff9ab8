//! Folders the server makes by itself: the default one of logs, and those for temporary files.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use crate::exchange::Identity;
use crate::log::errno::Errno;
use crate::sys;

/// What the owner of a folder for temporary files must be able to do.
const OWNER_ALL: u32 = 0o700;

/// Whether `error`, met on opening the file `path`, was for want of the folder `logs`, which is there
/// now: a prefix need not be prepared.
pub fn make_logs(logs: &Path, path: &Path, error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        && path.parent() == Some(logs)
        && fs::create_dir(logs).is_ok()
}

/// Makes the folder `path` for temporary files and gives it to `owner`.
///
/// # Errors
/// The system's, in nginx's words.
pub fn make(path: &Path, owner: Option<&Identity>) -> Result<(), String> {
    let failed = |call: &'static str| {
        move |error| format!("{call} \"{}\" failed {}", path.display(), Errno(&error))
    };
    match DirBuilder::new().mode(OWNER_ALL).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(failed("mkdir()")(error));
        }
        _ => {}
    }
    let Some(owner) = owner else { return Ok(()) };
    let metadata = fs::metadata(path).map_err(failed("stat()"))?;
    if metadata.uid() != owner.uid {
        sys::fs::chown(path, owner.uid, None).map_err(failed("chown()"))?;
    }
    if metadata.mode() & OWNER_ALL != OWNER_ALL {
        let permissions = Permissions::from_mode(metadata.mode() & 0o7777 | OWNER_ALL);
        fs::set_permissions(path, permissions).map_err(failed("chmod()"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_folder_of_logs_is_made() {
        let prefix = tempfile::tempdir().unwrap();
        let logs = prefix.path().join("logs");
        for (file, made) in [("other/x", false), ("logs/deep/x", false), ("logs/x", true)] {
            let path = prefix.path().join(file);
            let error = fs::write(&path, "").unwrap_err();
            assert_eq!(make_logs(&logs, &path, &error), made, "{file}");
            assert_eq!(logs.exists(), made, "{file}");
        }
        assert!(!make_logs(
            &logs,
            &logs.join("x"),
            &io::ErrorKind::PermissionDenied.into()
        ));
    }

    #[test]
    fn a_folder_is_the_owners() {
        let prefix = tempfile::tempdir().unwrap();
        let path = prefix.path().join("body");
        let metadata = fs::metadata(prefix.path()).unwrap();
        let (name, uid, gid) = ("x".into(), metadata.uid(), metadata.gid());
        let owner = Identity { name, uid, gid };
        for mode in [None, Some(0o050)] {
            if let Some(mode) = mode {
                fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            }
            make(&path, Some(&owner)).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().mode() & OWNER_ALL, OWNER_ALL);
        }
        let error = make(&prefix.path().join("a/b"), None).unwrap_err();
        assert!(
            error.starts_with("mkdir() \"/") && error.contains("failed (2: "),
            "{error}"
        );
    }
}
