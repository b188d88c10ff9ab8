//! What rewrites or answers a request before anything is looked up: so far, `return`.
//!
//! A block's directives form a program, run in the order they were written: that of a server
//! before a location is sought, that of a location when it was found.

mod return_;

use std::rc::Rc;

use self::return_::Return;
use crate::config::context::{LOCATION, LOCATION_IF, SERVER, SERVER_IF};
use crate::config::{Contexts, Directive, Module, directive};
use crate::exchange::{Exchange, Handler, Location, LocationKind, Phase, Step};

/// The rewrite directives.
pub struct Rewrite;

/// A block's program; not inherited.
#[derive(Clone, Default)]
pub struct Settings {
    program: Vec<Instruction>,
}

#[derive(Clone)]
enum Instruction {
    Return(Return),
}

impl Module for Rewrite {
    type Settings = Settings;
    const NAME: &'static str = "rewrite";
    const DIRECTIVES: &'static [Directive<Settings>] = &[directive("return")
        .syntax("code [text] or code URL or URL")
        .contexts(SERVER | SERVER_IF | LOCATION | LOCATION_IF)
        .between(1, 2)
        .doc("Answers at once: with a code, a text or a redirect; 444 closes the connection without an answer.")
        .repeat(|settings, d| {
            settings.program.push(Instruction::Return(Return::parse(d)?));
            Ok(())
        })];

    fn inherit(_: &Rc<Settings>, _: Contexts) -> Rc<Settings> {
        Rc::default()
    }

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if settings.program.is_empty() {
            return;
        }
        let phase = match location.kind {
            LocationKind::Server => Phase::ServerRewrite,
            _ => Phase::Rewrite,
        };
        location.add_handler(phase, Rc::new(Program(Rc::clone(settings))));
    }
}

struct Program(Rc<Settings>);

impl Handler for Program {
    fn handle<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        match self.0.program.first() {
            Some(Instruction::Return(answer)) => Step::Respond(answer.respond(exchange)),
            None => Step::Declined,
        }
    }
}
