//! Accepting connections and driving HTTP over exchanges: what one worker process does.
//!
//! A worker is one thread with one event loop. It shares nothing with the others but the
//! listening sockets and a few counters.

mod accept;
mod clock;
mod connection;
mod driver;
mod h1;
mod memory;
mod rush;

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGWINCH};

use self::accept::Acceptor;
use self::clock::append_date;
use self::connection::Task;
use crate::event::{self, Loop, Notify, Review, Signals};
use crate::exchange::{Runtime, counters};
use crate::log::level::Level;
use crate::sys::process;
use crate::sys::shm::SharedMap;

/// What a worker serves.
pub struct Service {
    /// The configuration.
    pub runtime: Rc<Runtime>,
    /// The listening sockets, each with its place in [`Runtime::sockets`].
    pub sockets: Vec<(usize, OwnedFd)>,
}

/// Reads the configuration again; `None` if the one in force stays.
pub type Reload = Box<dyn FnMut() -> Option<Service>>;

/// What a worker is given when it starts.
pub struct Assignment {
    /// What it serves.
    pub service: Service,
    /// The process's [`SIGNALS`], and HUP where it can reload.
    pub signals: Signals,
    /// What HUP does in a process without a master.
    pub reload: Option<Reload>,
    /// Counters shared by all workers of all generations.
    pub counters: Rc<SharedMap>,
}

/// The signals a worker obeys; it takes no notice of others.
pub const SIGNALS: [i32; 5] = [SIGTERM, SIGINT, SIGQUIT, SIGWINCH, SIGUSR1];

/// How often buffered log lines are looked after at most.
const SHORTEST_FLUSH: Duration = Duration::from_millis(10);

thread_local!(static RETIRING: Cell<bool> = const { Cell::new(false) });

/// Whether this worker is on its way out: no connection is kept for another request.
fn is_retiring() -> bool {
    RETIRING.get()
}

/// Serves until told to stop.
///
/// # Errors
/// The event loop can't be made.
pub fn run(assignment: Assignment) -> io::Result<()> {
    counters::count_in(assignment.counters);
    let service = assignment.service;
    let events = &service.runtime.events;
    let turns = Loop::new(events.method, events.worker_connections)?;
    let runtime = Rc::new(RefCell::new(Rc::clone(&service.runtime)));
    let worker = Worker {
        turns: turns.clone(),
        runtime: Rc::clone(&runtime),
        accepting: Notify::new(),
    };
    let worker = Rc::new(worker);
    worker.begin(service);
    event::spawn(worker.obey(assignment.signals, assignment.reload));
    turns.run();
    runtime.borrow().logs.flush();
    Ok(())
}

/// What the signals act on.
struct Worker {
    turns: Loop<Task>,
    /// The configuration in force.
    runtime: Rc<RefCell<Rc<Runtime>>>,
    /// Wakes those who accept, to stop.
    accepting: Notify,
}

impl Worker {
    /// Accepts connections for `service`.
    fn begin(self: &Rc<Self>, service: Service) {
        let acceptor = Rc::new(Acceptor {
            turns: self.turns.clone(),
            runtime: Rc::clone(&service.runtime),
        });
        for (index, fd) in service.sockets {
            let (acceptor, worker) = (Rc::clone(&acceptor), Rc::clone(self));
            event::spawn(async move {
                event::race(acceptor.accept(index, fd), worker.accepting.wait()).await;
            });
        }
        event::spawn(flush_logs(service.runtime));
    }

    /// Does what signals say: TERM and INT stop at once, QUIT and WINCH when all is answered, USR1
    /// reopens the log files, HUP reloads.
    async fn obey(self: Rc<Self>, mut signals: Signals, mut reload: Option<Reload>) {
        loop {
            let Ok(received) = signals.next().await else {
                return event::stop();
            };
            match (received.signal, &mut reload) {
                (SIGTERM | SIGINT, _) => return event::stop(),
                (SIGUSR1, _) => {
                    self.notice("reopening logs");
                    self.runtime.borrow().logs.reopen(None);
                }
                (SIGHUP, Some(reload)) if !is_retiring() => {
                    if let Some(service) = reload() {
                        self.serve_instead(service);
                    }
                }
                (SIGQUIT | SIGWINCH, _) if !RETIRING.replace(true) => {
                    self.notice("gracefully shutting down");
                    process::set_title(&format!("{} is shutting down", crate::WORKER_TITLE));
                    self.retire();
                }
                _ => {}
            }
        }
    }

    fn notice(&self, text: &str) {
        let runtime = self.runtime.borrow();
        runtime
            .error_log
            .log(Level::Notice, None, format_args!("{text}"));
    }

    /// New connections get `service`; those there are keep what they had.
    fn serve_instead(self: &Rc<Self>, service: Service) {
        self.accepting.notify_all();
        self.runtime.replace(Rc::clone(&service.runtime));
        self.begin(service);
    }

    /// Accepts no more, and ends when all is answered, or `worker_shutdown_timeout` is over.
    fn retire(&self) {
        self.accepting.notify_all();
        self.turns.review(|task| {
            task.hurry();
            Review::Poll
        });
        event::stop_gracefully();
        if let Some(timeout) = self.runtime.borrow().process.worker_shutdown_timeout {
            event::spawn(async move {
                event::sleep(timeout).await;
                event::stop();
            });
        }
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
