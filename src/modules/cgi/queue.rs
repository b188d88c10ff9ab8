//! `cgi_max_processes`: how many scripts run at a time, and who waits for one to end.
//!
//! Each worker publishes in a zone how many it runs, under its process number, so that the limit
//! holds for all of them, those that a reload has retired included, and what a killed worker has
//! left there can be told from what is true. A worker does not learn when a script of another one
//! ends, so those who wait look again from time to time.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::event::{self, Notify, race, sleep, timeout};
use crate::exchange::{Purpose, Table, Zone};
use crate::sys::errno;
use crate::sys::process::{self, Pid};

/// How often to look whether a script of another worker has ended.
const LOOK: Duration = Duration::from_millis(16);

/// Counts the scripts of the blocks that share it.
pub struct Queue {
    /// Most scripts at a time; 0: no limit.
    most: usize,
    /// Most requests that wait.
    length: usize,
    /// How long each waits at most.
    patience: Duration,
    /// Where workers tell each other their counts; without one each has the limit to itself.
    zone: Option<Rc<Zone<Counts>>>,
    running: Cell<usize>,
    waiting: Cell<usize>,
    freed: Notify,
}

/// A zone's entries are what one worker counts.
pub struct Counts;

impl Purpose for Counts {
    const WORDS: usize = 3;
}

// The words of an entry.
const WORKER: usize = 0;
const RUNNING: usize = 1;
const WAITING: usize = 2;

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
struct Waiter<'a>(&'a Queue);

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.release(&self.0.waiting);
    }
}

impl Queue {
    /// A queue for `most` scripts at a time (0: no limit) and `length` requests that wait, in all
    /// the workers that share the zone.
    pub fn new(
        most: usize,
        length: usize,
        patience: Duration,
        zone: Option<Rc<Zone<Counts>>>,
    ) -> Queue {
        Queue {
            most,
            length,
            patience,
            zone,
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
        if !self.claim(&self.waiting, WAITING, self.length) {
            return Err(Refused::Full);
        }
        let _waiter = Waiter(self);
        let free = async {
            loop {
                race(self.freed.wait(), sleep(LOOK)).await;
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
        let most = match self.most {
            0 => usize::MAX,
            most => most,
        };
        self.claim(&self.running, RUNNING, most)
            .then(|| Slot(Rc::clone(self)))
    }

    /// Counts one more, unless there are `most` in all workers.
    fn claim(&self, count: &Cell<usize>, word: usize, most: usize) -> bool {
        let claim = |others: usize| {
            let fits = count.get().saturating_add(others) < most;
            count.set(count.get() + usize::from(fits));
            fits
        };
        let shared = self.zone.as_ref().and_then(|zone| {
            zone.with(|table| {
                let fits =
                    claim(others(table, word)) || forget_dead(table) && claim(others(table, word));
                self.publish(zone, table);
                fits
            })
        });
        shared.unwrap_or_else(|| claim(0))
    }

    fn release(&self, count: &Cell<usize>) {
        count.set(count.get() - 1);
        if let Some(zone) = &self.zone {
            zone.with(|table| self.publish(zone, table));
        }
    }

    /// Makes this worker's entry say what is true.
    fn publish(&self, zone: &Zone<Counts>, table: &mut Table<'_>) {
        let worker = process::pid();
        let key = zone.key(&worker.to_ne_bytes());
        let counts = [self.running.get() as u64, self.waiting.get() as u64];
        let known = table.find(key);
        if counts == [0, 0] {
            return known.map_or((), |place| table.remove(place));
        }
        // So many workers that the zone is full are as good as without one.
        if let Some(place) = known.or_else(|| table.insert(key)) {
            let value = table.value(place);
            value[WORKER] = u64::from(worker.unsigned_abs());
            value[RUNNING..].copy_from_slice(&counts);
        }
    }
}

/// The sum of what the other workers count.
fn others(table: &mut Table<'_>, word: usize) -> usize {
    let this = u64::from(process::pid().unsigned_abs());
    let (mut sum, mut next) = (0, table.oldest());
    while let Some(place) = next {
        let value = table.value(place);
        if value[WORKER] != this {
            sum += value[word] as usize;
        }
        next = table.newer(place);
    }
    sum
}

/// Drops the entries of workers that are gone; whether there were any.
fn forget_dead(table: &mut Table<'_>) -> bool {
    let (mut found, mut next) = (false, table.oldest());
    while let Some(place) = next {
        next = table.newer(place);
        let worker = table.value(place)[WORKER];
        if !is_alive(worker) {
            table.remove(place);
            found = true;
        }
    }
    found
}

fn is_alive(worker: u64) -> bool {
    let gone = |error: std::io::Error| error.raw_os_error() == Some(errno::ESRCH);
    let pid = Pid::try_from(worker).unwrap_or(0);
    pid != 0 && !process::kill(pid, 0).is_err_and(gone)
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.release(&self.0.running);
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
            let queue = Rc::new(Queue::new(1, 1, Duration::from_millis(10), None));
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
            let queue = Rc::new(Queue::new(1, 0, Duration::from_secs(60), None));
            let _slot = queue.enter().await;
            queue.enter().await.err()
        });
        assert_eq!(refused.unwrap(), Some(Refused::Full));
    }
}
