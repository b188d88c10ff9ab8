//! The program a block's rewrite directives form, and how it is run.

use std::cell::RefCell;
use std::rc::Rc;

use super::condition::Condition;
use super::return_::Return;
use super::rule::Rule;
use super::set::Assignment;
use crate::config::Span;
use crate::exchange::{Exchange, Handler, Location, Response, Step, Target};
use crate::http::Status;
use crate::http::pattern::LimitExceeded;
use crate::log::level::Level;

/// One directive.
#[derive(Clone)]
pub enum Instruction {
    Rewrite(Rc<Rule>),
    Return(Rc<Return>),
    Set(Rc<Assignment>),
    Break,
    If(Rc<If>),
}

/// An `if` block.
pub struct If {
    condition: Condition,
    /// Which of the location's blocks with settings of their own it is.
    location: Option<usize>,
    inside: Rc<Source>,
    span: Span,
}

/// A program while it is read: the inside of an `if` comes after all that is around it.
#[derive(Default)]
pub struct Source(RefCell<Vec<Instruction>>);

impl Source {
    /// Adds an instruction.
    pub fn push(&self, instruction: Instruction) {
        self.0.borrow_mut().push(instruction);
    }

    /// Adds an `if` that stands at `span`; with `settings` it has some of its own.
    pub fn push_if(&self, condition: Condition, settings: bool, span: Span) {
        let number = self.ifs().count();
        self.push(Instruction::If(Rc::new(If {
            condition,
            location: settings.then_some(number),
            inside: Rc::default(),
            span,
        })));
    }

    /// The inside of the `if` that stands at `span`.
    pub fn inside(&self, span: Span) -> Rc<Source> {
        let found = self.ifs().find(|block| block.span == span);
        found.map_or_else(Rc::default, |block| Rc::clone(&block.inside))
    }

    fn ifs(&self) -> impl Iterator<Item = Rc<If>> {
        let instructions = self.0.borrow().clone();
        instructions.into_iter().filter_map(|one| match one {
            Instruction::If(block) => Some(block),
            _ => None,
        })
    }
}

/// A program ready to run: the inside of an `if` follows it, to be skipped if it does not hold.
pub struct Program {
    code: Vec<(Instruction, usize)>,
    log: bool,
}

impl Program {
    /// What was read, in one row.
    pub fn new(source: &Source, log: bool) -> Program {
        let mut code = Vec::new();
        flatten(source, &mut code);
        Program { code, log }
    }
}

/// Appends the instructions of `source`, each with the number of those that belong to it.
fn flatten(source: &Source, code: &mut Vec<(Instruction, usize)>) {
    for instruction in source.0.borrow().iter() {
        code.push((instruction.clone(), 0));
        if let Instruction::If(block) = instruction {
            let at = code.len();
            flatten(&block.inside, code);
            code[at - 1].1 = code.len() - at;
        }
    }
}

/// What follows an instruction.
pub enum Flow {
    /// The next one.
    Next,
    /// The next but as many as belong to this one.
    Skip,
    /// Nothing: the program is at its end.
    Stop,
    /// Nothing, since this is the answer.
    Answer(Response),
}

impl Flow {
    /// The request fails.
    pub fn failure() -> Flow {
        Flow::Answer(Response::page(Status::INTERNAL_SERVER_ERROR))
    }
}

/// A program's state.
pub struct Run {
    /// The location whose program it is.
    home: Rc<Location>,
    /// Whether what happens is logged.
    pub log: bool,
    /// Whether another location has to be sought for the path.
    pub changed: bool,
    /// Whether captures are escaped where they are inserted; nginx stops that after a replacement.
    pub escape: bool,
}

impl Handler for Program {
    fn handle<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let mut run = Run {
            home: Rc::clone(&exchange.location),
            log: self.log,
            changed: false,
            escape: true,
        };
        let mut at = 0;
        while let Some((instruction, length)) = self.code.get(at) {
            at += 1;
            match run.step(instruction, exchange) {
                Flow::Next => {}
                Flow::Skip => at += length,
                Flow::Stop => break,
                Flow::Answer(response) => return Step::Respond(response),
            }
        }
        match run.changed {
            true => Step::Reroute(Target::Rewritten),
            false => Step::Declined,
        }
    }
}

impl Run {
    fn step(&mut self, instruction: &Instruction, exchange: &mut Exchange) -> Flow {
        match instruction {
            Instruction::Rewrite(rule) => rule.apply(self, exchange),
            Instruction::Return(answer) => Flow::Answer(answer.respond(exchange)),
            Instruction::Set(assignment) => {
                assignment.perform(self.escape, exchange);
                Flow::Next
            }
            Instruction::Break => {
                self.changed = false;
                Flow::Stop
            }
            Instruction::If(block) => match block.condition.holds(self, exchange) {
                Ok(true) => self.enter(block.location, exchange),
                Ok(false) => Flow::Skip,
                Err(LimitExceeded) => Flow::failure(),
            },
        }
    }

    /// Logs how a search ended, if that is wanted.
    pub fn log_match(&self, exchange: &Exchange, pattern: &str, subject: &[u8], found: bool) {
        if self.log {
            let verb = if found { "matches" } else { "does not match" };
            let subject = String::from_utf8_lossy(subject);
            let message = format_args!("\"{pattern}\" {verb} \"{subject}\"");
            exchange.log(Level::Notice, message);
        }
    }

    fn enter(&self, number: Option<usize>, exchange: &mut Exchange) -> Flow {
        if let Some(location) = number.and_then(|number| self.home.implicit.get(number)) {
            exchange.enter_implicit(location);
        }
        Flow::Next
    }
}
