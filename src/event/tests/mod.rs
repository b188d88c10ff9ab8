//! The loop as its users see it, with every poller.

mod sockets;
mod tasks;

use super::*;
use crate::sys::fd::pipe;
use crate::sys::socket;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::ErrorKind::{TimedOut, WouldBlock};
use std::net::Shutdown;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

type Connection = Pin<Box<dyn Future<Output = ()>>>;

const METHODS: [Method; 3] = [Method::Epoll, Method::Poll, Method::Select];

fn new_loop(method: Method) -> Loop<Connection> {
    Loop::new(method, 16).unwrap()
}

/// Runs `test` as a task on a loop of each kind.
fn on_each<F: Future<Output = ()> + 'static>(test: impl Fn() -> F) {
    for method in METHODS {
        let event_loop = new_loop(method);
        let done = Rc::new(Cell::new(false));
        let (flag, test) = (done.clone(), test());
        spawn(async move {
            test.await;
            flag.set(true);
            stop();
        });
        spawn(async {
            sleep(Duration::from_secs(20)).await;
            stop();
        });
        event_loop.run();
        assert!(done.get(), "{method:?}: the test failed or hung");
    }
}

fn pair() -> (Io, Io) {
    let (a, b) = socket::pair().unwrap();
    (Io::new(a), Io::new(b))
}

fn soon() -> Option<Instant> {
    Some(now() + Duration::from_millis(20))
}

/// Fills the socket until it takes no more.
fn fill(io: &Io) {
    while io.try_send(&[b'x'; 65536], false).is_ok() {}
}
