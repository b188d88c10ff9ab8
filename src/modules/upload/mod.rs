//! Uploads that the server keeps itself: `upload_store` turns them on in a location.
//!
//! A body, raw or a form, is streamed to a hidden file below the store and gets its name only
//! when it is whole, so a reader never sees half a file and a client that leaves takes what it
//! sent with it. [`receive`] takes bodies in, [`store`] knows the folder, [`names`] what files may
//! be called, [`answer`] what clients hear. [`resumable`] keeps unfinished uploads for clients that
//! come back, who speak one of two protocols: [`ietf`] or [`tus`]. [`handover`] has another location
//! answer in the words of nginx's upload module.

mod answer;
mod digest;
mod failure;
mod handover;
mod ietf;
mod names;
mod partial;
mod receive;
mod resumable;
mod room;
mod rows;
mod store;
#[cfg(test)]
mod tests;
mod tus;

use std::rc::Rc;

use self::failure::Failure;
use self::receive::Naming;
pub use self::rows::Settings;
use self::store::Store;
use crate::config::{Directive, Module};
use crate::exchange::{Exchange, Handler, Location, Phase, Response, Step, Variable};
use crate::http::{Method, Status, args};

/// Receives files.
pub struct Upload;

impl Module for Upload {
    type Settings = Settings;
    const NAME: &'static str = "upload";
    const DIRECTIVES: &'static [Directive<Settings>] = &[];
    const GROUPS: &'static [&'static [Directive<Settings>]] =
        &[rows::STORING, rows::LIMITS, rows::RESUMING, handover::ROWS];
    const VARIABLES: &'static [Variable] = handover::VARIABLES;

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if settings.store.is_some() {
            let handler = UploadHandler(Rc::clone(settings));
            location.add_handler(Phase::Content, Rc::new(handler));
        }
    }
}

struct UploadHandler(Rc<Settings>);

/// What a request wants of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// Nothing: the next handler may serve it.
    None,
    /// What must not be seen.
    Hidden,
    /// To store what it brings, and to have another location answer.
    HandOver,
    /// To store what it brings.
    Receive,
    /// Something of the tus protocol.
    Tus,
    /// Something of the IETF's protocol.
    Ietf,
}

impl Handler for UploadHandler {
    fn handle<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let wish = wish(exchange, &self.0);
        match wish {
            Wish::None => Step::Declined,
            Wish::Hidden => Step::status(Status::NOT_FOUND),
            Wish::HandOver => Step::Await(Box::pin(async move {
                match handover::hand_over(exchange, &self.0).await {
                    Ok(target) => Step::Reroute(target),
                    Err(failure) => Step::Respond(failure.into_response(exchange)),
                }
            })),
            _ => Step::Await(Box::pin(async move {
                let outcome = serve(exchange, &self.0, wish).await;
                Step::Respond(outcome.unwrap_or_else(|failure| failure.into_response(exchange)))
            })),
        }
    }
}

fn wish(exchange: &Exchange, settings: &Settings) -> Wish {
    if store::is_hidden(&exchange.path) {
        return Wish::Hidden;
    }
    if settings.handover.to.is_some() {
        return Wish::HandOver;
    }
    let resumable = settings.resumable;
    match exchange.method {
        _ if resumable && tus::is_spoken(exchange) => Wish::Tus,
        Method::Options if resumable => Wish::Ietf,
        _ if resumable && resource(exchange).is_some() => Wish::Ietf,
        Method::Post | Method::Put if resumable && ietf::is_offered(exchange) => Wish::Ietf,
        Method::Post | Method::Put => Wish::Receive,
        _ => Wish::None,
    }
}

/// Which unfinished upload the request is about: the argument that [`resumable`] puts into URLs.
fn resource(exchange: &Exchange) -> Option<&str> {
    let id = args::find(&exchange.args, b"upload")?;
    let is_id = id.len() == store::ID_LENGTH && id.iter().all(u8::is_ascii_hexdigit);
    std::str::from_utf8(id).ok().filter(|_| is_id)
}

async fn serve(
    exchange: &mut Exchange,
    settings: &Rc<Settings>,
    wish: Wish,
) -> Result<Response, Failure> {
    let store = Store::open(exchange, settings)?;
    match wish {
        Wish::Tus => tus::serve(exchange, &store).await,
        Wish::Ietf => ietf::serve(exchange, &store).await,
        _ => {
            let naming = Naming::of(exchange);
            let parts = receive::receive(exchange, &store, &naming).await?;
            let stored = store.commit(parts, &naming).await?;
            let wants = digest::is_wanted(exchange);
            Ok(answer::stored(exchange, &store, &stored, wants))
        }
    }
}
