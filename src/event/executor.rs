//! Tasks: polled when woken, dropped when done, and alone in their panics.
//!
//! A task is a number: connections live inline in the loop's slab, everything else is boxed.
//! The thread's part (run queue, reactor, clock, boxed tasks) is reached without a handle.

use super::poller::Method;
use super::reactor::{Reactor, TaskId};
use super::time::{Instant, Reading};
use crate::sys::pinned::PinSlab;
use crate::sys::waker::{WakeWord, from_word};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

/// Set in the number of a boxed task.
const BOXED: TaskId = 1 << 31;

/// How many of those that gave way go on in a turn.
const UNHURRIED: usize = 4;

type Boxed = Pin<Box<dyn Future<Output = ()>>>;

/// How far the end of the loop has been asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    No,
    WhenNoConnectionIsLeft,
    Now,
}

/// Tasks to poll in the next turn, each once.
#[derive(Default)]
struct RunQueue {
    tasks: Vec<TaskId>,
    /// A bit for each task that is in `tasks`: connections, boxed.
    queued: [Vec<u64>; 2],
    /// Those that gave way, the longest waiting first.
    unhurried: VecDeque<TaskId>,
}

impl RunQueue {
    fn bit(&mut self, task: TaskId) -> (&mut u64, u64) {
        let words = &mut self.queued[usize::from(task & BOXED != 0)];
        let index = (task & !BOXED) as usize;
        if words.len() <= index / 64 {
            words.resize(index / 64 + 1, 0);
        }
        (&mut words[index / 64], 1 << (index % 64))
    }

    fn push(&mut self, task: TaskId) {
        let (word, bit) = self.bit(task);
        if *word & bit == 0 {
            *word |= bit;
            self.tasks.push(task);
        }
    }

    /// Takes what is queued and leaves `empty`, so that its memory is used in turns.
    fn swap(&mut self, empty: Vec<TaskId>) -> Vec<TaskId> {
        let tasks = std::mem::replace(&mut self.tasks, empty);
        for task in &tasks {
            let (word, bit) = self.bit(*task);
            *word &= !bit;
        }
        tasks
    }
}

/// The part of a loop that does not depend on the type of its connections.
struct Thread {
    /// Tells this thread's wakers from another's.
    id: u32,
    /// How many loops this thread has had.
    loops: Cell<u32>,
    running: Cell<bool>,
    occasion: Cell<u64>,
    stop: Cell<Stop>,
    current: Cell<TaskId>,
    reading: Cell<Option<Reading>>,
    queue: RefCell<RunQueue>,
    reactor: RefCell<Option<Reactor>>,
    boxed: Rc<PinSlab<Boxed>>,
}

static THREADS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    static THREAD: Thread = Thread {
        id: THREADS.fetch_add(1, Ordering::Relaxed),
        loops: const { Cell::new(0) },
        running: Cell::new(false),
        occasion: const { Cell::new(0) },
        stop: Cell::new(Stop::No),
        current: const { Cell::new(TaskId::MAX) },
        reading: const { Cell::new(None) },
        queue: RefCell::default(),
        reactor: const { RefCell::new(None) },
        boxed: Rc::default(),
    };
}

/// Calls `f` with the thread's reactor; `None` where no loop was made, or after its end.
pub(super) fn with_reactor<R>(f: impl FnOnce(&mut Reactor) -> R) -> Option<R> {
    THREAD
        .try_with(|thread| thread.reactor.borrow_mut().as_mut().map(f))
        .ok()
        .flatten()
}

/// As [`with_reactor`], for a wait of the task being polled, which is told along with the time.
pub(super) fn with_reactor_for<R>(f: impl FnOnce(&mut Reactor, TaskId, Instant) -> R) -> Option<R> {
    THREAD
        .try_with(|thread| {
            let mut reactor = thread.reactor.borrow_mut();
            let now = thread.reading.get().unwrap_or_else(Reading::take).instant;
            Some(f(reactor.as_mut()?, thread.current.get(), now))
        })
        .ok()
        .flatten()
}

/// The clocks as this turn read them; read now where no loop runs, or while the thread ends.
pub(super) fn reading() -> Reading {
    let reading = THREAD.try_with(|thread| thread.reading.get());
    reading.ok().flatten().unwrap_or_else(Reading::take)
}

/// The present occasion. What is seen of the world outside may be taken to stay so until the next
/// one, which comes with each turn of the loop and each call of [`new_occasion`]. Where no loop
/// runs, every call is one.
///
/// So a request that had begun when the turn did is answered by what was seen after it began, even
/// if another request of the turn had it looked at.
pub fn occasion() -> u64 {
    THREAD.with(|thread| {
        if !thread.running.get() {
            new_occasion();
        }
        thread.occasion.get()
    })
}

/// Something has happened that may have changed what was seen, or may have come after such a
/// change: a request that does more than read, one that may have been sent within this turn.
pub fn new_occasion() {
    THREAD.with(|thread| thread.occasion.set(thread.occasion.get() + 1));
}

/// Has the task being polled go on behind all that are in a hurry.
pub(super) fn let_others_pass() {
    THREAD.with(|thread| {
        let mut queue = thread.queue.borrow_mut();
        queue.unhurried.push_back(thread.current.get());
    });
}

/// Ends [`Loop::run`] after this turn; tasks that are left are dropped.
pub fn stop() {
    THREAD.with(|thread| thread.stop.set(Stop::Now));
}

/// Ends [`Loop::run`] once no connection is left. Whoever accepts should have stopped.
pub fn stop_gracefully() {
    THREAD.with(|thread| {
        if thread.stop.get() == Stop::No {
            thread.stop.set(Stop::WhenNoConnectionIsLeft);
        }
    });
}

/// Starts a background task: an accept loop, a timer, a signal handler. It is first polled
/// in the next turn, and dropped when the loop ends.
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    // While the thread ends, drops may still call this; the future is then dropped, too.
    let _ = THREAD.try_with(|thread| {
        let index = thread.boxed.insert(Box::pin(future));
        thread.queue.borrow_mut().push(index | BOXED);
    });
}

/// Stops the loop even if the task panics.
struct StopOnDrop;

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        stop();
    }
}

/// Runs a future to its end on a loop of its own, for commands and tests.
///
/// # Errors
/// That no loop could be made.
pub fn block_on<T: 'static>(future: impl Future<Output = T> + 'static) -> io::Result<T> {
    let answer = Rc::new(Cell::new(None));
    let event_loop = Loop::<std::future::Ready<()>>::new(Method::Epoll, 0)?;
    let place = answer.clone();
    spawn(async move {
        let _end = StopOnDrop;
        place.set(Some(future.await));
    });
    event_loop.run();
    answer
        .take()
        .ok_or_else(|| io::Error::other("the task panicked"))
}

/// What a waker of a task does. The word is the thread's number and the task's.
struct TaskWaker;

impl WakeWord for TaskWaker {
    fn wake(word: usize) {
        // While the thread ends there is nobody left to wake.
        let _ = THREAD.try_with(|thread| {
            assert!(
                thread.id as usize == word >> 32,
                "a waker has left its thread"
            );
            thread.queue.borrow_mut().push(word as TaskId);
        });
    }
}

/// Polls a task under a waker of its own and drops it when it is done or has panicked.
fn poll_task<F: Future<Output = ()>>(thread: &Thread, slab: &PinSlab<F>, index: u32, task: TaskId) {
    let outer = thread.current.replace(task);
    let waker = from_word::<TaskWaker>((thread.id as usize) << 32 | task as usize);
    slab.with(index, |mut entry| {
        let Some(future) = entry.as_mut().as_pin_mut() else {
            return;
        };
        let poll = || future.poll(&mut Context::from_waker(&waker));
        match catch_unwind(AssertUnwindSafe(poll)) {
            Ok(Poll::Pending) => return,
            Ok(Poll::Ready(())) => {}
            Err(panic) => report(&*panic),
        }
        discard(entry);
    });
    thread.current.set(outer);
}

/// Drops a task where it lies. A panic in its drop ends with it, too.
fn discard<F>(mut entry: Pin<&mut Option<F>>) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| entry.set(None))) {
        report(&*panic);
    }
}

fn report(panic: &(dyn Any + Send)) {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    log::error!("a task panicked: {}", text.unwrap_or("without a message"));
}

/// What [`Loop::review`] does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Review {
    /// Nothing.
    Leave,
    /// It is polled in the next turn.
    Poll,
    /// It is dropped.
    Drop,
}

/// The event loop of this thread, with connections of type `F` inline.
///
/// A clone is another handle of the same loop, for the tasks that accept.
pub struct Loop<F> {
    connections: Rc<PinSlab<F>>,
}

impl<F> Clone for Loop<F> {
    fn clone(&self) -> Self {
        Loop {
            connections: self.connections.clone(),
        }
    }
}

impl<F: Future<Output = ()> + 'static> Loop<F> {
    /// Makes the thread's loop; one that has ended is replaced. `capacity_hint` is how many
    /// descriptors to make room for.
    ///
    /// # Errors
    /// The poller's, and `AlreadyExists` while another loop runs on this thread.
    pub fn new(method: Method, capacity_hint: usize) -> io::Result<Self> {
        THREAD.with(|thread| {
            if thread.running.get() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let now = Reading::take().instant;
            let loops = thread.loops.get().wrapping_add(1);
            thread.loops.set(loops);
            // Far apart, so that removals do not carry one loop's generations to the next's.
            let reactor =
                Reactor::new(method, now, capacity_hint, loops.wrapping_mul(0x9E37_79B1))?;
            *thread.reactor.borrow_mut() = Some(reactor);
            thread.stop.set(Stop::No);
            Ok(Loop {
                connections: Rc::default(),
            })
        })
    }

    /// Starts a connection and polls it at once: the first request of a fresh connection is
    /// often there already.
    pub fn spawn_connection(&self, connection: F) {
        let index = self.connections.insert(connection);
        THREAD.with(|thread| poll_task(thread, &self.connections, index, index));
    }

    /// Looks at each connection and does with it what `judge` says. Not for the one that is just
    /// being polled: it is left out.
    pub fn review(&self, mut judge: impl FnMut(&mut F) -> Review)
    where
        F: Unpin,
    {
        for index in 0..self.connections.capacity() {
            self.connections.with(index, |mut entry| {
                match entry.as_mut().get_mut().as_mut().map(&mut judge) {
                    Some(Review::Drop) => discard(entry),
                    Some(Review::Poll) => {
                        THREAD.with(|thread| thread.queue.borrow_mut().push(index));
                    }
                    Some(Review::Leave) | None => {}
                }
            });
        }
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Turns until [`stop`] or [`stop_gracefully`] ends it, then drops all tasks.
    pub fn run(&self) {
        THREAD.with(|thread| {
            thread.running.set(true);
            thread.reading.set(Some(Reading::take()));
            let mut spare = Vec::new();
            while !self.is_over(thread) {
                if let Err(error) = collect(thread) {
                    log::error!("the event loop ends, it cannot wait for events: {error}");
                    break;
                }
                spare = self.drain(thread, spare);
                self.go_on(thread);
            }
            clear(&thread.boxed);
            clear(&self.connections);
            thread.running.set(false);
            thread.reading.set(None);
            thread.reactor.take();
        });
    }

    fn is_over(&self, thread: &Thread) -> bool {
        match thread.stop.get() {
            Stop::No => false,
            Stop::WhenNoConnectionIsLeft => self.connections.is_empty(),
            Stop::Now => true,
        }
    }

    /// Polls what was queued when the turn began.
    fn drain(&self, thread: &Thread, spare: Vec<TaskId>) -> Vec<TaskId> {
        let mut tasks = thread.queue.borrow_mut().swap(spare);
        for task in tasks.drain(..) {
            self.poll(thread, task);
        }
        tasks
    }

    /// Polls some of those that gave way.
    fn go_on(&self, thread: &Thread) {
        let waiting = thread.queue.borrow().unhurried.len();
        for _ in 0..waiting.min(UNHURRIED) {
            let next = thread.queue.borrow_mut().unhurried.pop_front();
            next.into_iter().for_each(|task| self.poll(thread, task));
        }
    }

    fn poll(&self, thread: &Thread, task: TaskId) {
        if task & BOXED == 0 {
            poll_task(thread, &self.connections, task, task);
        } else {
            poll_task(thread, &thread.boxed, task & !BOXED, task);
        }
    }
}

#[cfg(test)]
thread_local! {
    static TURNS: Cell<u32> = const { Cell::new(0) };
}

/// How many turns the loop makes during `run`.
#[cfg(test)]
pub(super) fn count_turns(run: impl FnOnce()) -> u32 {
    let before = TURNS.get();
    run();
    TURNS.get() - before
}

/// Waits for events, reads the clocks, and queues the tasks that events or timers concern.
fn collect(thread: &Thread) -> io::Result<()> {
    #[cfg(test)]
    TURNS.set(TURNS.get() + 1);
    let mut queue = thread.queue.borrow_mut();
    let mut reactor = thread.reactor.borrow_mut();
    let Some(reactor) = reactor.as_mut() else {
        return Err(io::ErrorKind::NotConnected.into());
    };
    let timeout = if queue.tasks.is_empty() && queue.unhurried.is_empty() {
        reactor.timeout_ms(reading().instant)
    } else {
        0
    };
    let mut wake = |task| queue.push(task);
    let result = reactor.wait(timeout, &mut wake);
    new_occasion();
    let reading = Reading::take();
    thread.reading.set(Some(reading));
    reactor.expire(reading.instant, &mut wake);
    result
}

fn clear<F>(slab: &PinSlab<F>) {
    for index in 0..slab.capacity() {
        slab.with(index, discard);
    }
}
