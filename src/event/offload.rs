//! Work that would hold the loop up, done by threads beside it: hashing of passwords,
//! starting of programs, names of clients.
//!
//! Each loop has a few threads of its own, started when there is work and kept. What they are given
//! owns all it needs; they wake the loop through an event counter.

use super::Io;
use crate::sys::fd;
use std::cell::RefCell;
use std::io;
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// The most threads a loop has.
const MAX_THREADS: usize = 4;

/// Bytes of stack a thread has.
const STACK: usize = 256 * 1024;

/// The value of an event counter's signal.
const ONE: [u8; 8] = 1u64.to_ne_bytes();

type Job = Box<dyn FnOnce() + Send>;

thread_local! {
    static POOL: RefCell<Option<Pool>> = const { RefCell::new(None) };
}

/// The threads of a loop and the way to them.
struct Pool {
    jobs: Sender<Job>,
    queue: Arc<Mutex<Receiver<Job>>>,
    threads: usize,
    limit: usize,
}

/// Has another thread do `work`, in the order of asking. If nobody waits for the result any more,
/// it is dropped.
///
/// # Errors
/// There is no thread, or no descriptor, to be had; or `work` panicked.
pub async fn offload<R: Send + 'static>(
    work: impl FnOnce() -> R + Send + 'static,
) -> io::Result<R> {
    let counter = Arc::new(fd::eventfd()?);
    let watched = Io::new(counter.as_fd().try_clone_to_owned()?);
    let (sender, receiver) = sync_channel(1);
    submit(Box::new(move || {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        let _ = sender.send(result.ok());
        // The loop may have gone, and its end of the counter with it.
        let _ = fd::write(counter.as_fd(), &ONE);
    }))?;
    watched.readable(None).await?;
    let result = receiver.try_recv().ok().flatten();
    result.ok_or_else(|| io::Error::other("the work panicked"))
}

fn submit(job: Job) -> io::Result<()> {
    POOL.with_borrow_mut(|pool| {
        let pool = pool.get_or_insert_with(Pool::new);
        pool.grow()?;
        pool.jobs
            .send(job)
            .map_err(|_| io::Error::other("no thread is left"))
    })
}

impl Pool {
    fn new() -> Pool {
        let (jobs, queue) = channel();
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Pool {
            jobs,
            queue: Arc::new(Mutex::new(queue)),
            threads: 0,
            limit: processors.min(MAX_THREADS),
        }
    }

    /// Starts one more thread if there may be one; not to get one is no failure if there are some.
    fn grow(&mut self) -> io::Result<()> {
        if self.threads == self.limit {
            return Ok(());
        }
        let queue = Arc::clone(&self.queue);
        let thread = thread::Builder::new().stack_size(STACK);
        match thread.spawn(move || work_off(&queue)) {
            Ok(_) => self.threads += 1,
            Err(error) if self.threads == 0 => return Err(error),
            Err(_) => {}
        }
        Ok(())
    }
}

/// What each thread does, until the loop's thread has ended.
fn work_off(queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => job(),
            Err(_) => return,
        }
    }
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
                let (other, number) = offload(move || (thread::current().id(), number)).await?;
                assert_ne!(here, other);
                sum += number;
            }
            io::Result::Ok(sum)
        });
        assert_eq!(sum.unwrap().unwrap(), 55);
    }

    #[test]
    fn a_panic_is_an_error() {
        let result = block_on(async {
            let failed = offload(|| panic!("in the thread")).await.map(|(): ()| ());
            (failed.is_err(), offload(|| 7).await.ok())
        });
        assert_eq!(result.unwrap(), (true, Some(7)));
    }
}
