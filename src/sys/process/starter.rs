//! A helper process that starts programs as other users, which a worker no longer may.
//!
//! The master forks it before the workers, while it has root's rights. A worker sends it what to
//! start, with the three descriptors and a socket of its own for what follows. For each program
//! the helper forks a minder, a small process that starts it, passes signals on to its group and
//! reports its end over that socket. The helper knows which accounts there are; none is root's.

use super::spawn::{Account, Program, Spawned, spawn};
use super::{Exit, Fork, Pid, Resource, fork, kill, wait};
use crate::sys::fs::{self, Flags};
use crate::sys::poll::{PollFd, Readiness, poll};
use crate::sys::signal::Blocked;
use crate::sys::socket::{message_pair, receive_message, send_message};
use crate::sys::{check, fd};
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The longest request, in bytes: less than what the kernel takes at once.
const LONGEST: usize = 160 << 10;

/// What a worker sends in place of a signal: the program may outlive the worker's interest.
pub const SPARE: u8 = 0;

/// Where programs may be started from, and as whom.
#[derive(Debug, Default)]
pub struct Starter {
    accounts: RefCell<Vec<Account>>,
    /// The worker's end and the helper's.
    ends: RefCell<Option<(OwnedFd, OwnedFd)>>,
    helper: Cell<Option<Pid>>,
}

impl Starter {
    /// Lets programs run as `account`; gives its number.
    pub fn allow(&self, account: Account) -> usize {
        let mut accounts = self.accounts.borrow_mut();
        let known = accounts.iter().position(|other| *other == account);
        known.unwrap_or_else(|| {
            accounts.push(account);
            accounts.len() - 1
        })
    }

    /// Forks the helper, unless it runs or nobody needs it; gives its number. Does not return in
    /// the helper.
    ///
    /// # Errors
    /// The kernel's.
    pub fn launch(&self) -> io::Result<Option<Pid>> {
        if self.accounts.borrow().is_empty() || self.helper.get().is_some() {
            return Ok(None);
        }
        if self.ends.borrow().is_none() {
            *self.ends.borrow_mut() = Some(message_pair()?);
        }
        let ends = self.ends.borrow();
        let Some((_, end)) = &*ends else {
            return Ok(None);
        };
        let blocked = Blocked::all()?;
        match fork()? {
            Fork::Parent(pid) => {
                self.helper.set(Some(pid));
                Ok(Some(pid))
            }
            Fork::Child => {
                let served = help(end.as_fd(), &self.accounts.borrow(), blocked);
                std::process::exit(i32::from(served.is_err()))
            }
        }
    }

    /// Takes note of a process's end; whether that was the helper, which then can be launched
    /// anew. Requests wait meanwhile.
    pub fn has_ended(&self, pid: Pid) -> bool {
        let was_helper = self.helper.get() == Some(pid);
        if was_helper {
            self.helper.set(None);
        }
        was_helper
    }

    /// Lets go of the helper, which ends when all who could ask it have.
    pub fn close(&self) {
        self.ends.take();
    }

    /// Asks for a program's start as the account of that number. What becomes of it is told over
    /// the socket: [`start_of`] first, [`end_of`] last.
    ///
    /// # Errors
    /// The kernel's: `WouldBlock` if the helper has too much to do, a request too long for it.
    pub fn request(&self, account: usize, program: &Program<'_>) -> io::Result<OwnedFd> {
        let ends = self.ends.borrow();
        let Some((end, _)) = &*ends else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let message = encode(account, program);
        if message.len() > LONGEST {
            return Err(io::ErrorKind::ArgumentListTooLong.into());
        }
        let (mine, theirs) = message_pair()?;
        let null = fs::open("/dev/null", Flags::READ_WRITE)?;
        let [stdin, stdout, stderr] = program.standard.map(|fd| fd.unwrap_or(null.as_fd()));
        send_message(
            end.as_fd(),
            &message,
            &[stdin, stdout, stderr, theirs.as_fd()],
        )?;
        Ok(mine)
    }
}

/// What a minder says first.
///
/// # Errors
/// Why the program could not be started; `WouldBlock` if it is not known yet.
pub fn start_of(control: BorrowedFd<'_>) -> io::Result<()> {
    match numbers(control)? {
        [0, _] => Ok(()),
        [error, _] => Err(io::Error::from_raw_os_error(error)),
    }
}

/// What a minder says last.
///
/// # Errors
/// The kernel's; `UnexpectedEof` if the minder is gone.
pub fn end_of(control: BorrowedFd<'_>) -> io::Result<Exit> {
    Ok(match numbers(control)? {
        [code, 0] => Exit::Code(code),
        [core, signal] => Exit::Signal {
            signal,
            core_dumped: core != 0,
        },
    })
}

fn numbers(control: BorrowedFd<'_>) -> io::Result<[i32; 2]> {
    let (message, _) = receive_message(control, 8)?;
    match message.as_chunks() {
        ([first, second], []) => Ok([i32::from_ne_bytes(*first), i32::from_ne_bytes(*second)]),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn tell(control: BorrowedFd<'_>, first: i32, second: i32) {
    let message = [first.to_ne_bytes(), second.to_ne_bytes()].concat();
    // The worker may be gone, which shows elsewhere.
    let _ = send_message(control, &message, &[]);
}

/// The helper's life: until nobody is left who could ask it.
fn help(end: BorrowedFd<'_>, accounts: &[Account], blocked: Blocked) -> io::Result<()> {
    super::set_title(&format!("{}: script starter process", crate::NAME));
    let end = isolate(end)?;
    heed_no_signals();
    drop(blocked);
    fd::set_nonblocking(end.as_fd(), false)?;
    loop {
        let (message, descriptors) = match receive_message(end.as_fd(), LONGEST) {
            Ok((message, _)) if message.is_empty() => return Ok(()),
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => continue,
            Err(error) => return Err(error),
        };
        let [stdin, stdout, stderr, control] = match <[OwnedFd; 4]>::try_from(descriptors) {
            Ok(descriptors) => descriptors,
            Err(_) => continue,
        };
        match fork() {
            Ok(Fork::Child) => {
                drop(end);
                mind(&message, accounts, [stdin, stdout, stderr], &control);
                std::process::exit(0);
            }
            Ok(Fork::Parent(_)) => {}
            Err(error) => tell(control.as_fd(), error.raw_os_error().unwrap_or(-1), 0),
        }
    }
}

/// Leaves open nothing but the standard descriptors and the helper's end: above all not the
/// listening sockets.
fn isolate(end: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    const PLACE: i32 = 3;
    if end.as_raw_fd() != PLACE {
        // SAFETY: whoever owns that number in this process is never heard of again.
        check(unsafe { libc::dup3(end.as_raw_fd(), PLACE, libc::O_CLOEXEC) })?;
    }
    // SAFETY: as above.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, PLACE + 1, u32::MAX, 0u32) };
    check(closed as libc::c_int)?;
    Ok(fd::own(PLACE))
}

/// What the master is told does not concern the helper, except to end at once.
fn heed_no_signals() {
    use libc::{SIG_DFL, SIG_IGN};
    let ignored = [
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGHUP,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGWINCH,
        libc::SIGPIPE,
        // Nor does the end of a minder, which then leaves no zombie.
        libc::SIGCHLD,
    ];
    let handling = ignored.map(|signal| (signal, SIG_IGN));
    for (signal, handler) in handling.into_iter().chain([(libc::SIGTERM, SIG_DFL)]) {
        // SAFETY: neither handling is a function of ours.
        unsafe { libc::signal(signal, handler) };
    }
}

/// A minder's life: from the start of a program to the end of its process group.
fn mind(message: &[u8], accounts: &[Account], standard: [OwnedFd; 3], control: &OwnedFd) {
    // SAFETY: the handling is no function of ours.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    let started = decode(message, accounts)
        .ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))
        .and_then(|request| request.start(&standard));
    drop(standard);
    let Spawned { pid, end } = match started {
        Ok(spawned) => spawned,
        Err(error) => {
            return tell(
                control.as_fd(),
                error.raw_os_error().unwrap_or(libc::EIO),
                0,
            );
        }
    };
    tell(control.as_fd(), 0, 0);
    if attend(pid, &end, control) {
        let _ = kill(-pid, libc::SIGKILL);
    }
    match wait(pid) {
        Ok(Some(Exit::Signal {
            signal,
            core_dumped,
        })) => {
            tell(control.as_fd(), core_dumped.into(), signal);
        }
        Ok(Some(Exit::Code(code))) => tell(control.as_fd(), code, 0),
        Ok(None) | Err(_) => {}
    }
}

/// Passes signals on until the program has ended; whether it was told to end.
fn attend(pid: Pid, end: &OwnedFd, control: &OwnedFd) -> bool {
    let (mut ending, mut spared, mut alone) = (false, false, false);
    loop {
        let mut fds = [
            PollFd::new(end.as_raw_fd(), Readiness::READ),
            PollFd::new(control.as_raw_fd(), Readiness::READ),
        ];
        let watched = if alone { &mut fds[..1] } else { &mut fds[..] };
        if poll(watched, -1).is_err() {
            continue;
        }
        if fds[0].ready() != Readiness::NONE {
            return ending;
        }
        match receive_message(control.as_fd(), 1) {
            Ok((signal, _)) if signal == [SPARE] => spared = true,
            Ok((signal, _)) if !signal.is_empty() => {
                ending = true;
                let _ = kill(-pid, signal[0].into());
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // The worker is gone.
            Ok(_) | Err(_) => {
                alone = true;
                if !spared {
                    ending = true;
                    let _ = kill(-pid, libc::SIGKILL);
                }
            }
        }
    }
}

/// A request, read.
struct Request<'a> {
    account: &'a Account,
    limits: Vec<(Resource, u64)>,
    path: CString,
    folder: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Request<'_> {
    fn start(&self, standard: &[OwnedFd; 3]) -> io::Result<Spawned> {
        spawn(&Program {
            path: &self.path,
            arguments: &self.arguments,
            environment: &self.environment,
            folder: Some(&*self.folder).filter(|folder| !folder.is_empty()),
            standard: standard.each_ref().map(|fd| Some(fd.as_fd())),
            limits: &self.limits,
            account: Some(self.account),
        })
    }
}

/// Resources by their numbers in a request.
const RESOURCES: [Resource; 5] = [
    Resource::OpenFiles,
    Resource::Core,
    Resource::CpuTime,
    Resource::Memory,
    Resource::Processes,
];

fn encode(account: usize, program: &Program<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(4096);
    put_number(account as u64, &mut out);
    put_number(program.limits.len() as u64, &mut out);
    for (resource, most) in program.limits {
        let number = RESOURCES.iter().position(|other| other == resource);
        put_number(number.unwrap_or(RESOURCES.len()) as u64, &mut out);
        put_number(*most, &mut out);
    }
    put_string(program.path, &mut out);
    put_string(program.folder.unwrap_or(c""), &mut out);
    for list in [program.arguments, program.environment] {
        put_number(list.len() as u64, &mut out);
        list.iter().for_each(|string| put_string(string, &mut out));
    }
    out
}

fn put_number(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_ne_bytes());
}

fn put_string(string: &CStr, out: &mut Vec<u8>) {
    out.extend_from_slice(string.to_bytes_with_nul());
}

/// Reads what [`encode`] wrote; `None` if somebody else wrote it.
fn decode<'a>(mut message: &[u8], accounts: &'a [Account]) -> Option<Request<'a>> {
    let account = accounts.get(usize::try_from(number(&mut message)?).ok()?)?;
    let mut limits = Vec::new();
    for _ in 0..number(&mut message)? {
        let resource = usize::try_from(number(&mut message)?).ok()?;
        limits.push((*RESOURCES.get(resource)?, number(&mut message)?));
    }
    Some(Request {
        account,
        limits,
        path: string(&mut message)?,
        folder: string(&mut message)?,
        arguments: strings(&mut message)?,
        environment: strings(&mut message)?,
    })
}

fn number(message: &mut &[u8]) -> Option<u64> {
    let (first, rest) = message.split_first_chunk()?;
    *message = rest;
    Some(u64::from_ne_bytes(*first))
}

fn string(message: &mut &[u8]) -> Option<CString> {
    let string = CStr::from_bytes_until_nul(message).ok()?;
    *message = &message[string.to_bytes_with_nul().len()..];
    Some(string.to_owned())
}

fn strings(message: &mut &[u8]) -> Option<Vec<CString>> {
    (0..number(message)?).map(|_| string(message)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_arrive_as_they_were_sent() {
        let account = Account {
            uid: 1,
            gid: 2,
            groups: vec![3],
        };
        let strings = [c"a".to_owned(), c"".to_owned()];
        let message = encode(
            0,
            &Program {
                path: c"/x",
                arguments: &strings,
                environment: &strings[..1],
                folder: Some(c"/y"),
                standard: [None; 3],
                limits: &[(Resource::Memory, 7)],
                account: None,
            },
        );
        let accounts = [account];
        let request = decode(&message, &accounts).unwrap();
        assert_eq!((&*request.path, &*request.folder), (c"/x", c"/y"));
        assert_eq!(
            (&*request.arguments, &*request.environment),
            (&strings[..], &strings[..1])
        );
        assert_eq!(
            (request.limits.as_slice(), request.account),
            (&[(Resource::Memory, 7)][..], &accounts[0])
        );
        for length in 0..message.len() {
            assert!(decode(&message[..length], &accounts).is_none(), "{length}");
        }
        assert!(decode(&message, &[]).is_none());
    }

    #[test]
    fn accounts_are_numbered_once() {
        let starter = Starter::default();
        let account = |uid| Account {
            uid,
            gid: 1,
            groups: Vec::new(),
        };
        let numbers = [7, 8, 7].map(|uid| starter.allow(account(uid)));
        assert_eq!(numbers, [0, 1, 0]);
    }
}
