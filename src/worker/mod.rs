//! Accepting connections and driving HTTP over exchanges: what one worker process does.
//!
//! A worker is one thread with one event loop. It shares nothing with the others but the
//! listening sockets and a few counters.

mod accept;
mod clock;
mod connection;
mod h1;
mod pool;

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGWINCH};

use self::accept::Acceptor;
use self::clock::with_clock;
use crate::event::{self, Loop, Notified, Notify, Signals};
use crate::exchange::Runtime;
use crate::log::level::Level;
use crate::sys::process;
use crate::sys::shm::SharedMap;

/// What a worker is given when it starts.
pub struct Assignment {
    /// The configuration.
    pub runtime: Rc<Runtime>,
    /// The listening sockets, each with its place in [`Runtime::sockets`].
    pub sockets: Vec<(usize, OwnedFd)>,
    /// The process's [`SIGNALS`].
    pub signals: Signals,
    /// Counters shared by all workers of all generations.
    pub counters: Rc<SharedMap>,
}

/// The signals a worker obeys.
pub const SIGNALS: [i32; 5] = [SIGTERM, SIGINT, SIGQUIT, SIGWINCH, SIGUSR1];

/// How often buffered log lines are looked after at most.
const SHORTEST_FLUSH: Duration = Duration::from_millis(10);

thread_local! {
    static RETIRING: Cell<bool> = const { Cell::new(false) };
    // One a process, alive until its end: futures may then refer to it without counting.
    static IDLE: &'static Notify = Box::leak(Box::new(Notify::new()));
}

/// Whether this worker is on its way out: no connection is kept for another request.
fn is_retiring() -> bool {
    RETIRING.get()
}

/// Resolves when an idle connection is asked to make room, or to go with its worker.
fn asked_to_leave() -> Notified<'static> {
    IDLE.with(|idle| idle.wait())
}

/// Asks the connection that has been idle longest to make room; `false` if none is idle.
fn release_one_idle() -> bool {
    IDLE.with(|idle| {
        let any = idle.waiting() > 0;
        idle.notify_one();
        any
    })
}

/// Serves until told to stop.
///
/// # Errors
/// The event loop can't be made.
pub fn run(assignment: Assignment) -> io::Result<()> {
    let Assignment {
        runtime,
        sockets,
        signals,
        counters,
    } = assignment;
    let turns = Loop::new(runtime.events.method, runtime.events.worker_connections)?;
    let acceptor = Rc::new(Acceptor {
        turns: turns.clone(),
        task: connection::serve,
        runtime: Rc::clone(&runtime),
        counters,
    });
    let accepting = Rc::new(Notify::new());
    for (index, fd) in sockets {
        let (acceptor, stop) = (Rc::clone(&acceptor), Rc::clone(&accepting));
        event::spawn(async move {
            event::race(acceptor.accept(index, fd), stop.wait()).await;
        });
    }
    event::spawn(obey(signals, Rc::clone(&runtime), accepting));
    event::spawn(flush_logs(Rc::clone(&runtime)));
    turns.run();
    runtime.logs.flush();
    Ok(())
}

/// Does what signals say: TERM and INT stop at once, QUIT and WINCH when all is answered, USR1
/// reopens the log files.
async fn obey(mut signals: Signals, runtime: Rc<Runtime>, accepting: Rc<Notify>) {
    let notice = |text| {
        runtime
            .error_log
            .log(Level::Notice, None, format_args!("{text}"))
    };
    loop {
        let Ok(received) = signals.next().await else {
            return event::stop();
        };
        match received.signal {
            SIGTERM | SIGINT => return event::stop(),
            SIGUSR1 => {
                notice("reopening logs");
                runtime.logs.reopen(None);
            }
            _ if !RETIRING.replace(true) => {
                notice("gracefully shutting down");
                process::set_title(&format!("{}: worker process is shutting down", crate::NAME));
                retire(&runtime, &accepting);
            }
            _ => {}
        }
    }
}

/// Accepts no more, and ends when all is answered, or `worker_shutdown_timeout` is over.
fn retire(runtime: &Runtime, accepting: &Notify) {
    accepting.notify_all();
    IDLE.with(|idle| idle.notify_all());
    event::stop_gracefully();
    if let Some(timeout) = runtime.process.worker_shutdown_timeout {
        event::spawn(async move {
            event::sleep(timeout).await;
            event::stop();
        });
    }
}

/// Writes buffered access-log lines out when they are due (`flush=`).
async fn flush_logs(runtime: Rc<Runtime>) {
    loop {
        let now = std::time::Instant::now();
        let Some(due) = runtime.logs.flush_due(now) else {
            return;
        };
        event::sleep(due.saturating_duration_since(now).max(SHORTEST_FLUSH)).await;
    }
}
