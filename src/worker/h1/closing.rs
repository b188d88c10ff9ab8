//! Leaving a connection in a defined state: draining what nobody read, and closing so that the
//! client gets to see the last response (`lingering_close`).

use std::net::Shutdown;
use std::pin::pin;
use std::rc::Rc;

use super::poll_once;
use super::wire::{Received, Wire};
use crate::event;
use crate::exchange::{BodyError, Exchange, LingeringClose, runner};
use crate::log::level::Level;
use crate::sys::socket;

/// Looks at what came of a body nobody has read to its end, before the response goes out. A client
/// that waits for `100 Continue` is told to go on, since its next request comes behind the body;
/// unless it is refused, which leaves to it whether it sends the body all the same. A malformed body
/// is answered with 400 instead of a success, and ends the connection, since nobody knows what comes
/// behind.
pub async fn look_at_body(exchange: &mut Exchange) {
    let is_success = exchange.response().status.as_u16() < 300;
    if !is_success {
        exchange.body.withhold_continue();
    }
    let mut scrap = Vec::new();
    let patience = exchange.location.core.lingering_timeout;
    exchange.body.set_limits(0, patience);
    let skipped = poll_once(pin!(exchange.body.skip(&mut scrap))).await;
    if let Some(Err(error @ BodyError::Malformed(why))) = skipped {
        exchange.log(Level::Error, format_args!("{why}"));
        exchange.keep_alive = false;
        if is_success {
            runner::refuse(exchange, error.status()).await;
        }
    }
}

/// Reads the rest of the body away; `false` if it can't be had in time.
pub async fn drain(exchange: &mut Exchange) -> bool {
    let location = Rc::clone(&exchange.location);
    let deadline = event::now() + location.core.lingering_time;
    exchange.body.set_limits(0, location.core.lingering_timeout);
    let mut scrap = Vec::new();
    while exchange.body.is_pending() {
        scrap.clear();
        if event::now() >= deadline || exchange.body.skip(&mut scrap).await.is_err() {
            return false;
        }
    }
    true
}

/// Closes the sending side; the receiving side stays open for a while if the client may still be
/// sending, since closing it at once could destroy the response on its way.
pub async fn close(wire: &Wire, exchange: &Exchange, may_send: bool) {
    let core = &exchange.location.core;
    let unread = may_send || exchange.body.is_unfinished() || wire.has_input();
    let linger = match core.lingering_close {
        LingeringClose::Off => false,
        LingeringClose::On => unread,
        LingeringClose::Always => true,
    };
    if !linger
        || wire.has_failed()
        || socket::shutdown(wire.connection().io.fd(), Shutdown::Write).is_err()
    {
        return;
    }
    let deadline = event::now() + core.lingering_time;
    loop {
        wire.consume(|input| (input.len(), ()));
        let now = event::now();
        if now >= deadline
            || wire
                .receive(deadline.min(now + core.lingering_timeout))
                .await
                != Received::Bytes
        {
            return;
        }
    }
}
