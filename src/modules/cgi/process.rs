//! A script's process group, from its start until nothing is left of it.
//!
//! A background task has the process: it waits for the end, so that no zombie stays, and carries
//! out what is ordered: TERM, and KILL for what does not heed it.

use std::cell::Cell;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use signal_hook::consts::{SIGKILL, SIGTERM};

use super::queue::Slot;
use crate::event::{
    self, Child, Instant, Notify, Raced, RemoteChild, Work, offload, race, sleep_until,
};
use crate::sys::process::{self, Exit, Program, Resource, Spawned, Starter};

/// How long the helper may take to start a script.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a script may run.
#[derive(Clone, Copy, Debug)]
pub struct Lifetime {
    /// Until TERM (`cgi_timeout`); zero: no limit.
    pub term: Duration,
    /// Until KILL, from TERM on or, without that, from the start; zero: no limit.
    pub kill: Duration,
    /// From TERM until KILL where nothing else is said.
    pub grace: Duration,
}

/// A started script. Dropping it ends the script's process group.
pub struct Process {
    shared: Rc<Shared>,
}

#[derive(Default)]
struct Shared {
    order: Cell<Order>,
    ordered: Notify,
    state: Cell<State>,
    changed: Notify,
    /// `cgi_timeout` was over before it ended.
    expired: Cell<bool>,
}

/// What is to become of a script.
#[derive(Clone, Copy, Default)]
enum Order {
    /// It goes on.
    #[default]
    Run,
    /// It may end by itself, but not later than this.
    LetGo(Option<Instant>),
    /// It is to end now.
    End,
}

/// What has become of a script.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It runs.
    #[default]
    Running,
    /// `cgi_timeout` is over; it has been told to end.
    Expired,
    /// It has ended.
    Ended(Exit),
}

impl Process {
    /// Starts a program, as `user` if there is one; it holds `slot` until it has ended.
    ///
    /// # Errors
    /// Those of [`crate::sys::process::spawn`], and of a helper that does not answer.
    pub async fn start(
        launch: Launch,
        user: Option<&User>,
        lifetime: Lifetime,
        slot: Slot,
    ) -> io::Result<Process> {
        let child = match user {
            // The kernel has whoever starts a program wait until it runs: a thread, not the loop.
            None => {
                let start = move || process::spawn(&launch.program()).map(Orphan::new);
                let orphan = offload(Work::Start, start).await??;
                Started::Own(Child::adopt(orphan.adopted()?))
            }
            Some(User { starter, account }) => {
                let deadline = event::now() + START_TIMEOUT;
                let program = launch.program();
                let child = RemoteChild::start(starter, *account, &program, deadline);
                Started::Remote(child.await?)
            }
        };
        let shared = Rc::new(Shared::default());
        let minder = Minder {
            child,
            shared: Rc::clone(&shared),
            _slot: slot,
        };
        event::spawn(minder.mind(lifetime));
        Ok(Process { shared })
    }

    /// What has become of it.
    pub fn state(&self) -> State {
        self.shared.state.get()
    }

    /// Whether it was told to end because `cgi_timeout` was over.
    pub fn has_expired(&self) -> bool {
        self.shared.expired.get()
    }

    /// Resolves when the state is not `Running`.
    pub async fn changed(&self) -> State {
        while self.state() == State::Running {
            self.shared.changed.wait().await;
        }
        self.state()
    }

    /// Waits for the end, but not longer than until `deadline`.
    pub async fn exit(&self, deadline: Instant) -> Option<Exit> {
        let end = async {
            loop {
                match self.state() {
                    State::Ended(exit) => return exit,
                    _ => self.shared.changed.wait().await,
                }
            }
        };
        event::timeout(deadline, end).await.ok()
    }

    /// Has no more interest in the script, which may end by itself, but not later than `by`.
    pub fn let_go(self, by: Option<Instant>) {
        self.shared.order.set(Order::LetGo(by));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.shared.order.get(), Order::Run) {
            self.shared.order.set(Order::End);
        }
        self.shared.ordered.notify_all();
    }
}

/// All that a program is started with.
pub struct Launch {
    /// The program and its arguments.
    pub arguments: Vec<CString>,
    /// The whole environment.
    pub environment: Vec<CString>,
    /// Where it runs, unless here.
    pub folder: Option<CString>,
    /// Standard input, output and error; `/dev/null` without.
    pub standard: [Option<OwnedFd>; 3],
    /// What it may use.
    pub limits: Vec<(Resource, u64)>,
}

impl Launch {
    fn program(&self) -> Program<'_> {
        Program {
            path: self.arguments.first().map_or(c"", CString::as_c_str),
            arguments: &self.arguments,
            environment: &self.environment,
            folder: self.folder.as_deref(),
            standard: self
                .standard
                .each_ref()
                .map(|fd| fd.as_ref().map(AsFd::as_fd)),
            limits: &self.limits,
            account: None,
        }
    }
}

/// A program just started; killed if nobody wants it any more.
struct Orphan(Option<Spawned>);

impl Orphan {
    fn new(spawned: Spawned) -> Orphan {
        Orphan(Some(spawned))
    }

    fn adopted(mut self) -> io::Result<Spawned> {
        self.0.take().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        if let Some(Spawned { pid, .. }) = self.0 {
            // There is nobody to tell if it has ended already.
            let _ = process::kill(-pid, SIGKILL);
            let _ = process::wait(pid);
        }
    }
}

/// Whom scripts run as, if not as the worker.
#[derive(Clone)]
pub struct User {
    /// Starts programs as other users.
    pub starter: Rc<Starter>,
    /// The user's number there.
    pub account: usize,
}

/// A program this process has started, or the helper.
enum Started {
    Own(Child),
    Remote(RemoteChild),
}

impl Started {
    async fn ended(&self) -> io::Result<()> {
        match self {
            Started::Own(child) => child.ended().await,
            Started::Remote(child) => child.ended().await,
        }
    }

    async fn wait(&self) -> io::Result<Exit> {
        match self {
            Started::Own(child) => child.wait().await,
            Started::Remote(child) => child.wait().await,
        }
    }

    fn kill(&self, signal: i32) -> io::Result<()> {
        match self {
            Started::Own(child) => child.kill(signal),
            Started::Remote(child) => child.kill(signal),
        }
    }

    fn spare(&self) {
        match self {
            Started::Own(child) => child.spare(),
            Started::Remote(child) => child.spare(),
        }
    }
}

/// Has the process.
struct Minder {
    child: Started,
    shared: Rc<Shared>,
    _slot: Slot,
}

/// When to send which signal.
#[derive(Default)]
struct Schedule {
    term: Option<Instant>,
    kill: Option<Instant>,
}

impl Minder {
    async fn mind(self, lifetime: Lifetime) {
        let exit = self.tend(lifetime).await;
        self.shared.state.set(State::Ended(exit));
        self.shared.changed.notify_all();
    }

    async fn tend(&self, lifetime: Lifetime) -> Exit {
        let mut schedule = Schedule::new(lifetime);
        let mut ending = false;
        let mut obeyed = false;
        loop {
            if !obeyed && !matches!(self.shared.order.get(), Order::Run) {
                obeyed = true;
                self.obey(&mut schedule);
            }
            match race(self.child.ended(), self.next(&schedule)).await {
                Raced::First(_) => break,
                Raced::Second(()) => {}
            }
            let now = event::now();
            if schedule.kill.is_some_and(|at| at <= now) {
                schedule.kill = None;
                self.send(SIGKILL);
                ending = true;
            } else if schedule.term.is_some_and(|at| at <= now) {
                schedule.term = None;
                schedule.kill = Some(now + lifetime.grace);
                self.send(SIGTERM);
                ending = true;
            }
            if ending && self.shared.state.get() == State::Running {
                self.shared.state.set(State::Expired);
                self.shared.expired.set(true);
                self.shared.changed.notify_all();
            }
        }
        if ending {
            // What the script has started does not outlive it: its number still names the group.
            self.send(SIGKILL);
        }
        self.child.wait().await.unwrap_or(Exit::Code(0))
    }

    /// Adapts the schedule to what is ordered.
    fn obey(&self, schedule: &mut Schedule) {
        match self.shared.order.get() {
            Order::Run => {}
            Order::End => schedule.term = Some(event::now()),
            Order::LetGo(Some(by)) => {
                schedule.term = Some(schedule.term.map_or(by, |term| term.min(by)));
            }
            Order::LetGo(None) => self.child.spare(),
        }
    }

    /// Resolves when there is something to do.
    async fn next(&self, schedule: &Schedule) {
        let due = schedule.term.into_iter().chain(schedule.kill).min();
        let ordered = self.shared.ordered.wait();
        match due {
            Some(due) => drop(race(ordered, sleep_until(due)).await),
            None => ordered.await,
        }
    }

    fn send(&self, signal: i32) {
        // The group may have just ended, which is what the signal is for.
        let _ = self.child.kill(signal);
    }
}

impl Schedule {
    fn new(lifetime: Lifetime) -> Schedule {
        let after = |time: Duration| (!time.is_zero()).then(|| event::now() + time);
        Schedule {
            term: after(lifetime.term),
            kill: after(lifetime.kill).filter(|_| lifetime.term.is_zero()),
        }
    }
}
