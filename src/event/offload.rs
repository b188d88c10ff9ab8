//! Work that would hold the loop up, done by threads beside it: hashing of passwords,
//! starting of programs, names of clients, long files.
//!
//! Each loop has a few threads of its own for each kind, started when there is work and kept, so
//! that no kind waits for another. What they are given owns all it needs. They put down the number
//! of what they have done and ring an event counter, whereupon a task of the loop wakes whoever
//! waits for it.

use super::{Io, spawn};
use crate::sys::fd;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{TryRecvError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;

/// The kinds of work.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// Hashing passwords, which takes a processor for long.
    Hash,
    /// Starting programs, for which the kernel has the caller wait.
    Start,
    /// Asking the system's resolver, which may wait for seconds.
    Resolve,
    /// Reading long files, and having them reach the disk.
    Files,
}

/// The most threads a loop has for a kind of work.
const MAX_THREADS: usize = 4;

/// Bytes of stack a thread has.
const STACK: usize = 256 * 1024;

/// The value of an event counter's signal.
const ONE: [u8; 8] = 1u64.to_ne_bytes();

type Job = Box<dyn FnOnce() + Send>;

thread_local! {
    static OFFICE: Office = Office::default();
}

/// What a loop's thread has of its helpers.
#[derive(Default)]
struct Office {
    /// By [`Work`].
    pools: RefCell<[Pool; 4]>,
    /// Where they put down what they have done, while a task looks there.
    tray: RefCell<Option<Arc<Tray>>>,
    /// Who waits for which number.
    waiting: RefCell<HashMap<u64, Waker>>,
    next: Cell<u64>,
}

/// The numbers of what was done, and the counter that the loop watches.
struct Tray {
    done: Mutex<Vec<u64>>,
    counter: OwnedFd,
}

/// Has another thread do `work`, in the order of asking. If nobody waits for the result any more,
/// it is dropped.
///
/// # Errors
/// There is no thread, or no descriptor, to be had; or `work` panicked.
pub async fn offload<R: Send + 'static>(
    kind: Work,
    work: impl FnOnce() -> R + Send + 'static,
) -> io::Result<R> {
    let (sender, receiver) = sync_channel(1);
    let number = OFFICE.with(|office| {
        let (tray, number) = (office.tray()?, office.next.get());
        office.next.set(number + 1);
        let job = move || {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            let _ = sender.send(result.ok());
            tray.put(number);
        };
        office.pools.borrow_mut()[kind as usize].submit(Box::new(job))?;
        io::Result::Ok(number)
    })?;
    let result = poll_fn(|context| match receiver.try_recv() {
        Err(TryRecvError::Empty) => {
            let waker = context.waker().clone();
            OFFICE.with(|office| office.waiting.borrow_mut().insert(number, waker));
            Poll::Pending
        }
        received => Poll::Ready(received.ok().flatten()),
    });
    let result = result.await;
    result.ok_or_else(|| io::Error::other("the work panicked"))
}

impl Office {
    /// The tray; the first use in a loop has a task look at it.
    fn tray(&self) -> io::Result<Arc<Tray>> {
        if let Some(tray) = &*self.tray.borrow() {
            return Ok(Arc::clone(tray));
        }
        let counter = fd::eventfd()?;
        let watched = Io::new(counter.as_fd().try_clone_to_owned()?);
        let tray = Arc::new(Tray {
            done: Mutex::default(),
            counter,
        });
        *self.tray.borrow_mut() = Some(Arc::clone(&tray));
        spawn(Collector(Arc::clone(&tray)).collect(watched));
        Ok(tray)
    }
}

impl Tray {
    /// Notes what was done; the first note since the loop last looked rings.
    fn put(&self, number: u64) {
        let mut done = lock(&self.done);
        done.push(number);
        let is_first = done.len() == 1;
        drop(done);
        if is_first {
            // The loop may have gone, and its end of the counter with it.
            let _ = fd::write(self.counter.as_fd(), &ONE);
        }
    }
}

/// Wakes those who wait, as long as the loop lasts.
struct Collector(Arc<Tray>);

impl Collector {
    async fn collect(self, watched: Io) {
        let mut rung = Vec::new();
        while watched.readable(None).await.is_ok() {
            rung.clear();
            let _ = watched.try_read(&mut rung, ONE.len());
            let done = std::mem::take(&mut *lock(&self.0.done));
            OFFICE.with(|office| {
                let mut waiting = office.waiting.borrow_mut();
                let wakers = done.iter().filter_map(|number| waiting.remove(number));
                wakers.for_each(Waker::wake);
            });
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // The thread's next loop has another.
        let _ = OFFICE.try_with(|office| office.tray.take());
    }
}

/// The threads for one kind of work.
#[derive(Default)]
struct Pool {
    queue: Arc<Queue>,
    threads: usize,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Threads that wait for a job.
    idle: usize,
    /// No more jobs will come.
    closed: bool,
}

impl Pool {
    fn submit(&mut self, job: Job) -> io::Result<()> {
        let mut state = lock(&self.queue.state);
        state.jobs.push_back(job);
        let enough = state.jobs.len() <= state.idle || self.threads == MAX_THREADS;
        drop(state);
        self.queue.more.notify_one();
        if enough { Ok(()) } else { self.grow() }
    }

    /// Starts one more thread; not to get one is no failure if there are some.
    fn grow(&mut self) -> io::Result<()> {
        let queue = Arc::clone(&self.queue);
        let thread = thread::Builder::new().stack_size(STACK);
        match thread.spawn(move || queue.work_off()) {
            Ok(_) => self.threads += 1,
            Err(error) if self.threads == 0 => return Err(error),
            Err(_) => {}
        }
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        lock(&self.queue.state).closed = true;
        self.queue.more.notify_all();
    }
}

impl Queue {
    /// What each thread does, until the loop's thread has ended.
    fn work_off(&self) {
        let mut state = lock(&self.state);
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job();
                state = lock(&self.state);
            } else if state.closed {
                return;
            } else {
                state.idle += 1;
                let woken = self.more.wait(state);
                state = woken.unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::block_on;

    #[test]
    fn results_come_back_to_the_loop() {
        let here = thread::current().id();
        let sum = block_on(async move {
            let mut sum = 0;
            for number in 1..=10 {
                let (other, number) =
                    offload(Work::Hash, move || (thread::current().id(), number)).await?;
                assert_ne!(here, other);
                sum += number;
            }
            io::Result::Ok(sum)
        });
        assert_eq!(sum.unwrap().unwrap(), 55);
    }

    #[test]
    fn no_kind_of_work_waits_for_another() {
        let order = block_on(async {
            let (release, held) = std::sync::mpsc::channel::<()>();
            let held = Arc::new(Mutex::new(held));
            let slow = |number: usize| {
                let held = Arc::clone(&held);
                spawn(async move {
                    let wait = move || lock(&held).recv().is_ok();
                    drop((number, offload(Work::Hash, wait).await));
                });
            };
            (0..2 * MAX_THREADS).for_each(slow);
            let quick = offload(Work::Start, || "started").await.ok();
            drop(release);
            (quick, offload(Work::Hash, || "hashed").await.ok())
        });
        assert_eq!(order.unwrap(), (Some("started"), Some("hashed")));
    }

    #[test]
    fn a_later_loop_of_the_thread_has_its_results_too() {
        for number in 0..3 {
            let result = block_on(async move { offload(Work::Resolve, move || number).await.ok() });
            assert_eq!(result.unwrap(), Some(number));
        }
    }

    #[test]
    fn a_panic_is_an_error() {
        let result = block_on(async {
            let failed = offload(Work::Hash, || panic!("in the thread"))
                .await
                .map(|(): ()| ());
            (failed.is_err(), offload(Work::Hash, || 7).await.ok())
        });
        assert_eq!(result.unwrap(), (true, Some(7)));
    }
}
