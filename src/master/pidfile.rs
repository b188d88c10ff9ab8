//! The file that holds the master's process number.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::folder;
use crate::log::errno::Errno;
use crate::log::error_log::ErrorLog;
use crate::log::level::Level;
use crate::sys::process::Pid;

/// What is appended to the name while a new binary uses the file.
const OLD: &str = ".oldbin";

/// The most bytes a pid file may have.
const MOST: usize = 32;

/// The name of the file an old master uses beside a new one.
pub fn old_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(OLD);
    name.into()
}

/// Writes `pid` into the file, made if it is missing, as `logs` is if it is to hold the file.
///
/// # Errors
/// The system's, in nginx's words.
pub fn write(path: &Path, pid: Pid, logs: &Path) -> Result<(), String> {
    let mut file = open(path, true, logs)?;
    file.write_all(format!("{pid}\n").as_bytes())
        .map_err(|error| failed("write()", path, &error))
}

/// Makes sure that the file can be written, without changing it, for `-t`.
///
/// # Errors
/// The system's, in nginx's words.
pub fn test(path: &Path, logs: &Path) -> Result<(), String> {
    open(path, false, logs).map(drop)
}

fn open(path: &Path, truncate: bool, logs: &Path) -> Result<fs::File, String> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(truncate)
        .mode(0o644);
    let opened = match options.open(path) {
        Err(error) if folder::make_logs(logs, path, &error) => options.open(path),
        result => result,
    };
    opened.map_err(|error| failed("open()", path, &error))
}

/// The process number in the file.
///
/// # Errors
/// Why there is none, in nginx's words.
pub fn read(path: &Path) -> Result<Pid, String> {
    let content = fs::read(path).map_err(|error| failed("open()", path, &error))?;
    let text = String::from_utf8_lossy(&content[..content.len().min(MOST)]);
    let text = text.trim_end_matches(['\r', '\n']);
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(pid) if digits && pid > 0 => Ok(pid),
        _ => Err(format!(
            "invalid PID number \"{text}\" in \"{}\"",
            path.display()
        )),
    }
}

/// Removes the file; a failure is reported.
pub fn remove(path: &Path, log: &ErrorLog) {
    if let Err(error) = fs::remove_file(path) {
        let message = failed("unlink()", path, &error);
        log.log(Level::Alert, None, format_args!("{message}"));
    }
}

fn failed(call: &str, path: &Path, error: &io::Error) -> String {
    format!("{call} \"{}\" failed {}", path.display(), Errno(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        for pid in [1234567, 7] {
            write(&path, pid, folder.path()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{pid}\n"));
            test(&path, folder.path()).unwrap();
            assert_eq!(read(&path), Ok(pid));
        }
        assert_eq!(old_name(&path), folder.path().join("pid.oldbin"));
    }

    #[test]
    fn only_positive_numbers_are_processes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        for content in ["", "\n", "0\n", "-1\n", "+1", "1 2", "x", "99999999999"] {
            fs::write(&path, content).unwrap();
            let error = read(&path).unwrap_err();
            let shown = content.trim_end();
            assert!(
                error.starts_with(&format!("invalid PID number \"{shown}\" in \"/")),
                "{error}"
            );
        }
        fs::remove_file(&path).unwrap();
        let error = read(&path).unwrap_err();
        assert!(
            error.ends_with("/pid\" failed (2: No such file or directory)"),
            "{error}"
        );
    }
}
