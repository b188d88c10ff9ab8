//! Who waits for which descriptor: the table of sources, the poller and the timers.
//!
//! A source keeps what is `wanted` (somebody awaits it), `armed` (the poller watches for it)
//! and `got` (it came true for whoever awaited it). Interest is lazy: awaiting arms what is
//! not armed yet, and only an event that nobody wants disarms.

use super::poller::{Method, Poller, Watched};
use super::time::Instant;
use super::wheel::{TICK_MS, Wheel};
use crate::sys::poll::{Event, Readiness};
use std::io;
use std::os::fd::RawFd;

/// A task's number; see the executor.
pub(super) type TaskId = u32;

/// A descriptor of −1 marks a source that is only a timer.
const TIMER: RawFd = -1;
/// Deadlines beyond this many ticks (99 days) are set again when this much has passed.
const FARTHEST: u64 = 1 << 30;

/// Names a source for as long as it exists: a later one in the same place has another
/// generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    /// Names no source.
    pub(super) const NONE: Key = Key {
        index: u32::MAX,
        generation: 0,
    };

    fn token(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    fn of_token(token: u64) -> Key {
        Key {
            index: token as u32,
            generation: (token >> 32) as u32,
        }
    }
}

/// What can be awaited of a source; each has at most one task waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Bytes, a connection or the end of the stream.
    Read,
    /// Room to write.
    Write,
    /// The peer's disappearance.
    Hangup,
    /// Nothing but the deadline.
    Timer,
}

impl Wait {
    /// The condition to watch for.
    fn interest(self) -> Readiness {
        match self {
            Wait::Read => Readiness::READ,
            Wait::Write => Readiness::WRITE,
            Wait::Hangup => Readiness::PEER_CLOSED,
            Wait::Timer => Readiness::NONE,
        }
    }

    /// The bit that stands for this wait in `wanted`; a timer shares that of reading.
    fn bit(self) -> Readiness {
        if self == Wait::Timer {
            Readiness::READ
        } else {
            self.interest()
        }
    }

    /// The place of that bit.
    fn place(self) -> usize {
        match self {
            Wait::Read | Wait::Timer => 0,
            Wait::Write => 1,
            Wait::Hangup => 2,
        }
    }
}

struct Source {
    fd: RawFd,
    generation: u32,
    /// The task that last waited, by the place of the wait's bit.
    tasks: [TaskId; 3],
    wanted: Readiness,
    armed: Readiness,
    got: Readiness,
    registered: bool,
    exclusive: bool,
    /// A hang-up or an error was reported.
    broken: bool,
}

impl Source {
    /// See [`Reactor::end`].
    fn end(&mut self, wait: Wait) {
        self.wanted = self.wanted & !wait.bit();
        self.got = self.got & !wait.bit();
    }

    /// The tasks that last waited for `conditions`.
    fn tasks_of(&self, conditions: Readiness) -> impl Iterator<Item = TaskId> {
        conditions.places().map(|place| self.tasks[place])
    }
}

/// What a wait has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Pending,
    /// The condition holds; `broken` says whether by a hang-up or an error.
    Ready {
        broken: bool,
    },
    TimedOut,
}

pub(super) struct Reactor {
    poller: Poller,
    sources: Vec<Source>,
    free: Vec<u32>,
    wheel: Wheel,
    expired: Vec<u32>,
    /// The generation of a new place; differs from loop to loop.
    first_generation: u32,
}

impl Reactor {
    /// `first_generation` keeps the keys of an earlier loop on this thread apart.
    pub(super) fn new(
        method: Method,
        now: Instant,
        capacity: usize,
        first_generation: u32,
    ) -> io::Result<Reactor> {
        Ok(Reactor {
            first_generation,
            poller: Poller::new(method)?,
            sources: Vec::with_capacity(capacity),
            free: Vec::new(),
            wheel: Wheel::new(tick_of(now)),
            expired: Vec::new(),
        })
    }

    /// Enters a descriptor; it is not watched before something is awaited.
    pub(super) fn insert(&mut self, fd: RawFd, exclusive: bool) -> Key {
        let (index, generation) = match self.free.pop() {
            Some(index) => (index, self.sources[index as usize].generation),
            None => (self.sources.len() as u32, self.first_generation),
        };
        let source = Source {
            fd,
            generation,
            tasks: [TaskId::MAX; 3],
            wanted: Readiness::NONE,
            armed: Readiness::NONE,
            got: Readiness::NONE,
            registered: false,
            exclusive,
            broken: false,
        };
        match self.sources.get_mut(index as usize) {
            Some(place) => *place = source,
            None => self.sources.push(source),
        }
        self.wheel.resize(self.sources.len());
        Key { index, generation }
    }

    /// Enters a timer.
    pub(super) fn insert_timer(&mut self) -> Key {
        self.insert(TIMER, false)
    }

    /// Whether the key names a source of this loop that still exists.
    pub(super) fn holds(&self, key: Key) -> bool {
        self.sources
            .get(key.index as usize)
            .is_some_and(|s| s.generation == key.generation)
    }

    /// Forgets a source; events of it that are still under way no longer match. The
    /// descriptor is taken from the poller and not left to `close`, since another process may
    /// hold the same open file, which would keep reporting events for ever.
    pub(super) fn remove(&mut self, key: Key) {
        if !self.holds(key) {
            return;
        }
        self.wheel.cancel(key.index);
        let source = &mut self.sources[key.index as usize];
        source.generation = source.generation.wrapping_add(1);
        source.wanted = Readiness::NONE;
        if source.registered
            && let Err(error) = self.poller.remove(source.fd)
        {
            log::error!("cannot remove descriptor {}: {error}", source.fd);
        }
        self.free.push(key.index);
    }

    /// Begins a wait. A descriptor that cannot be watched because it is always ready (a regular
    /// file) is ready.
    fn begin(&mut self, index: u32, wait: Wait) -> io::Result<()> {
        let result = self.arm(index, wait.interest());
        let source = &mut self.sources[index as usize];
        match result {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                source.got |= wait.bit();
            }
            Err(error) => return Err(error),
        }
        source.wanted |= wait.bit();
        Ok(())
    }

    /// Makes the poller watch for `interest` too.
    fn arm(&mut self, index: u32, interest: Readiness) -> io::Result<()> {
        let source = &self.sources[index as usize];
        if source.fd == TIMER || (source.registered && source.armed.contains(interest)) {
            return Ok(());
        }
        let at = self.watched(index);
        let source = &mut self.sources[index as usize];
        let all = source.armed | interest;
        if source.registered && source.exclusive {
            self.poller.remove(at.fd)?;
            source.registered = false;
        }
        if source.registered {
            self.poller.modify(at, all)?;
        } else {
            self.poller.add(at, all, source.exclusive)?;
            source.registered = true;
        }
        source.armed = all;
        Ok(())
    }

    /// Stops watching for conditions that hold but that nobody wants.
    fn disarm(&mut self, index: u32, unwanted: Readiness) {
        let at = self.watched(index);
        let source = &mut self.sources[index as usize];
        source.armed = source.armed & !unwanted;
        let result = if source.exclusive {
            source.registered = false;
            source.armed = Readiness::NONE;
            self.poller.remove(at.fd)
        } else {
            self.poller.modify(at, source.armed)
        };
        if let Err(error) = result {
            log::error!("cannot disarm descriptor {}: {error}", at.fd);
        }
    }

    fn watched(&self, index: u32) -> Watched {
        let source = &self.sources[index as usize];
        let key = Key {
            index,
            generation: source.generation,
        };
        Watched {
            fd: source.fd,
            token: key.token(),
        }
    }

    /// Looks how a wait stands at `now`, and begins it unless it has begun; `task` is whom to
    /// wake while it is pending.
    ///
    /// # Errors
    /// The poller's, when it begins.
    pub(super) fn check(
        &mut self,
        key: Key,
        wait: Wait,
        task: TaskId,
        deadline: Option<Instant>,
        now: Instant,
    ) -> io::Result<Outcome> {
        let index = key.index;
        let source = &self.sources[index as usize];
        if !(source.wanted | source.got).meets(wait.bit()) {
            self.begin(index, wait)?;
        }
        let source = &mut self.sources[index as usize];
        let outcome = if source.got.meets(wait.bit()) {
            Outcome::Ready {
                broken: source.broken,
            }
        } else if deadline.is_some_and(|deadline| deadline <= now) {
            Outcome::TimedOut
        } else {
            source.tasks[wait.place()] = task;
            if let Some(deadline) = deadline {
                self.set_timer(index, wait, deadline, now);
            }
            return Ok(Outcome::Pending);
        };
        source.end(wait);
        Ok(outcome)
    }

    /// Sets the source's one timer. Where several waits share it, the earliest deadline
    /// counts; when it expires, all of them look and set it again.
    fn set_timer(&mut self, index: u32, wait: Wait, deadline: Instant, now: Instant) {
        let wanted = self.sources[index as usize].wanted;
        let ms = deadline.ms().min(now.ms() + FARTHEST * TICK_MS);
        let tick = ms.div_ceil(TICK_MS) as u32;
        let shared = wanted & !wait.bit() != Readiness::NONE;
        let sooner = |set: u32| set.wrapping_sub(tick).cast_signed() <= 0;
        if shared && self.wheel.deadline(index).is_some_and(sooner) {
            return;
        }
        self.wheel.set(index, tick);
    }

    /// Ends a wait: nobody wants its condition any more. What is armed stays so until it
    /// fires, and so does the timer.
    pub(super) fn end(&mut self, key: Key, wait: Wait) {
        if self.holds(key) {
            self.sources[key.index as usize].end(wait);
        }
    }

    /// How long the next wait may last: milliseconds, −1 without a limit.
    pub(super) fn timeout_ms(&self, now: Instant) -> i32 {
        let Some(ticks) = self.wheel.next() else {
            return -1;
        };
        let ms = u64::from(ticks) * TICK_MS - now.ms() % TICK_MS;
        i32::try_from(ms).unwrap_or(i32::MAX)
    }

    /// Waits for events and passes every task they concern to `wake`.
    pub(super) fn wait(
        &mut self,
        timeout_ms: i32,
        wake: &mut impl FnMut(TaskId),
    ) -> io::Result<()> {
        self.poller.wait(timeout_ms)?;
        let mut number = 0;
        while let Some(event) = self.poller.event(number) {
            self.deliver(event, wake);
            number += 1;
        }
        Ok(())
    }

    fn deliver(&mut self, event: Event, wake: &mut impl FnMut(TaskId)) {
        let key = Key::of_token(event.token);
        if !self.holds(key) {
            return;
        }
        let index = key.index;
        let source = &mut self.sources[index as usize];
        let broken = event.ready.meets(Readiness::HANGUP | Readiness::ERROR);
        source.broken |= broken;
        let wanted = source.wanted;
        let hits = if broken { wanted } else { wanted & event.ready };
        source.got |= hits;
        source.wanted = wanted & !hits;
        source.tasks_of(hits).for_each(&mut *wake);
        let unwanted = event.ready & source.armed & !wanted;
        if broken && wanted == Readiness::NONE {
            self.abandon(index, wake);
        } else if unwanted != Readiness::NONE {
            self.disarm(index, unwanted);
        }
    }

    /// A hang-up or an error that nobody awaits cannot be masked and would be reported for
    /// ever, so the source leaves the poller until something is awaited again.
    fn abandon(&mut self, index: u32, wake: &mut impl FnMut(TaskId)) {
        let source = &mut self.sources[index as usize];
        source.registered = false;
        source.armed = Readiness::NONE;
        let (fd, tasks) = (source.fd, source.tasks);
        if let Err(error) = self.poller.remove(fd) {
            log::error!("cannot remove descriptor {fd}: {error}");
        }
        tasks
            .into_iter()
            .filter(|task| *task != TaskId::MAX)
            .for_each(wake);
    }

    /// Whether a hang-up or an error has been reported.
    pub(super) fn is_broken(&self, key: Key) -> bool {
        self.holds(key) && self.sources[key.index as usize].broken
    }

    /// Moves the timers on to `now` and passes every task whose deadline is over to `wake`.
    pub(super) fn expire(&mut self, now: Instant, wake: &mut impl FnMut(TaskId)) {
        let tick = tick_of(now);
        if self.wheel.is_at(tick) {
            return;
        }
        let mut expired = std::mem::take(&mut self.expired);
        self.wheel.advance(tick, &mut expired);
        for index in expired.drain(..) {
            let source = &self.sources[index as usize];
            source.tasks_of(source.wanted).for_each(&mut *wake);
        }
        self.expired = expired;
    }
}

/// The tick that has begun at `now`.
fn tick_of(now: Instant) -> u32 {
    (now.ms() / TICK_MS) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_and_its_timer_take_36_bytes() {
        assert!(size_of::<Source>() <= 28, "{}", size_of::<Source>());
    }
}
