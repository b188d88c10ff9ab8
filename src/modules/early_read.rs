//! `client_body_early_read`: bodies that are read before anything is made of their requests, so that
//! `$request_body` may decide where they go.

use std::rc::Rc;

use crate::config::context::{HTTP, SERVER};
use crate::config::{Directive, Module, directive};
use crate::exchange::{Exchange, Handler, Location, Phase, Step, Template};

/// Reads some bodies early.
pub struct EarlyRead;

/// When to.
#[derive(Clone, Default)]
pub struct Settings {
    conditions: Vec<Template>,
}

impl Module for EarlyRead {
    type Settings = Settings;
    const NAME: &'static str = "early_read";
    const DIRECTIVES: &'static [Directive<Settings>] = &[directive("client_body_early_read")
        .syntax("string ...")
        .contexts(HTTP | SERVER)
        .at_least(1)
        .doc("Reads the request's body before a location is chosen if a string is neither empty nor 0.")
        .append(
            |settings| settings.conditions.clear(),
            |settings, d| {
                let given = (0..d.count()).map(|i| d.template(i));
                settings.conditions.extend(given.collect::<Result<Vec<_>, _>>()?);
                Ok(())
            },
        )];

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if !settings.conditions.is_empty() {
            location.add_handler(Phase::PostRead, Rc::clone(settings) as Rc<dyn Handler>);
        }
    }
}

impl Handler for Settings {
    fn handle<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let mut conditions = self.conditions.iter();
        if !conditions.any(|condition| !matches!(&*condition.expand(exchange), b"" | b"0")) {
            return Step::Declined;
        }
        if let Some(refusal) = exchange.limit_body() {
            return Step::Respond(refusal);
        }
        Step::Await(Box::pin(async move {
            let core = Rc::clone(&exchange.location.core);
            match exchange.body.buffer(&core).await {
                Ok(_) => Step::Declined,
                Err(error) => Step::status(error.refuse(exchange)),
            }
        }))
    }
}
