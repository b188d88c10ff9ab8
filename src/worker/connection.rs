//! The task of one connection.

use std::rc::Rc;
use std::time::Duration;

use super::h1::{self, After};
use super::{asked_to_leave, is_retiring};
use crate::event::{self, Raced};
use crate::exchange::Connection;
use crate::exchange::counters::{ACTIVE, Gauge, WAITING};
use crate::sys::socket;

/// Serves a connection to its end. Between bursts it holds nothing but itself.
pub async fn serve(connection: Rc<Connection>) {
    let _active = Gauge::<ACTIVE>::new();
    loop {
        match Box::pin(h1::burst(Rc::clone(&connection))).await {
            After::Idle(patience) if begins_in_time(&connection, patience).await => {}
            _ => break,
        }
    }
    if connection.reset.get() {
        // If it fails the connection is closed the ordinary way.
        let _ = socket::linger_reset(connection.io.fd());
    }
}

/// What a connection without a request is given once the worker retires: a client that is just
/// sending one gets its answer.
const GRACE: Duration = Duration::from_secs(1);

/// Waits for the first bytes of a request; `false` if the connection is to be closed instead.
async fn begins_in_time(connection: &Connection, patience: Duration) -> bool {
    let _waiting = Gauge::<WAITING>::new();
    let mut deadline = event::now() + patience;
    if !is_retiring() {
        let readable = connection.io.readable(Some(deadline));
        match event::race(readable, asked_to_leave()).await {
            Raced::First(readable) => return readable.is_ok(),
            Raced::Second(()) if !is_retiring() => return false,
            Raced::Second(()) => {}
        }
    }
    deadline = deadline
        .min(event::now() + GRACE.max(connection.listener.default.base.core.keepalive_min_timeout));
    connection.io.readable(Some(deadline)).await.is_ok()
}
