//! What changes or answers a request before its content is sought: `rewrite`, `if`, `set`,
//! `break` and `return`.
//!
//! A block's directives form a program, run in the order they were written: that of a server
//! before a location is sought, that of a location when it was found. An `if` is part of the
//! program it stands in; in a location, its other settings are a location of their own.

mod condition;
mod program;
mod return_;
mod rule;
mod set;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use self::condition::Condition;
use self::program::{Instruction, Program, Source};
use self::return_::Return;
use self::rule::Rule;
use self::set::Assignment;
use crate::config::context::{HTTP_SERVER_LOCATION_IF, LOCATION, LOCATION_IF, SERVER, SERVER_IF};
use crate::config::{Arity, Contexts, Directive, Mistake, Module, Outcome, Use, directive};
use crate::exchange::{Location, LocationKind, Phase};

/// The rewrite directives.
pub struct Rewrite;

/// A block's program, which is not inherited, and what is said of running it.
#[derive(Clone)]
pub struct Settings {
    program: Option<Rc<Source>>,
    /// Whether what it does is logged (`rewrite_log`).
    log: bool,
    /// Whether reading variables before they are set is logged.
    warn: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            program: None,
            log: false,
            warn: true,
        }
    }
}

const ANYWHERE: u32 = SERVER | SERVER_IF | LOCATION | LOCATION_IF;

impl Module for Rewrite {
    type Settings = Settings;
    const NAME: &'static str = "rewrite";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        directive("rewrite")
            .syntax("regex replacement [last | break | redirect | permanent]")
            .contexts(ANYWHERE)
            .between(2, 3)
            .doc("Replaces a path the pattern matches; what replaces it may redirect the client as well.")
            .repeat(|settings, d| settings.push(Rule::parse(d).map(Instruction::Rewrite))),
        directive("return")
            .syntax("code [text] or code URL or URL")
            .contexts(ANYWHERE)
            .between(1, 2)
            .doc("Answers at once: with a code, a text or a redirect; 444 closes the connection without an answer.")
            .repeat(|settings, d| settings.push(Return::parse(d).map(Instruction::Return))),
        directive("break")
            .contexts(ANYWHERE)
            .none()
            .doc("Ends the block's rewriting; the location stays, even if the path was replaced.")
            .repeat(|settings, _| settings.push(Ok(Instruction::Break))),
        directive("set")
            .syntax("$variable value")
            .contexts(ANYWHERE)
            .takes(2)
            .doc("Gives a variable a value, which may be made of others.")
            .repeat(|settings, d| settings.push(Assignment::parse(d).map(Instruction::Set))),
        directive("if")
            .syntax("(condition) { … }")
            .contexts(SERVER)
            .arity(Arity::AtLeast(1))
            .doc("Rewrites only where the condition holds.")
            .open_from(SERVER_IF, |settings, d| settings.open(d, false), Settings::begin),
        directive("if")
            .syntax("(condition) { … }")
            .contexts(LOCATION)
            .arity(Arity::AtLeast(1))
            .doc("Rewrites, and has other settings in force, only where the condition holds.")
            .open_from(LOCATION_IF, |settings, d| settings.open(d, true), Settings::begin),
        directive("rewrite_log")
            .syntax("on | off")
            .default("off")
            .contexts(HTTP_SERVER_LOCATION_IF | SERVER_IF)
            .flag()
            .doc("Logs what rewriting does, at level notice.")
            .set(|settings, d| d.flag().map(|on| settings.log = on)),
        directive("uninitialized_variable_warn")
            .syntax("on | off")
            .default("on")
            .contexts(HTTP_SERVER_LOCATION_IF | SERVER_IF)
            .flag()
            .doc("Warns in the log of variables that are read before they were set.")
            .set(|settings, d| d.flag().map(|on| settings.warn = on)),
    ];

    fn inherit(parent: &Rc<Settings>, child: Contexts) -> Rc<Settings> {
        // An `if` looks for its own part in the program around it.
        if parent.program.is_none() || child.within(SERVER_IF | LOCATION_IF) {
            return Rc::clone(parent);
        }
        Rc::new(Settings {
            program: None,
            ..**parent
        })
    }

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if !settings.warn {
            Rc::make_mut(&mut location.core).uninitialized_variable_warn = false;
        }
        let phase = match location.kind {
            LocationKind::Server => Phase::ServerRewrite,
            // The program around it is already running.
            LocationKind::Implicit => return,
            _ => Phase::Rewrite,
        };
        if let Some(source) = &settings.program {
            let program = Program::new(source, settings.log);
            location.add_handler(phase, Rc::new(program));
        }
    }
}

impl Settings {
    fn program(&mut self) -> &Source {
        self.program.get_or_insert_default()
    }

    fn push(&mut self, parsed: Result<Instruction, Mistake>) -> Outcome {
        self.program().push(parsed?);
        Ok(())
    }

    /// An `if` as part of the program around it; `settings` says whether it has settings of its own.
    fn open(&mut self, d: &Use<'_>, settings: bool) -> Outcome {
        let condition = Condition::parse(d)?;
        self.program().push_if(condition, settings, d.span());
        Ok(())
    }

    /// The inside of an `if`, which inherited the program around it.
    fn begin(&mut self, d: &mut Use<'_>) -> Outcome {
        self.program = Some(self.program().inside(d.span()));
        Ok(())
    }
}
