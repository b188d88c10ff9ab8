//! One page: its commands are run while it is read.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;

use super::parser::{Event, Parser};
use super::{Settings, Shared, TIME_FORMAT, TimeFormat};
use crate::exchange::{Body, BodyReader, Exchange, LocalBoxFuture, Piece, ResponseStream};
use crate::http::Text;
use crate::log::level::Level;

/// A command failed, which was logged.
#[derive(Debug)]
pub(super) struct Failed;

/// The chain of conditions a page is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Condition {
    #[default]
    None,
    /// Behind `if` or `elif`.
    If,
    /// Behind `else`.
    Else,
}

/// How `echo` shows values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    None,
    Url,
    Entity,
}

/// An include that has not brought its body yet.
pub(super) enum Include {
    /// It runs along with those before it.
    Runs(LocalBoxFuture<'static, Body>),
    /// It keeps a variable, so it runs when all before it is out, which may show the old value.
    Keeps(LocalBoxFuture<'static, Body>),
}

/// What goes out, in order.
enum Item {
    Body(BodyReader),
    Include(Include),
}

/// One page.
pub(super) struct Page {
    pub(super) settings: Rc<Settings>,
    /// The exchange it answers, for variables and includes.
    pub(super) exchange: Box<Exchange>,
    pub(super) shared: Rc<Shared>,
    source: BodyReader,
    input: Text,
    /// How much of the input was parsed.
    parsed: usize,
    ended: bool,
    parser: Parser,
    queue: VecDeque<Item>,
    /// Whether all of the queue must be out before parsing goes on, for the last include waits.
    waiting: bool,
    /// Whether text goes out: no condition is against it, and it belongs to no block.
    pub(super) output: bool,
    /// Whether a branch of the conditions was taken.
    pub(super) chosen: bool,
    pub(super) condition: Condition,
    /// Whether text belongs to a block.
    pub(super) in_block: bool,
    pub(super) encoding: Encoding,
    pub(super) error_message: Vec<u8>,
}

impl Page {
    pub(super) fn new(settings: Rc<Settings>, mut exchange: Box<Exchange>, body: Body) -> Page {
        let shared = exchange.noted::<Rc<Shared>>().cloned().unwrap_or_default();
        exchange.note(Rc::clone(&shared));
        exchange.note(TimeFormat(TIME_FORMAT.to_vec()));
        Page {
            parser: Parser::new(settings.value_length),
            settings,
            exchange,
            shared,
            source: BodyReader::new(body),
            input: Text::EMPTY,
            parsed: 0,
            ended: false,
            queue: VecDeque::new(),
            waiting: false,
            output: true,
            chosen: false,
            condition: Condition::None,
            in_block: false,
            encoding: Encoding::Entity,
            error_message: b"[an error occurred while processing the directive]".to_vec(),
        }
    }

    /// Logs why a command failed.
    pub(super) fn fail(&self, message: String) -> Failed {
        self.exchange.log(Level::Error, format_args!("{message}"));
        Failed
    }

    /// Has text go out, or belong to a block, or neither.
    pub(super) fn text(&mut self, text: impl Into<Text>) {
        let text = text.into();
        if self.output {
            let body = BodyReader::new(Body::Bytes(text));
            self.queue.push_back(Item::Body(body));
        } else if self.in_block
            && let Some((_, block)) = self.shared.blocks.borrow_mut().last_mut()
        {
            block.extend_from_slice(&text);
        }
    }

    /// Has what an include brings go out, and with `wait` parses nothing more before it is done.
    pub(super) fn include(&mut self, include: Include, wait: bool) {
        self.queue.push_back(Item::Include(include));
        self.waiting = wait;
    }

    /// Runs the commands in what was read, up to one that waits.
    fn parse(&mut self) {
        let input = std::mem::take(&mut self.input);
        while !self.waiting {
            let result = match self.parser.next(&input, &mut self.parsed) {
                None => return,
                Some(Event::Text(range)) => {
                    self.text(input[range].to_vec());
                    Ok(())
                }
                Some(Event::Held(text)) => {
                    self.text(text);
                    Ok(())
                }
                Some(Event::Command(command)) => self.run(&command),
                Some(Event::Malformed(message)) => Err(self.fail(message)),
            };
            if result.is_err() && !self.settings.silent_errors {
                let message = BodyReader::new(Body::Bytes(self.error_message.clone().into()));
                self.queue.push_back(Item::Body(message));
            }
        }
        self.input = input;
    }

    async fn advance(&mut self) -> io::Result<Option<Text>> {
        loop {
            if !self.waiting && !self.input.is_empty() {
                self.parse();
            }
            match self.queue.front_mut() {
                Some(Item::Body(body)) => match body.next().await {
                    Some(bytes) => return bytes.map(Some),
                    None => drop(self.queue.pop_front()),
                },
                Some(Item::Include(_)) => self.run_includes().await,
                None if self.waiting => self.waiting = false,
                None if self.ended => return Ok(None),
                None => self.read().await?,
            }
        }
    }

    /// Reads more of the page.
    async fn read(&mut self) -> io::Result<()> {
        self.parsed = 0;
        match self.source.next().await {
            Some(input) => self.input = input?,
            None => {
                self.ended = true;
                let rest = self.parser.finish();
                self.text(rest);
            }
        }
        Ok(())
    }

    /// Lets all includes go on until the first of them is done.
    async fn run_includes(&mut self) {
        let queue = &mut self.queue;
        poll_fn(|context| {
            for (place, item) in queue.iter_mut().enumerate() {
                let include = match item {
                    Item::Include(Include::Runs(include)) => include,
                    Item::Include(Include::Keeps(include)) if place == 0 => include,
                    _ => continue,
                };
                if let Poll::Ready(body) = include.as_mut().poll(context) {
                    *item = Item::Body(BodyReader::new(body));
                }
            }
            match queue.front() {
                Some(Item::Include(_)) => Poll::Pending,
                _ => Poll::Ready(()),
            }
        })
        .await;
    }
}

impl ResponseStream for Page {
    fn next(&mut self) -> LocalBoxFuture<'_, Option<io::Result<Piece>>> {
        Box::pin(async move {
            let bytes = self.advance().await.transpose()?;
            Some(bytes.map(Piece::Bytes))
        })
    }

    fn is_unbuffered(&self) -> bool {
        self.source.is_unbuffered()
    }
}
