//! `cgi_max_processes`: how many scripts run at a time, and who waits for one to end.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::event::{self, Notify, timeout};

/// Counts the scripts of the blocks that share it, in one worker.
pub struct Queue {
    /// Most scripts at a time; 0: no limit.
    most: usize,
    /// Most requests that wait.
    length: usize,
    /// How long each waits at most.
    patience: Duration,
    running: Cell<usize>,
    waiting: Cell<usize>,
    freed: Notify,
}

/// The right to run a script, until it is dropped.
pub struct Slot(Rc<Queue>);

/// There was no slot to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// As many wait as may.
    Full,
    /// None became free in time.
    TooSlow,
}

/// Counts a waiter for as long as it waits, however that ends.
struct Waiter<'a>(&'a Cell<usize>);

impl<'a> Waiter<'a> {
    fn new(count: &'a Cell<usize>) -> Waiter<'a> {
        count.set(count.get() + 1);
        Waiter(count)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Queue {
    /// A queue for `most` scripts at a time (0: no limit) and `length` requests that wait.
    pub fn new(most: usize, length: usize, patience: Duration) -> Queue {
        Queue {
            most,
            length,
            patience,
            running: Cell::new(0),
            waiting: Cell::new(0),
            freed: Notify::new(),
        }
    }

    /// Waits for a slot.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn enter(self: &Rc<Queue>) -> Result<Slot, Refused> {
        if let Some(slot) = self.slot() {
            return Ok(slot);
        }
        if self.waiting.get() >= self.length {
            return Err(Refused::Full);
        }
        let _waiter = Waiter::new(&self.waiting);
        let free = async {
            loop {
                self.freed.wait().await;
                if let Some(slot) = self.slot() {
                    return slot;
                }
            }
        };
        timeout(event::now() + self.patience, free)
            .await
            .map_err(|_| Refused::TooSlow)
    }

    fn slot(self: &Rc<Queue>) -> Option<Slot> {
        let running = self.running.get();
        (self.most == 0 || running < self.most).then(|| {
            self.running.set(running + 1);
            Slot(Rc::clone(self))
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.running.set(self.0.running.get() - 1);
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{block_on, race};

    #[test]
    fn waits_in_order_and_refuses_beyond_its_length() {
        let outcome = block_on(async {
            let queue = Rc::new(Queue::new(1, 1, Duration::from_millis(10)));
            let first = queue.enter().await.ok();
            let second = Rc::clone(&queue);
            let handed_over = async {
                let third = queue.enter().await.err();
                drop(first);
                std::future::pending::<()>().await;
                third
            };
            let slot = match race(second.enter(), handed_over).await {
                event::Raced::First(slot) => slot.is_ok(),
                event::Raced::Second(_) => false,
            };
            let free_again = queue.enter().await;
            let too_slow = queue.enter().await.err();
            (slot, free_again.is_ok(), too_slow, queue.waiting.get())
        });
        assert_eq!(outcome.unwrap(), (true, true, Some(Refused::TooSlow), 0));
    }

    #[test]
    fn a_full_queue_refuses_at_once() {
        let refused = block_on(async {
            let queue = Rc::new(Queue::new(1, 0, Duration::from_secs(60)));
            let _slot = queue.enter().await;
            queue.enter().await.err()
        });
        assert_eq!(refused.unwrap(), Some(Refused::Full));
    }
}
