//! The server as a process: started, watched, signalled, and never left behind.

use std::fs::{self, File};
use std::ops::{Deref, DerefMut};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rowhouse::sys::process::kill;

use super::site::PID_FILE;
use super::{Client, PATIENCE, Response, Site, eventually};

/// A running server. Dropping it stops it.
pub struct Server {
    site: Site,
    pid: i32,
    /// The master, if it is a child of this process.
    child: Option<Child>,
}

impl Deref for Server {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut Site {
        &mut self.site
    }
}

impl Server {
    #[track_caller]
    pub(super) fn start(mut site: Site) -> Server {
        for _ in 0..5 {
            match Self::launch(site) {
                Ok(server) => return server,
                Err(failed) => {
                    let complaint = failed.read("stderr") + &failed.error_log();
                    assert!(complaint.contains("in use"), "did not start:\n{complaint}");
                    site = failed;
                    site.choose_other_ports();
                }
            }
        }
        panic!("no free port");
    }

    /// Runs it until it has written its process number, which it does once it listens.
    fn launch(site: Site) -> Result<Server, Site> {
        let mut command = site.command(&["-g", "daemon off;"]);
        command
            .stdout(Stdio::null())
            .stderr(File::create(site.path("stderr")).unwrap());
        let mut child = command.spawn().unwrap();
        let pid = child.id() as i32;
        let deadline = Instant::now() + PATIENCE;
        while site.pid_file() != Some(pid) {
            if child.try_wait().unwrap().is_some() {
                return Err(site);
            }
            assert!(Instant::now() < deadline, "{}", site.error_log());
            std::thread::sleep(Duration::from_millis(2));
        }
        let child = Some(child);
        Ok(Server { site, pid, child })
    }

    #[track_caller]
    pub(super) fn daemonize(site: Site) -> Server {
        let started = site.run(&[]);
        assert_eq!(started.code, 0, "{}", started.stderr);
        eventually("a pid file", || site.pid_file().is_some());
        let pid = site.pid_file().unwrap();
        let child = None;
        Server { site, pid, child }
    }

    /// The master's process number.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether the master runs.
    pub fn is_running(&mut self) -> bool {
        match &mut self.child {
            Some(child) => child.try_wait().unwrap().is_none(),
            None => exists(self.pid),
        }
    }

    /// The process numbers of the master's children: as a rule, the workers.
    pub fn workers(&self) -> Vec<i32> {
        children(self.pid)
    }

    /// The workers, once there are that many.
    #[track_caller]
    pub fn wait_for_workers(&self, count: usize) -> Vec<i32> {
        eventually("so many workers", || self.workers().len() == count);
        self.workers()
    }

    /// Sends the master a signal.
    pub fn signal(&self, signal: i32) {
        kill(self.pid, signal).unwrap();
    }

    /// Has the configuration read again, and waits for workers that know it.
    #[track_caller]
    pub fn reload(&self) {
        let old = self.workers();
        self.signal(libc::SIGHUP);
        eventually("new workers", || {
            self.workers().iter().any(|worker| !old.contains(worker))
        });
    }

    /// Waits for the master's end, and tells how it was if this process may know.
    #[track_caller]
    pub fn wait(&mut self) -> Option<ExitStatus> {
        eventually("the server's end", || !self.is_running());
        let child = self.child.as_mut()?;
        Some(child.wait().unwrap())
    }

    /// A connection to `%PORT%`.
    #[track_caller]
    pub fn connect(&self) -> Client {
        Client::tcp(("127.0.0.1", self.port(0)))
    }

    /// A connection to `%PORT1%` and the like.
    #[track_caller]
    pub fn connect_to(&self, number: usize) -> Client {
        Client::tcp(("127.0.0.1", self.port(number)))
    }

    /// Asks for a path on a connection of its own.
    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        self.request("GET", path, &[])
    }

    /// Asks for a path with more header lines; `Host` is there if they don't bring one.
    #[track_caller]
    pub fn request(&self, method: &str, path: &str, headers: &[&str]) -> Response {
        self.connect().request(method, path, headers)
    }

    /// Sends bytes on a connection of its own and takes what comes until the server closes it.
    #[track_caller]
    pub fn exchange(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut client = self.connect();
        client.send(bytes);
        String::from_utf8_lossy(&client.rest()).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let old = self.read(&format!("{PID_FILE}.oldbin"));
        // An upgrade leaves masters that are not children of this process.
        let mut masters = vec![self.pid];
        masters.extend(self.site.pid_file());
        masters.extend(old.trim().parse::<i32>());
        masters.dedup();
        let workers: Vec<i32> = masters.iter().flat_map(|pid| children(*pid)).collect();
        masters.retain(|pid| exists(*pid));
        for master in &masters {
            let _ = kill(*master, libc::SIGTERM);
        }
        let deadline = Instant::now() + PATIENCE;
        // A helper process ends when it notices that nobody is left whom it could help.
        let all = || masters.iter().chain(&workers);
        while self.is_running() || all().any(|pid| exists(*pid)) {
            if Instant::now() > deadline {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let mut stuck = masters;
        stuck.extend(workers);
        stuck.retain(|pid| exists(*pid));
        for process in &stuck {
            let _ = kill(*process, libc::SIGKILL);
        }
        let _ = self.child.as_mut().map(Child::wait);
        if std::thread::panicking() {
            eprintln!("the error log:\n{}", self.error_log());
        } else {
            assert_eq!(stuck, [], "outlived SIGTERM:\n{}", self.error_log());
            assert_healthy(&self.site);
        }
    }
}

/// Fails the scenario if the server noticed something that must never happen.
fn assert_healthy(site: &Site) {
    let log = site.error_log() + &site.read("stderr");
    for trace in ["[alert]", "[emerg]", "panicked at"] {
        let unexpected = site.expects_no_alert() && log.contains(trace);
        assert!(!unexpected, "{trace} in the error log:\n{log}");
    }
}

/// The processes whose parent is `pid`.
fn children(pid: i32) -> Vec<i32> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if parent(process) == Some(pid) {
            children.push(process);
        }
    }
    children.sort_unstable();
    children
}

/// Whether there is such a process, and it is more than a dead one nobody asked about.
pub fn exists(pid: i32) -> bool {
    status(pid).is_some_and(|(state, _)| state != "Z")
}

fn parent(pid: i32) -> Option<i32> {
    let (state, parent) = status(pid)?;
    (state != "Z").then_some(parent)
}

/// State and parent, from behind the program's name, which may hold anything.
fn status(pid: i32) -> Option<(String, i32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}
