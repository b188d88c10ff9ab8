//! HTTP/1 over one connection: read a request, run its exchange, write the response, repeat.
//!
//! A *burst* begins with the first byte of a request on an idle connection and ends when the
//! connection is idle again. Only a burst owns buffers; what waits between bursts is a
//! descriptor and a deadline. Answers to requests that arrived together leave together.

mod body;
mod closing;
mod head;
mod intake;
mod pace;
mod proxy;
mod respond;
mod site;
mod wire;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use self::intake::{Intake, Refusal};
pub use self::site::LastSite;
pub use self::wire::Buffers;
use self::wire::Wire;
use crate::event::{self, Hangup, Raced};
use crate::exchange::counters::{Gauge, READING, WRITING};
use crate::exchange::{BodyError, Connection, Exchange, Response, runner};
use crate::http::{Method, Status};
use crate::log::level::Level;
use crate::worker::memory::Memory;

/// How a burst ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The connection may carry another request; it is closed if none begins within the time.
    Idle(std::time::Duration),
    /// The connection is done.
    Close,
}

/// How many pipelined requests are answered before other connections get their turn.
const TURN: u32 = 64;

/// Why a connection can't go on; nothing more can be sent then.
#[derive(Debug)]
pub struct Broken;

/// Serves requests until none is in sight, with what `memory` has.
pub async fn burst(connection: Rc<Connection>, memory: &mut Memory) -> After {
    let wire = &Wire::new(connection, memory);
    if wire.connection().awaits_proxy_header()
        && !counted::<READING, _>(pin!(proxy::read_header(wire))).await
    {
        return After::Close;
    }
    let mut count: u32 = 0;
    let after = loop {
        if (count + 1).is_multiple_of(TURN) {
            event::yield_now().await;
        }
        let intake = match intake::next(wire, memory, count == 0) {
            Ok(intake) => intake,
            Err(reading) => counted::<READING, _>(pin!(reading.finish(wire))).await,
        };
        let arrival = match intake {
            Intake::Request(arrival) => arrival,
            Intake::Nothing(idle) => break After::Idle(idle),
            // What was answered before still goes out: its client may only have ended its half.
            Intake::Gone => break After::Close,
        };
        let connection = Rc::clone(wire.connection());
        let server = Rc::clone(&connection.listener.default);
        let mut exchange = Exchange::new(arrival.request, connection, server, arrival.started);
        exchange.pipelined = arrival.pipelined;
        memory.lend_uri(&mut exchange);
        if let Err(refusal) = intake::admit(wire, memory, &mut exchange, arrival.fault) {
            return Box::pin(refuse(wire, exchange, *refusal)).await;
        }
        let served = counted::<WRITING, _>(pin!(serve(wire, &mut exchange))).await;
        let goes_on = served.is_ok() && exchange.keep_alive;
        if served.is_ok() && !goes_on {
            // More follows, though no bytes: the end of the connection, in the same packet.
            let _ = wire.push(true).await;
            counted::<WRITING, _>(pin!(closing::close(wire, &exchange, false))).await;
        }
        if !matches!(exchange.request.method(), Method::Get | Method::Head) {
            event::new_occasion();
        }
        wire.set_keepalive_timeout(exchange.location.core.keepalive_timeout);
        memory.keep_request(exchange.request);
        memory.keep_uri(exchange.path, exchange.args);
        if !goes_on {
            return After::Close;
        }
        count += 1;
    };
    match wire.flush().await {
        Ok(()) => after,
        Err(Broken) => After::Close,
    }
}

/// Answers a request that could not be understood, if anybody is left to answer.
async fn refuse(wire: &Wire, mut exchange: Exchange, refusal: Refusal) -> After {
    if refusal.is_lost {
        exchange.set_response(Response::new(refusal.status));
        // The answers to earlier requests; if they can't be sent, the log has no word for it.
        let _ = wire.flush().await;
        finish(wire, &exchange);
        return After::Close;
    }
    exchange.keep_alive = false;
    runner::refuse(&mut exchange, refusal.status).await;
    let sent = respond::send(wire, &mut exchange).await.is_ok() && wire.flush().await.is_ok();
    finish(wire, &exchange);
    if sent {
        counted::<WRITING, _>(pin!(closing::close(wire, &exchange, true))).await;
    }
    After::Close
}

/// Runs one exchange, sends its response and leaves the connection where the next request starts.
async fn serve(wire: &Wire, exchange: &mut Exchange) -> Result<(), Broken> {
    let sent = match run(wire, exchange).await {
        Ok(()) => {
            if exchange.body.is_pending() {
                Box::pin(closing::look_at_body(exchange)).await;
            }
            respond::send(wire, exchange).await
        }
        Err(Broken) => {
            exchange.set_response(Response::new(Status::CLIENT_CLOSED_REQUEST));
            Err(Broken)
        }
    };
    if sent.is_ok() && exchange.body.is_pending() && exchange.keep_alive {
        wire.flush().await?;
        exchange.keep_alive = closing::drain(exchange).await;
    }
    if sent.is_ok() && exchange.location.core.post_action.is_some() {
        wire.flush().await?;
        runner::run_post_action(exchange).await;
    }
    finish(wire, exchange);
    sent
}

/// Runs the exchange; while it has to wait, earlier answers go out and the client is watched.
async fn run(wire: &Wire, exchange: &mut Exchange) -> Result<(), Broken> {
    let mut running = pin!(runner::run(exchange));
    if poll_once(running.as_mut()).await.is_some() {
        return Ok(());
    }
    wire.flush().await?;
    match event::race(running, dead(wire)).await {
        Raced::First(()) => Ok(()),
        Raced::Second(_) => Err(Broken),
    }
}

/// Resolves when the client is gone for good; one that only sends no more still gets its answer.
async fn dead(wire: &Wire) {
    if wire.connection().io.hangup().await == Hangup::HalfClosed {
        std::future::pending::<()>().await;
    }
}

/// Runs the future; if it has to wait, it is counted meanwhile.
fn counted<const COUNT: u8, F: Future>(mut future: Pin<&mut F>) -> impl Future<Output = F::Output> {
    let mut waiting = None;
    poll_fn(move |context| {
        let poll = future.as_mut().poll(context);
        if poll.is_pending() {
            waiting.get_or_insert_with(Gauge::<COUNT>::new);
        }
        poll
    })
}

/// The future's output if it has one right now.
async fn poll_once<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Logs the exchange. If the client was too slow for it, its location says how to close.
fn finish(wire: &Wire, exchange: &Exchange) {
    exchange.log_end();
    if wire.has_timed_out() && exchange.sent.head > 0 && !exchange.sent.complete {
        let why = "client timed out (110: Connection timed out) while sending response to client";
        exchange.log(Level::Info, format_args!("{why}"));
    }
    if wire.has_timed_out() && exchange.location.core.reset_timedout_connection {
        wire.connection().reset.set(true);
    }
}

impl From<BodyError> for Broken {
    fn from(_: BodyError) -> Broken {
        Broken
    }
}
