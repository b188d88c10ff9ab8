//! The level-triggered event loop, its single-threaded executor, timers and async sockets.
//!
//! A connection is one task: an async function that reads as an iterative server would. A
//! worker has one [`Loop`]; everything here reaches the loop of its own thread, so sockets
//! and timers carry no handle. Nothing may leave the thread, wakers included: another thread
//! wakes the loop by writing to an event counter that an [`Io`] watches.
//!
//! One turn of the loop collects a batch of events, then expired timers, then polls every
//! task that either of them woke, then a few of those that gave way. What a task wakes is polled
//! in the next turn.

mod child;
mod executor;
mod io;
mod notify;
mod offload;
mod poller;
mod reactor;
mod remote_child;
mod signals;
mod time;
mod timer;
mod wheel;

pub use child::Child;
pub use executor::{Loop, Review, block_on, new_occasion, occasion, spawn, stop, stop_gracefully};
pub use io::{Hangup, HangupWait, Io, Ready};
pub use notify::{Notified, Notify};
pub use offload::{Work, offload};
pub use poller::Method;
pub use remote_child::RemoteChild;
pub use signals::{Received, Signals};
pub use time::{Instant, now, unix_time};
pub use timer::{Elapsed, Raced, Sleep, give_way, race, sleep, sleep_until, timeout, yield_now};

#[cfg(test)]
mod tests;
