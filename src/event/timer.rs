//! Futures about time: sleeping, deadlines for other futures, giving way.

use super::executor::{let_others_pass, with_reactor, with_reactor_for};
use super::reactor::{Key, Outcome, Wait};
use super::time::{Instant, now};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

/// Resolves after `duration`, rounded up to the timers' 8 ms.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(now() + duration)
}

/// Resolves at `deadline`.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep {
        deadline,
        key: Key::NONE,
    }
}

/// The future of [`sleep`] and [`sleep_until`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    deadline: Instant,
    key: Key,
}

impl Sleep {
    /// When it resolves.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }
}

impl Future for Sleep {
    type Output = ();

    /// Without a loop to keep the time it stays pending, as nothing could wake it.
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.deadline <= now() {
            return Poll::Ready(());
        }
        with_reactor_for(|reactor, task, now| {
            if !reactor.holds(self.key) {
                self.key = reactor.insert_timer();
            }
            match reactor.check(self.key, Wait::Timer, task, Some(self.deadline), now) {
                Ok(Outcome::Pending) => Poll::Pending,
                Ok(Outcome::Ready { .. } | Outcome::TimedOut) | Err(_) => Poll::Ready(()),
            }
        })
        .unwrap_or(Poll::Pending)
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if self.key != Key::NONE {
            with_reactor(|reactor| reactor.remove(self.key));
        }
    }
}

/// The deadline came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

impl std::fmt::Display for Elapsed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the deadline has passed")
    }
}

impl std::error::Error for Elapsed {}

/// Which of two futures was first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Raced<A, B> {
    /// The first argument; also when both were ready.
    First(A),
    /// The second argument.
    Second(B),
}

/// Awaits the future, but only until `deadline`; then it is dropped.
///
/// # Errors
/// [`Elapsed`] at the deadline.
pub async fn timeout<F: Future>(deadline: Instant, future: F) -> Result<F::Output, Elapsed> {
    match race(future, sleep_until(deadline)).await {
        Raced::First(output) => Ok(output),
        Raced::Second(()) => Err(Elapsed),
    }
}

/// Awaits whichever is ready first; the other is dropped.
pub async fn race<A: Future, B: Future>(first: A, second: B) -> Raced<A::Output, B::Output> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|context| {
        if let Poll::Ready(output) = first.as_mut().poll(context) {
            return Poll::Ready(Raced::First(output));
        }
        second.as_mut().poll(context).map(Raced::Second)
    })
    .await
}

/// Lets every other task that is ready go first; for work that exceeds its share of a turn.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Lets all tasks go first that are ready or get ready meanwhile; for long work, of which a few
/// parts are done each turn, in the order in which they gave way.
pub async fn give_way() {
    let mut given = false;
    poll_fn(|_| {
        if std::mem::replace(&mut given, true) {
            return Poll::Ready(());
        }
        let_others_pass();
        Poll::Pending
    })
    .await;
}
