//! Listening sockets: opened as `listen` asks, kept across reloads, handed to an upgraded binary.
//!
//! Messages go to the error log as they arise, in nginx's words.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use super::address::Address;
use crate::log::errno::Errno;
use crate::log::error_log::ErrorLog;
use crate::log::level::Level;
use crate::sys::fd;
use crate::sys::socket::{self, Kind};

/// How often an address in use is tried.
const ATTEMPTS: usize = 5;

/// How long to wait before trying again.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// How long a deferred connection may stay silent before it is accepted all the same, in seconds:
/// as little as the kernel allows.
pub const DEFER_SECONDS: i32 = 1;

/// `so_keepalive=`: whether the kernel probes silent connections, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepAlive {
    /// `off`.
    Off,
    /// `on`, or `idle:interval:count`; what is left out is the system's choice.
    On {
        /// Seconds of silence before the first probe.
        idle: Option<i32>,
        /// Seconds between probes.
        interval: Option<i32>,
        /// How many probes may go unanswered.
        count: Option<i32>,
    },
}

/// One address of a `listen` directive with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// The address.
    pub address: Address,
    /// `default_server`.
    pub default_server: bool,
    /// `ssl`.
    pub ssl: bool,
    /// `http2`.
    pub http2: bool,
    /// `quic`: datagrams instead of a stream.
    pub quic: bool,
    /// `proxy_protocol`.
    pub proxy_protocol: bool,
    /// `bind`: a socket of its own even where a wildcard address has the port.
    pub bind: bool,
    /// Whether any parameter of the socket was given: only one `listen` of an address may.
    pub set: bool,
    /// `reuseport`: a socket for each worker.
    pub reuseport: bool,
    /// `deferred`.
    pub deferred: bool,
    /// `backlog=`.
    pub backlog: i32,
    /// `rcvbuf=`, bytes.
    pub rcvbuf: Option<i32>,
    /// `sndbuf=`, bytes.
    pub sndbuf: Option<i32>,
    /// `fastopen=`.
    pub fastopen: Option<i32>,
    /// `ipv6only=`.
    pub ipv6only: bool,
    /// `so_keepalive=`.
    pub so_keepalive: Option<KeepAlive>,
    /// `setfib=`: accepted; routing tables are FreeBSD's.
    pub setfib: Option<i32>,
    /// `accept_filter=`: accepted; accept filters are FreeBSD's.
    pub accept_filter: Option<Vec<u8>>,
}

impl ListenOptions {
    /// What `listen ADDRESS;` means.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            default_server: false,
            ssl: false,
            http2: false,
            quic: false,
            proxy_protocol: false,
            bind: false,
            set: false,
            reuseport: false,
            deferred: false,
            backlog: 511,
            rcvbuf: None,
            sndbuf: None,
            fastopen: None,
            ipv6only: true,
            so_keepalive: None,
            setfib: None,
            accept_filter: None,
        }
    }

    fn kind(&self) -> Kind {
        if self.quic {
            Kind::Datagram
        } else {
            Kind::Stream
        }
    }
}

/// An open listening socket.
#[derive(Debug)]
pub struct Socket {
    address: Address,
    kind: Kind,
    fd: OwnedFd,
}

impl Socket {
    /// The address it is bound to.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The path of a Unix socket.
    fn path(&self) -> Option<&Path> {
        match &self.address {
            Address::Unix(path) => Some(Path::new(std::ffi::OsStr::from_bytes(path))),
            Address::Inet(_) => None,
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A call that failed, on the way to a listening socket.
#[derive(Debug)]
pub struct ListenError {
    /// The call with its object, as in `bind() to 0.0.0.0:80`.
    call: String,
    error: io::Error,
}

impl ListenError {
    fn is_in_use(&self) -> bool {
        self.error.kind() == io::ErrorKind::AddrInUse
    }
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed {}", self.call, Errno(&self.error))
    }
}

impl std::error::Error for ListenError {}

/// The sockets could not all be opened; the error log says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotOpened;

/// Opens a socket for every element of `wanted`, in that order.
///
/// `previous` are the sockets of the configuration before: one of the same address and kind is
/// taken over, each at most once, so that no connection is refused meanwhile. An address that is
/// in use is tried several times. For `reuseport`, name the address once for each worker.
///
/// # Errors
/// One socket could not be opened. Those opened anew are closed; the previous ones stay.
pub fn open_all(
    wanted: &[ListenOptions],
    previous: &[Rc<Socket>],
    log: &ErrorLog,
) -> Result<Vec<Rc<Socket>>, NotOpened> {
    let mut available: Vec<&Rc<Socket>> = previous.iter().collect();
    let mut sockets: Vec<Option<Rc<Socket>>> = wanted
        .iter()
        .map(|options| take_over(&mut available, options, log))
        .collect();
    for _ in 0..ATTEMPTS {
        let mut in_use = false;
        for (options, place) in wanted
            .iter()
            .zip(&mut sockets)
            .filter(|(_, place)| place.is_none())
        {
            match open(options) {
                Ok(socket) => *place = Some(Rc::new(socket)),
                Err(error) => {
                    log.log(Level::Emerg, None, format_args!("{error}"));
                    if !error.is_in_use() {
                        return Err(NotOpened);
                    }
                    in_use = true;
                }
            }
        }
        if !in_use {
            let sockets: Vec<_> = sockets.into_iter().flatten().collect();
            wanted
                .iter()
                .zip(&sockets)
                .for_each(|(options, socket)| configure(socket, options, log));
            return Ok(sockets);
        }
        log.log(
            Level::Notice,
            None,
            format_args!("try again to bind() after 500ms"),
        );
        thread::sleep(RETRY_DELAY);
    }
    log.log(Level::Emerg, None, format_args!("still could not bind()"));
    Err(NotOpened)
}

/// Tries whether every socket could be opened, for `-t`. An address in use is no mistake: the
/// server that runs may well be using it.
///
/// # Errors
/// One socket could not be opened.
pub fn try_all(wanted: &[ListenOptions], log: &ErrorLog) -> Result<(), NotOpened> {
    for options in wanted {
        match open(options) {
            Ok(socket) => remove_file(&socket, log),
            Err(error) if error.is_in_use() => {}
            Err(error) => {
                log.log(Level::Emerg, None, format_args!("{error}"));
                return Err(NotOpened);
            }
        }
    }
    Ok(())
}

/// Closes the sockets that are not among `kept`, and removes the files of Unix sockets.
///
/// They stay open as long as somebody else holds them.
pub fn close_all_but(kept: &[Rc<Socket>], sockets: Vec<Rc<Socket>>, log: &ErrorLog) {
    let is_kept = |socket: &Rc<Socket>| kept.iter().any(|other| other.address == socket.address);
    for socket in sockets.iter().filter(|socket| !is_kept(socket)) {
        if let Some(path) = socket.path() {
            log.log(
                Level::Warn,
                None,
                format_args!("deleting socket {}", path.display()),
            );
            remove_file(socket, log);
        }
    }
}

/// Removes the files of the Unix sockets among `sockets`, when the server ends.
pub fn remove_files(sockets: &[Rc<Socket>], log: &ErrorLog) {
    sockets.iter().for_each(|socket| remove_file(socket, log));
}

fn remove_file(socket: &Socket, log: &ErrorLog) {
    if let Some(path) = socket.path()
        && let Err(error) = std::fs::remove_file(path)
    {
        let message = format_args!("unlink() {} failed {}", path.display(), Errno(&error));
        log.log(Level::Emerg, None, message);
    }
}

/// The sockets a parent process left open, named by their numbers: `3;4;`, the value of the
/// environment variable `ROWHOUSE`. Numbers that lead nowhere are reported.
pub fn inherited(list: &str, log: &ErrorLog) -> Vec<Rc<Socket>> {
    let mut sockets: Vec<Rc<Socket>> = Vec::new();
    for number in list.split_terminator([';', ':']) {
        let Ok(number) = number.parse() else {
            let message = format_args!(
                "invalid socket number \"{number}\" in ROWHOUSE environment variable, ignoring the rest of the variable"
            );
            log.log(Level::Emerg, None, message);
            break;
        };
        if sockets.iter().any(|socket| socket.fd.as_raw_fd() == number) {
            continue;
        }
        match adopt(number) {
            Ok(socket) => sockets.push(Rc::new(socket)),
            Err(error) => {
                let error = Errno(&error);
                let message =
                    format_args!("getsockname() of the inherited socket #{number} failed {error}");
                log.log(Level::Crit, None, message);
            }
        }
    }
    sockets
}

fn adopt(number: i32) -> io::Result<Socket> {
    let fd = fd::adopt(number)?;
    fd::set_inheritable(fd.as_fd(), false)?;
    let (address, kind) = (socket::local_addr(fd.as_fd())?, socket::kind(fd.as_fd())?);
    Ok(Socket { address, kind, fd })
}

/// Lets a new binary inherit `sockets`, and gives the list for its environment.
///
/// # Errors
/// The system's. Call [`keep_private`] once the new binary runs.
pub fn bequeath(sockets: &[Rc<Socket>]) -> io::Result<String> {
    sockets
        .iter()
        .try_for_each(|socket| fd::set_inheritable(socket.as_fd(), true))?;
    Ok(sockets
        .iter()
        .map(|socket| format!("{};", socket.fd.as_raw_fd()))
        .collect())
}

/// Keeps further child processes from inheriting `sockets`.
///
/// # Errors
/// The system's.
pub fn keep_private(sockets: &[Rc<Socket>]) -> io::Result<()> {
    sockets
        .iter()
        .try_for_each(|socket| fd::set_inheritable(socket.as_fd(), false))
}

/// The socket for `options` among those still available.
fn take_over(
    available: &mut Vec<&Rc<Socket>>,
    options: &ListenOptions,
    log: &ErrorLog,
) -> Option<Rc<Socket>> {
    let fits =
        |socket: &&Rc<Socket>| socket.address == options.address && socket.kind == options.kind();
    let socket = available
        .swap_remove(available.iter().position(fits)?)
        .clone();
    if options.reuseport {
        // It must allow company before sockets for other workers can be opened beside it.
        let result = socket::reuse_port(socket.as_fd(), true);
        report(result, log, || {
            format!("setsockopt(SO_REUSEPORT) {}", options.address)
        });
    }
    Some(socket)
}

/// Opens one socket.
///
/// # Errors
/// The call that failed.
pub fn open(options: &ListenOptions) -> Result<Socket, ListenError> {
    let address = &options.address;
    let failed = |call: String| move |error| ListenError { call, error };
    let on = |call: &str| failed(format!("{call} {address}"));
    let fd = socket::socket(address, options.kind()).map_err(on("socket()"))?;
    socket::reuse_addr(fd.as_fd(), true).map_err(on("setsockopt(SO_REUSEADDR)"))?;
    if options.reuseport {
        socket::reuse_port(fd.as_fd(), true).map_err(on("setsockopt(SO_REUSEPORT)"))?;
    }
    if matches!(address, Address::Inet(inet) if inet.is_ipv6()) {
        socket::v6_only(fd.as_fd(), options.ipv6only).map_err(on("setsockopt(IPV6_V6ONLY)"))?;
    }
    socket::bind(fd.as_fd(), address).map_err(on("bind() to"))?;
    // The kernel may have chosen the port.
    let bound = socket::local_addr(fd.as_fd()).map_err(on("getsockname()"))?;
    let socket = Socket {
        address: bound,
        kind: options.kind(),
        fd,
    };
    if let Some(path) = socket.path() {
        // Whoever may enter the folder may connect.
        let everyone = std::fs::Permissions::from_mode(0o666);
        std::fs::set_permissions(path, everyone).map_err(on("chmod()"))?;
    }
    if socket.kind == Kind::Stream {
        let backlog = options.backlog;
        let failed = failed(format!("listen() to {address}, backlog {backlog}"));
        socket::listen(socket.as_fd(), backlog).map_err(failed)?;
    }
    Ok(socket)
}

/// Sets what a configuration may change about a socket that is open already. A failure is reported
/// and otherwise ignored.
fn configure(socket: &Socket, options: &ListenOptions, log: &ErrorLog) {
    let (fd, address) = (socket.as_fd(), &options.address);
    let done = |name: &str, result| report(result, log, || format!("setsockopt({name}) {address}"));
    if let Some(bytes) = options.rcvbuf {
        done("SO_RCVBUF", socket::receive_buffer(fd, bytes));
    }
    if let Some(bytes) = options.sndbuf {
        done("SO_SNDBUF", socket::send_buffer(fd, bytes));
    }
    match options.so_keepalive {
        None => {}
        Some(KeepAlive::Off) => done("SO_KEEPALIVE", socket::keep_alive(fd, false)),
        Some(KeepAlive::On {
            idle,
            interval,
            count,
        }) => {
            done("SO_KEEPALIVE", socket::keep_alive(fd, true));
            done(
                "TCP_KEEPIDLE",
                socket::keep_alive_times(fd, idle, interval, count),
            );
        }
    }
    if socket.kind == Kind::Datagram {
        return;
    }
    if let Some(queue) = options.fastopen {
        done("TCP_FASTOPEN", socket::fast_open(fd, queue));
    }
    let backlog = options.backlog;
    report(socket::listen(fd, backlog), log, || {
        format!("listen() to {address}, backlog {backlog}")
    });
    if address.ip().is_some() {
        // Connections inherit it, which saves each of them a call.
        done("TCP_NODELAY", socket::no_delay(fd, true));
        let seconds = if options.deferred { DEFER_SECONDS } else { 0 };
        done("TCP_DEFER_ACCEPT", socket::defer_accept(fd, seconds));
    }
}

fn report(result: io::Result<()>, log: &ErrorLog, call: impl FnOnce() -> String) {
    if let Err(error) = result {
        let message = format_args!("{} failed, ignored {}", call(), Errno(&error));
        log.log(Level::Alert, None, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::error_log::{Sink, Target};
    use crate::log::memory::Memory;

    fn loopback() -> ListenOptions {
        ListenOptions::new(Address::Inet(([127, 0, 0, 1], 0).into()))
    }

    /// A log and what it says.
    fn log() -> (ErrorLog, Rc<Memory>) {
        let memory = Memory::new(8192);
        let target = Target::Memory(memory.clone());
        (
            ErrorLog::new([Sink {
                level: Level::Debug,
                target,
            }]),
            memory,
        )
    }

    fn text(memory: &Memory) -> String {
        String::from_utf8(memory.contents()).unwrap()
    }

    #[test]
    fn a_reload_takes_sockets_over() {
        let (log, memory) = log();
        let first = open_all(&[loopback()], &[], &log).unwrap();
        let again = ListenOptions {
            backlog: 5,
            deferred: true,
            ..ListenOptions::new(first[0].address().clone())
        };
        let second = open_all(&[again.clone(), loopback()], &first, &log).unwrap();
        assert!(Rc::ptr_eq(&first[0], &second[0]));
        assert_ne!(second[1].address(), second[0].address());
        let third = open_all(&[again], &second, &log).unwrap();
        assert_eq!(third.len(), 1);
        assert_eq!(text(&memory), "");
    }

    #[test]
    fn every_option_is_accepted_by_the_kernel() {
        let (log, memory) = log();
        let keepalive = KeepAlive::On {
            idle: Some(30),
            interval: None,
            count: Some(3),
        };
        let options = ListenOptions {
            reuseport: true,
            deferred: true,
            rcvbuf: Some(8192),
            sndbuf: Some(8192),
            fastopen: Some(4),
            so_keepalive: Some(keepalive),
            ..loopback()
        };
        let first = open_all(std::slice::from_ref(&options), &[], &log).unwrap();
        let shared = ListenOptions {
            address: first[0].address().clone(),
            ..options
        };
        let both = open_all(&[shared.clone(), shared], &first, &log).unwrap();
        assert_eq!(both[0].address(), both[1].address());
        assert_eq!(text(&memory), "");
    }

    #[test]
    fn an_address_in_use_is_named() {
        let (log, memory) = log();
        let first = open_all(&[loopback()], &[], &log).unwrap();
        let address = first[0].address().clone();
        let taken = ListenOptions::new(address.clone());
        let error = open(&taken).unwrap_err();
        assert!(error.is_in_use());
        assert_eq!(
            error.to_string(),
            format!("bind() to {address} failed (98: Address already in use)")
        );
        assert_eq!(try_all(&[taken], &log), Ok(()), "a check does not mind");
        assert_eq!(text(&memory), "");
    }

    #[test]
    fn a_file_of_a_unix_socket_is_open_to_all_and_removed() {
        let (log, memory) = log();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let options = ListenOptions::new(Address::Unix(path.as_os_str().as_bytes().to_vec()));
        try_all(std::slice::from_ref(&options), &log).unwrap();
        assert!(!path.exists());
        let sockets = open_all(&[options], &[], &log).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o666
        );
        close_all_but(&sockets.clone(), sockets.clone(), &log);
        assert!(path.exists());
        close_all_but(&[], sockets, &log);
        assert!(!path.exists());
        assert!(text(&memory).ends_with(&format!("deleting socket {}\n", path.display())));
    }

    #[test]
    fn an_address_that_is_not_ours_fails_at_once() {
        let (log, memory) = log();
        let foreign = ListenOptions::new(Address::Inet(([192, 0, 2, 1], 0).into()));
        assert_eq!(
            open_all(std::slice::from_ref(&foreign), &[], &log).unwrap_err(),
            NotOpened
        );
        assert_eq!(try_all(&[foreign], &log), Err(NotOpened));
        assert!(
            text(&memory).contains("bind() to 192.0.2.1:0 failed (99: "),
            "{}",
            text(&memory)
        );
    }

    #[test]
    fn inherited_sockets() {
        use std::os::fd::IntoRawFd;

        let (log, memory) = log();
        let sockets = open_all(&[loopback()], &[], &log).unwrap();
        let number = sockets[0].fd.try_clone().unwrap().into_raw_fd();
        let heirs = inherited(&format!("{number};{number};987654;x;1;"), &log);
        assert_eq!(heirs.len(), 1);
        assert_eq!(heirs[0].address(), sockets[0].address());
        assert_eq!(bequeath(&heirs).unwrap(), format!("{number};"));
        keep_private(&heirs).unwrap();
        let text = text(&memory);
        assert!(
            text.contains("of the inherited socket #987654 failed (9: "),
            "{text}"
        );
        assert!(text.contains("invalid socket number \"x\""), "{text}");
    }
}
