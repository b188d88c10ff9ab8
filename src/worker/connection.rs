//! The task of one connection.

use std::rc::Rc;
use std::time::Duration;

use super::h1::{self, After};
use super::{is_retiring, retired};
use crate::event::{self, Raced};
use crate::exchange::Connection;
use crate::sys::socket;

/// Serves a connection to its end. Between bursts it holds nothing but itself.
pub async fn serve(connection: Rc<Connection>) {
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

/// Waits for the first bytes of a request; `false` if the connection is to be closed instead.
async fn begins_in_time(connection: &Connection, patience: Duration) -> bool {
    if is_retiring() {
        return false;
    }
    let deadline = event::now() + patience;
    let readable = connection.io.readable(Some(deadline));
    matches!(event::race(readable, retired()).await, Raced::First(Ok(())))
}
