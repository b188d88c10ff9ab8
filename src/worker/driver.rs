//! Drivers: what takes connections through their bursts.
//!
//! The future that serves a burst takes kilobytes, as do buffers and requests, so idle connections
//! have none, and they are not made for each burst either: having served one a driver stands by for
//! the next, of whatever connection. A worker has as many as it has had busy connections at once,
//! up to a limit.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::h1::{self, After};
use super::memory::Memory;
use crate::exchange::Connection;

/// How many drivers are kept when nobody needs them.
const KEPT: usize = 16;

thread_local!(static STANDBY: RefCell<Vec<Driver>> = const { RefCell::new(Vec::new()) });

/// Serves a burst, and stands by again afterwards. Dropping it in the middle ends the burst.
pub struct Driver(Option<Box<Parts>>);

struct Parts {
    seat: Rc<Seat>,
    future: Pin<Box<dyn Future<Output = Infallible>>>,
}

/// What a driver hands its future, and gets from it.
#[derive(Default)]
struct Seat {
    connection: Cell<Option<Rc<Connection>>>,
    after: Cell<Option<After>>,
}

impl Driver {
    /// A driver that is about to serve a burst of `connection`.
    pub fn begin(connection: &Rc<Connection>) -> Driver {
        let standby = STANDBY.with_borrow_mut(Vec::pop);
        let driver = standby.unwrap_or_else(Driver::new);
        if let Some(parts) = &driver.0 {
            parts.seat.connection.set(Some(Rc::clone(connection)));
        }
        driver
    }

    fn new() -> Driver {
        let seat = Rc::new(Seat::default());
        let future = Box::pin(drive(Rc::clone(&seat)));
        Driver(Some(Box::new(Parts { seat, future })))
    }

    /// Goes on with the burst; ready when it is over.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<After> {
        let Some(parts) = &mut self.0 else {
            return Poll::Ready(After::Close);
        };
        let Poll::Pending = parts.future.as_mut().poll(context);
        let Some(after) = parts.seat.after.take() else {
            return Poll::Pending;
        };
        let driver = Driver(self.0.take());
        STANDBY.with_borrow_mut(|standby| {
            if standby.len() < KEPT {
                standby.push(driver);
            }
        });
        Poll::Ready(after)
    }
}

async fn drive(seat: Rc<Seat>) -> Infallible {
    let mut memory = Memory::default();
    loop {
        let connection = poll_fn(|_| match seat.connection.take() {
            Some(connection) => Poll::Ready(connection),
            None => Poll::Pending,
        });
        let after = h1::burst(connection.await, &mut memory).await;
        memory.clear_buffers();
        seat.after.set(Some(after));
    }
}
