//! `stub_status`: how many connections and requests there are and were, as text and as variables.

use std::rc::Rc;

use crate::config::context::{LOCATION, SERVER};
use crate::config::{Contexts, Directive, Module, directive, shared_with_if};
use crate::exchange::counters::Count;
use crate::exchange::{Exchange, Handler, Location, Phase, Response, Step, Variable};
use crate::http::decimal::append_number;
use crate::http::{Method, Status};

/// Answers with the numbers.
pub struct StubStatus;

/// Whether a block does.
#[derive(Clone, Default)]
pub struct Settings {
    on: bool,
}

impl Module for StubStatus {
    type Settings = Settings;
    const NAME: &'static str = "stub_status";
    const DIRECTIVES: &'static [Directive<Settings>] = &[directive("stub_status")
        .contexts(SERVER | LOCATION)
        .between(0, 1)
        .doc("Answers with how many connections and requests there are and were.")
        .repeat(|settings, _| {
            settings.on = true;
            Ok(())
        })];
    const VARIABLES: &'static [Variable] = &[
        row(
            "connections_active",
            "How many connections are open.",
            |_, out| show(Count::Active.get(), out),
        ),
        row(
            "connections_reading",
            "On how many connections a request is being read.",
            |_, out| show(Count::Reading.get(), out),
        ),
        row(
            "connections_writing",
            "On how many connections a request is being answered.",
            |_, out| show(writing(), out),
        ),
        row(
            "connections_waiting",
            "How many connections are idle.",
            |_, out| show(waiting(), out),
        ),
    ];

    fn inherit(parent: &Rc<Settings>, child: Contexts) -> Rc<Settings> {
        shared_with_if(parent, child)
    }

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if settings.on {
            location.add_handler(Phase::Content, Rc::new(Numbers));
        }
    }
}

const fn row(
    name: &'static str,
    doc: &'static str,
    get: fn(&Exchange, &mut Vec<u8>) -> Option<()>,
) -> Variable {
    Variable::plain(name, doc, get)
}

fn show(value: u64, out: &mut Vec<u8>) -> Option<()> {
    append_number(value, out);
    Some(())
}

/// The request that asks is being answered, and not counted, since it does not have to wait.
fn writing() -> u64 {
    Count::Writing.get() + 1
}

/// Whoever is neither asking nor getting anything.
fn waiting() -> u64 {
    let busy = Count::Reading.get() + writing();
    Count::Active.get().saturating_sub(busy)
}

struct Numbers;

impl Handler for Numbers {
    fn handle<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        if !matches!(exchange.method, Method::Get | Method::Head) {
            return Step::status(Status::NOT_ALLOWED);
        }
        let text = format!(
            "Active connections: {} \nserver accepts handled requests\n {} {} {} \n\
             Reading: {} Writing: {} Waiting: {} \n",
            Count::Active.get(),
            Count::Accepted.get(),
            Count::Handled.get(),
            Count::Requests.get(),
            Count::Reading.get(),
            writing(),
            waiting(),
        );
        Step::Respond(Response::bytes(Status::OK, "text/plain", text.into_bytes()))
    }
}
