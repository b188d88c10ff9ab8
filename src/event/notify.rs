//! Tasks of one thread waking each other.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// A place where tasks wait until another says that something has changed.
///
/// Nothing is remembered: whoever waits checks its condition first and again afterwards.
#[derive(Debug, Default)]
pub struct Notify {
    /// In the order of arrival.
    waiters: RefCell<BTreeMap<u64, Waker>>,
    next_ticket: Cell<u64>,
}

impl Notify {
    /// Without waiters.
    pub const fn new() -> Notify {
        Notify {
            waiters: RefCell::new(BTreeMap::new()),
            next_ticket: Cell::new(0),
        }
    }

    /// Resolves at the first notification after it was first polled.
    pub fn wait(&self) -> Notified<'_> {
        Notified {
            notify: self,
            ticket: None,
        }
    }

    /// Wakes every waiter.
    pub fn notify_all(&self) {
        let waiters = std::mem::take(&mut *self.waiters.borrow_mut());
        waiters.into_values().for_each(Waker::wake);
    }

    /// Wakes the one that has waited longest. Should its task drop the wait before looking,
    /// the next one is woken in its place.
    pub fn notify_one(&self) {
        let first = self.waiters.borrow_mut().pop_first();
        if let Some((_, waker)) = first {
            waker.wake();
        }
    }

    /// How many tasks wait.
    pub fn waiting(&self) -> usize {
        self.waiters.borrow().len()
    }
}

/// The future of [`Notify::wait`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Notified<'a> {
    notify: &'a Notify,
    ticket: Option<u64>,
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let notify = self.notify;
        let mut waiters = notify.waiters.borrow_mut();
        match self.ticket {
            Some(ticket) if !waiters.contains_key(&ticket) => {
                self.ticket = None;
                return Poll::Ready(());
            }
            Some(ticket) => waiters.insert(ticket, context.waker().clone()),
            None => {
                let ticket = notify.next_ticket.get();
                notify.next_ticket.set(ticket + 1);
                self.ticket = Some(ticket);
                waiters.insert(ticket, context.waker().clone())
            }
        };
        Poll::Pending
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let waited = self.notify.waiters.borrow_mut().remove(&ticket).is_some();
        if !waited {
            self.notify.notify_one();
        }
    }
}
