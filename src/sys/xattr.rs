//! Extended attributes: small values that file systems keep with a file.

use super::check_count;
use super::fs::{FileName, with_c_name};
use std::ffi::CStr;
use std::io;

/// The value of an attribute of what `path` leads to; `None` if it has none of that name.
///
/// # Errors
/// `EOPNOTSUPP` where the file system keeps no attributes, besides the usual ones.
pub fn get(path: &(impl FileName + ?Sized), name: &CStr) -> io::Result<Option<Vec<u8>>> {
    with_c_name(path, |path| {
        loop {
            // SAFETY: both names are terminated by a NUL; no room means that only the size is told.
            let size = check_count(unsafe {
                libc::getxattr(path.as_ptr(), name.as_ptr(), std::ptr::null_mut(), 0)
            });
            let mut value = match size {
                Ok(size) => vec![0; size + 1],
                Err(error) if error.raw_os_error() == Some(libc::ENODATA) => return Ok(None),
                Err(error) => return Err(error),
            };
            // SAFETY: as above, and there is room for `value.len()` bytes.
            let length = check_count(unsafe {
                libc::getxattr(
                    path.as_ptr(),
                    name.as_ptr(),
                    value.as_mut_ptr().cast(),
                    value.len(),
                )
            });
            match length {
                // It grew meanwhile.
                Err(error) if error.raw_os_error() == Some(libc::ERANGE) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENODATA) => return Ok(None),
                length => {
                    value.truncate(length?);
                    return Ok(Some(value));
                }
            }
        }
    })
}

/// Sets or replaces an attribute of what `path` leads to.
///
/// # Errors
/// `ENOSPC` or `E2BIG` for more than the file system keeps, besides those of [`get`].
pub fn set(path: &(impl FileName + ?Sized), name: &CStr, value: &[u8]) -> io::Result<()> {
    with_c_name(path, |path| {
        // SAFETY: both names are terminated by a NUL, and `value` is readable for its length.
        let result = unsafe {
            libc::setxattr(
                path.as_ptr(),
                name.as_ptr(),
                value.as_ptr().cast(),
                value.len(),
                0,
            )
        };
        super::check(result).map(drop)
    })
}

/// Removes an attribute, if there is one.
///
/// # Errors
/// As [`get`].
pub fn remove(path: &(impl FileName + ?Sized), name: &CStr) -> io::Result<()> {
    with_c_name(path, |path| {
        // SAFETY: both names are terminated by a NUL.
        match super::check(unsafe { libc::removexattr(path.as_ptr(), name.as_ptr()) }) {
            Err(error) if error.raw_os_error() == Some(libc::ENODATA) => Ok(()),
            result => result.map(drop),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_replaced_and_removed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (path, name) = (file.path(), c"user.rowhouse.test");
        match get(path, name) {
            // Not every file system has attributes.
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => return,
            none => assert_eq!(none.unwrap(), None),
        }
        for value in ["one", "another one", ""] {
            set(path, name, value.as_bytes()).unwrap();
            assert_eq!(get(path, name).unwrap().as_deref(), Some(value.as_bytes()));
        }
        remove(path, name).unwrap();
        remove(path, name).unwrap();
        assert_eq!(get(path, name).unwrap(), None);
        assert!(get("/nowhere", name).is_err());
    }
}
