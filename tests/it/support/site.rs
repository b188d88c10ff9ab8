//! A folder with a configuration and the files it serves, before anything runs.

use std::collections::HashSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

use tempfile::TempDir;

use super::Server;

/// The configuration's file, relative to the prefix.
const CONFIGURATION: &str = "conf/server.conf";

/// Where `Site::http` has the master write its process number.
pub const PID_FILE: &str = "logs/server.pid";

/// A prefix folder of its own, removed in the end, with everything a server needs.
///
/// In configurations `%PREFIX%` stands for that folder, and `%PORT%`, `%PORT1%` … `%PORT9%` for
/// ports that were free a moment ago.
pub struct Site {
    folder: TempDir,
    configurations: Vec<(String, String)>,
    ports: Vec<u16>,
    may_alert: bool,
    /// The first configuration file.
    entry: &'static str,
}

/// A command that ran to its end.
#[derive(Debug)]
pub struct Finished {
    /// The exit code; -1 if a signal ended it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Site {
    /// A site with this text in the `http` block and no surprises around it.
    pub fn http(text: &str) -> Site {
        Site::main("", text)
    }

    /// The same with directives of the main context in front.
    pub fn main(main: &str, http: &str) -> Site {
        Site::conf(&format!(
            "error_log logs/error.log info;\n\
             pid {PID_FILE};\n\
             {main}\n\
             events {{}}\n\
             http {{\n\
             access_log logs/access.log;\n\
             {http}\n\
             }}\n",
        ))
    }

    /// A site with this whole configuration.
    pub fn conf(text: &str) -> Site {
        let folder = tempfile::tempdir().unwrap();
        // The workers are not root, and must get at the files all the same.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(folder.path().join("logs")).unwrap();
        let site = Site {
            folder,
            configurations: Vec::new(),
            ports: Vec::new(),
            may_alert: false,
            entry: CONFIGURATION,
        };
        site.include(CONFIGURATION, text)
    }

    /// Adds another file of the configuration.
    pub fn include(mut self, path: &str, text: &str) -> Site {
        self.configurations.push((path.to_owned(), text.to_owned()));
        self.choose_ports();
        self
    }

    /// Adds a file.
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Site {
        self.write(path, content);
        self
    }

    /// Says that this scenario makes the server log alerts; otherwise they fail it.
    pub fn may_alert(mut self) -> Site {
        self.may_alert = true;
        self
    }

    /// Chooses another file to start reading at.
    pub fn configured_by(&mut self, path: &'static str) {
        self.entry = path;
    }

    pub fn expects_no_alert(&self) -> bool {
        !self.may_alert
    }

    /// Writes a file below the prefix, and the folders on the way to it.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Replaces the configuration.
    pub fn reconfigure(&mut self, change: impl FnOnce(&str) -> String) {
        let (_, text) = &mut self.configurations[0];
        *text = change(text);
        self.choose_ports();
    }

    /// A text file below the prefix; empty if there is none.
    pub fn read(&self, path: &str) -> String {
        let bytes = fs::read(self.path(path)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Where a file below the prefix is.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub fn error_log(&self) -> String {
        self.read("logs/error.log")
    }

    pub fn access_log(&self) -> String {
        self.read("logs/access.log")
    }

    /// The port that `%PORT%` (0), `%PORT1%` … stands for.
    pub fn port(&self, index: usize) -> u16 {
        self.ports[index]
    }

    /// The program under test, told to use this site.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(["-p", self.folder.path().to_str().unwrap()])
            .args(["-c", self.entry, "-e", "logs/error.log"])
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        Finished::from(self.command(arguments).output().unwrap())
    }

    /// The process number in the pid file.
    pub fn pid_file(&self) -> Option<i32> {
        self.read(PID_FILE).trim().parse().ok()
    }

    /// Starts the server in the background, as its configuration says by default.
    #[track_caller]
    pub fn daemonize(self) -> Server {
        Server::daemonize(self)
    }

    /// Starts the server in the foreground and waits until it listens.
    #[track_caller]
    pub fn start(self) -> Server {
        Server::start(self)
    }

    /// Other ports, because one of those chosen was taken in the meantime.
    pub fn choose_other_ports(&mut self) {
        self.ports.clear();
        self.choose_ports();
    }

    /// Chooses the ports that are still missing, and writes the configuration with them.
    fn choose_ports(&mut self) {
        let names = |index: usize| match index {
            0 => "%PORT%".to_owned(),
            _ => format!("%PORT{index}%"),
        };
        let texts = || self.configurations.iter().map(|(_, text)| text);
        let wanted = (0..10).filter(|index| texts().any(|text| text.contains(&names(*index))));
        let wanted = wanted.max().map_or(0, |highest| highest + 1);
        while self.ports.len() < wanted {
            self.ports.push(free_port());
        }
        for (path, text) in &self.configurations {
            let mut text = text.replace("%PREFIX%", self.folder.path().to_str().unwrap());
            for (index, port) in self.ports.iter().enumerate() {
                text = text.replace(&names(index), &port.to_string());
            }
            self.write(path, text);
        }
    }
}

impl Finished {
    /// Runs the program with just these arguments.
    pub fn of(arguments: &[&str]) -> Finished {
        Command::new(program())
            .args(arguments)
            .output()
            .unwrap()
            .into()
    }
}

impl From<Output> for Finished {
    fn from(output: Output) -> Finished {
        Finished {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The program under test; another one that takes the same configurations may stand in.
fn program() -> PathBuf {
    match std::env::var_os("ROWHOUSE_TEST_BIN") {
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_BIN_EXE_rowhouse")).into(),
    }
}

/// A port nobody listens on, and that no other scenario was given.
fn free_port() -> u16 {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut given = GIVEN.lock().unwrap();
    let given = given.get_or_insert_default();
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if given.insert(port) {
            return port;
        }
    }
}
