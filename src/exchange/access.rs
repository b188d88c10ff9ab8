//! The access phase: who may pass (`satisfy`), and how long a refusal takes (`auth_delay`).

use std::rc::Rc;

use super::plugs::Handler;
use super::runner::{Verdict, ask};
use super::{Exchange, Response, Satisfy};
use crate::event;
use crate::http::Status;
use crate::log::level::Level;

/// Asks the access handlers: all must let the request pass, or one of them.
pub(super) async fn check(exchange: &mut Exchange, handlers: &[Rc<dyn Handler>]) -> Verdict {
    // What a subrequest asks for, the request above it may have.
    if exchange.depth > 0 {
        return Verdict::Next;
    }
    let verdict = match exchange.location.core.satisfy {
        Satisfy::All => ask(exchange, handlers).await,
        Satisfy::Any => ask_for_one(exchange, handlers).await,
    };
    if matches!(verdict, Verdict::Responded) && exchange.response().status == Status::UNAUTHORIZED {
        delay(exchange).await;
    }
    verdict
}

/// `satisfy any`: a refusal counts only if nobody grants access.
async fn ask_for_one(exchange: &mut Exchange, handlers: &[Rc<dyn Handler>]) -> Verdict {
    let mut refusal: Option<Response> = None;
    for handler in handlers {
        match ask(exchange, std::slice::from_ref(handler)).await {
            Verdict::Next => {}
            Verdict::Granted => return Verdict::Next,
            Verdict::Responded if is_refusal(exchange.response().status) => {
                refusal = Some(combined(refusal, exchange.take_response()));
            }
            done => return done,
        }
    }
    let Some(response) = refusal else {
        return Verdict::Next;
    };
    if response.status == Status::FORBIDDEN {
        exchange.log(Level::Error, format_args!("access forbidden by rule"));
    }
    exchange.set_response(response);
    Verdict::Responded
}

fn is_refusal(status: Status) -> bool {
    status == Status::FORBIDDEN || status == Status::UNAUTHORIZED
}

/// What two refusals come to: a client that may still log in is told all ways to do so.
fn combined(earlier: Option<Response>, later: Response) -> Response {
    match earlier {
        Some(mut login) if login.status == Status::UNAUTHORIZED => {
            for field in &later.headers {
                login
                    .headers
                    .append(field.name.clone(), field.value.clone());
            }
            login
        }
        _ => later,
    }
}

/// Makes guessing slow, whether it was the name or the password that was wrong.
async fn delay(exchange: &Exchange) {
    let delay = exchange.location.core.auth_delay;
    if !delay.is_zero() {
        exchange.log(Level::Info, format_args!("delaying unauthorized request"));
        event::sleep(delay).await;
    }
}
