//! Processes, as far as a program with threads can try them.

use super::*;
use crate::sys::fd::{pipe, read, set_nonblocking};
use std::ffi::CString;

fn strings(list: &[&str]) -> Vec<CString> {
    list.iter()
        .map(|text| CString::new(*text).unwrap())
        .collect()
}

#[test]
fn a_spawned_program_has_its_folder_environment_and_descriptors() {
    let folder = tempfile::tempdir().unwrap();
    let folder = std::fs::canonicalize(folder.path()).unwrap();
    let folder = CString::new(folder.into_os_string().into_encoded_bytes()).unwrap();
    let (reader, writer) = pipe().unwrap();
    let pid = spawn(&Program {
        path: c"/bin/sh",
        arguments: &strings(&["sh", "-c", "pwd; echo $WORD; ulimit -n; exit 3"]),
        environment: &strings(&["WORD=hello"]),
        folder: Some(&folder),
        standard: [None, Some(writer.as_fd()), None],
        limits: &[(Resource::OpenFiles, 17)],
        account: None,
    })
    .unwrap()
    .pid;
    drop(writer);
    assert_eq!(wait(pid).unwrap(), Some(Exit::Code(3)));
    assert_eq!(wait(pid).unwrap(), None);
    set_nonblocking(reader.as_fd(), false).unwrap();
    let mut output = Vec::new();
    while read(reader.as_fd(), &mut output, 4096).unwrap() > 0 {}
    assert_eq!(output, [folder.as_bytes(), b"\nhello\n17\n"].concat());
}

#[test]
fn what_cannot_be_started_is_an_error_here() {
    let program = Program {
        path: c"/no/such/program",
        arguments: &strings(&["x"]),
        environment: &[],
        folder: None,
        standard: [None; 3],
        limits: &[],
        account: None,
    };
    assert_eq!(spawn(&program).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn exits_and_deaths_are_told_apart() {
    let killed = |signal, core_dumped| Exit::Signal {
        signal,
        core_dumped,
    };
    let cases = [
        (0, Exit::Code(0)),
        (256, Exit::Code(1)),
        (9, killed(9, false)),
        (128 | 11, killed(11, true)),
    ];
    for (status, exit) in cases {
        assert_eq!(exit_of(status), exit);
    }
}

#[test]
fn the_system_answers_simple_questions() {
    assert!(pid() > 0 && parent_pid() >= 0 && cpus() >= 1);
    assert!(!hostname().unwrap().is_empty());
    assert_eq!(user("root").unwrap(), Some(User { uid: 0, gid: 0 }));
    assert_eq!(user("no such user").unwrap(), None);
    assert_eq!(group("root").unwrap(), Some(0));
    let (soft, hard) = limit(Resource::OpenFiles).unwrap();
    assert!(soft <= hard);
    assert!(kill(pid(), 0).is_ok());
}
