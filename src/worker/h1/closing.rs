//! Leaving a connection in a defined state: draining what nobody read, and closing so that the
//! client gets to see the last response (`lingering_close`).

use std::net::Shutdown;
use std::rc::Rc;

use super::wire::{Received, Wire};
use crate::event;
use crate::exchange::{Exchange, LingeringClose};
use crate::sys::socket;

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
pub async fn close(wire: &Wire, exchange: &Exchange) {
    let core = &exchange.location.core;
    let unread = exchange.body.is_pending() || wire.has_input();
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
