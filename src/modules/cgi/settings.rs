//! What a block says of CGI.

use std::rc::Rc;
use std::time::Duration;

use super::process::User;
use super::queue::Queue;
use super::rdns::Rdns;
use crate::exchange::Template;
use crate::http::Text;
use crate::http::pattern::Pattern;
use crate::log::file::LogFile;
use crate::log::level::Level;
use crate::sys::process::{Resource, Starter};

/// Which program answers.
#[derive(Clone, Default)]
pub enum Mode {
    /// None: `cgi off`.
    #[default]
    Off,
    /// The file the URI leads to: `cgi on`.
    Locate,
    /// This one, with these arguments: `cgi pass`.
    Pass(Rc<[Template]>),
}

/// Where a script's standard error goes (`cgi_stderr`).
#[derive(Clone)]
pub enum Stderr {
    /// Nowhere.
    Off,
    /// To the error log, at this level.
    Log(Level),
    /// Where the server's own goes.
    Inherit,
    /// To a file.
    File(Rc<LogFile>),
}

/// The settings of one block.
#[derive(Clone)]
#[allow(missing_docs)] // Each field is the directive of the same name.
pub struct Settings {
    pub mode: Mode,
    /// With its arguments.
    pub interpreter: Rc<[Template]>,
    pub working_dir: Option<Template>,
    pub body_only: bool,
    pub path: Rc<[u8]>,
    pub strict: bool,
    /// `None`: files must be executable unless there is an interpreter.
    pub x_only: Option<bool>,
    pub set_var: Vec<(Rc<str>, Template)>,
    pub stderr: Stderr,
    pub rdns: Rdns,
    /// Until TERM, and from there until KILL; zero: never.
    pub timeout: (Duration, Duration),
    pub index: Option<Template>,
    pub split_path_info: Option<Rc<Pattern>>,
    pub read_timeout: Duration,
    pub send_timeout: Duration,
    pub request_buffering: bool,
    pub buffering: bool,
    pub buffer_size: usize,
    /// Their number times their size.
    pub buffers: usize,
    pub intercept_errors: bool,
    pub ignore_client_abort: bool,
    pub pass_header: Vec<Text>,
    pub hide_header: Vec<Text>,
    pub limits: Vec<(Resource, u64)>,
    pub user: Option<User>,
    /// All blocks share the outermost one's.
    pub starter: Rc<Starter>,
    /// `cgi_max_processes`; blocks share it with the one they have it from.
    pub queue: Rc<Queue>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            mode: Mode::Off,
            interpreter: Rc::new([]),
            working_dir: None,
            body_only: false,
            path: Rc::from(&b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"[..]),
            strict: true,
            x_only: None,
            set_var: Vec::new(),
            stderr: Stderr::Log(Level::Warn),
            rdns: Rdns::default(),
            timeout: (Duration::ZERO, Duration::ZERO),
            index: None,
            split_path_info: None,
            read_timeout: Duration::from_secs(60),
            send_timeout: Duration::from_secs(60),
            request_buffering: true,
            buffering: true,
            buffer_size: 8 << 10,
            buffers: 64 << 10,
            intercept_errors: false,
            ignore_client_abort: false,
            pass_header: Vec::new(),
            hide_header: Vec::new(),
            limits: Vec::new(),
            user: None,
            starter: Rc::default(),
            queue: Rc::new(Queue::new(256, 1024, Duration::from_secs(60), None)),
        }
    }
}

/// Fields of a script that the client does not get, unless `cgi_pass_header` says so: those the
/// server has of its own, and those that speak to a server in front.
const HIDDEN: [&str; 7] = [
    "Date",
    "Server",
    "X-Accel-Expires",
    "X-Accel-Redirect",
    "X-Accel-Limit-Rate",
    "X-Accel-Buffering",
    "X-Accel-Charset",
];

impl Settings {
    /// Whether the client does not get the field of that name.
    pub fn hides(&self, name: &[u8]) -> bool {
        let among = |list: &[Text]| list.iter().any(|other| other.eq_ignore_ascii_case(name));
        let by_default = HIDDEN
            .iter()
            .any(|other| name.eq_ignore_ascii_case(other.as_bytes()));
        among(&self.hide_header) || by_default && !among(&self.pass_header)
    }

    /// Sets a limit in place of one for the same resource.
    pub fn limit(&mut self, resource: Resource, most: u64) {
        self.limits.retain(|(other, _)| *other != resource);
        self.limits.push((resource, most));
    }

    /// How long a script has between TERM and KILL.
    pub fn grace(&self) -> Duration {
        match self.timeout.1 {
            Duration::ZERO => Duration::from_secs(5),
            grace => grace,
        }
    }

    /// Whether scripts must have an execute bit.
    pub fn needs_execute_bit(&self) -> bool {
        self.x_only.unwrap_or(self.interpreter.is_empty())
    }
}
