//! What reading a configuration yields: everything the master and its workers need.

use std::rc::Rc;
use std::time::Duration;

use super::{VirtualHost, Zones};
use crate::event::Method;
use crate::log::error_log::ErrorLog;
use crate::log::open_files::LogFiles;
use crate::net::address::Address;
use crate::net::listen::ListenOptions;
use crate::routing::hosts::Hosts;
use crate::sys::process::Starter;

/// One configuration, installed.
pub struct Runtime {
    /// Processes.
    pub process: ProcessSettings,
    /// The event loop.
    pub events: EventSettings,
    /// The sockets to listen on.
    pub sockets: Vec<ListeningSocket>,
    /// The main error log.
    pub error_log: ErrorLog,
    /// All log files of the configuration.
    pub logs: Rc<LogFiles>,
    /// The memory its workers share.
    pub zones: Rc<Zones>,
    /// Folders to be made before workers start (`client_body_temp_path` …).
    pub folders: Vec<Vec<u8>>,
    /// Starts programs as other users (`cgi_user`).
    pub starter: Rc<Starter>,
}

/// One listening socket and the addresses it accepts for: a wildcard socket serves every
/// address of its port that has no socket of its own.
pub struct ListeningSocket {
    /// How to open it.
    pub options: ListenOptions,
    /// What is served there.
    pub listener: Rc<Listener>,
    /// Addresses of the same port that have no socket of their own.
    pub specific: Vec<Rc<Listener>>,
}

/// An address and the virtual hosts reached through it.
pub struct Listener {
    /// The address.
    pub address: Address,
    /// Virtual hosts by name.
    pub hosts: Hosts<Rc<VirtualHost>>,
    /// Serves requests whose host nobody claims.
    pub default: Rc<VirtualHost>,
    /// Whether connections begin with a PROXY protocol header.
    pub proxy_protocol: bool,
}

/// Settings of the main block.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // Each field is the nginx directive of the same name.
pub struct ProcessSettings {
    pub daemon: bool,
    pub master_process: bool,
    pub worker_processes: usize,
    pub worker_rlimit_nofile: Option<u64>,
    pub worker_rlimit_core: Option<u64>,
    pub worker_shutdown_timeout: Option<Duration>,
    pub worker_priority: i32,
    pub worker_cpu_affinity: CpuAffinity,
    pub user: Option<Identity>,
    pub pid: Vec<u8>,
    pub working_directory: Option<Vec<u8>>,
    /// (name, value); no value: inherited.
    pub env: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Default for ProcessSettings {
    fn default() -> ProcessSettings {
        ProcessSettings {
            daemon: true,
            master_process: true,
            worker_processes: 1,
            worker_rlimit_nofile: None,
            worker_rlimit_core: None,
            worker_shutdown_timeout: None,
            worker_priority: 0,
            worker_cpu_affinity: CpuAffinity::Unbound,
            user: None,
            pid: Vec::new(),
            working_directory: None,
            env: Vec::new(),
        }
    }
}

/// Which processors workers are bound to (`worker_cpu_affinity`), counted from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CpuAffinity {
    /// They are not.
    #[default]
    Unbound,
    /// A set for each worker; the last is that of all further ones.
    Sets(Vec<Vec<usize>>),
    /// One processor each, of these in turn.
    Each(Vec<usize>),
}

impl CpuAffinity {
    /// The processors of a worker, counted from 0; `None` if it may use all.
    pub fn of_worker(&self, number: usize) -> Option<&[usize]> {
        match self {
            CpuAffinity::Unbound => None,
            CpuAffinity::Sets(sets) => sets.get(number).or(sets.last()).map(Vec::as_slice),
            CpuAffinity::Each(all) => {
                let number = number.checked_rem(all.len())?;
                Some(&all[number..=number])
            }
        }
    }
}

/// Whom workers run as (`user`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user's name, for its supplementary groups.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// Settings of the `events` block.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // Each field is the nginx directive of the same name.
pub struct EventSettings {
    pub worker_connections: usize,
    pub method: Method,
    pub multi_accept: bool,
    pub accept_mutex: bool,
    pub accept_mutex_delay: Duration,
}

impl Default for EventSettings {
    fn default() -> EventSettings {
        EventSettings {
            worker_connections: 512,
            method: Method::Epoll,
            multi_accept: false,
            accept_mutex: false,
            accept_mutex_delay: Duration::from_millis(500),
        }
    }
}
