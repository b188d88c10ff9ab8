//! `rewrite`: another path for one that a pattern matches.

use std::rc::Rc;

use super::program::{Flow, Run};
use crate::config::{Mistake, Use};
use crate::exchange::{Exchange, Response, Template};
use crate::http::Status;
use crate::http::escape::{Unescape, unescape};
use crate::http::pattern::Pattern;
use crate::log::level::Level;

/// One `rewrite`.
pub struct Rule {
    pattern: Rc<Pattern>,
    /// The pattern as written, for the log.
    source: String,
    names: Rc<[(usize, usize)]>,
    /// The path, or all of a redirect.
    path: Template,
    /// What follows `?`, unless it is a redirect.
    args: Option<Template>,
    /// Whether the arguments there are stay, behind new ones.
    keep_args: bool,
    action: Action,
}

/// What is done with the replacement.
#[derive(Clone, Copy)]
enum Action {
    /// The path is replaced, and the program goes on.
    Next,
    /// `last`: another location is sought.
    Last,
    /// `break`: the location stays.
    Break,
    /// The client is sent there; whether the URL has arguments already.
    Redirect(Status, bool),
}

impl Rule {
    /// Reads the arguments: pattern, replacement and flag.
    ///
    /// # Errors
    /// As nginx: a wrong pattern, an empty replacement, an unknown flag.
    pub fn parse(d: &Use<'_>) -> Result<Rc<Rule>, Mistake> {
        if d.arg(1).is_empty() {
            return Err(d.mistake(1, "empty replacement"));
        }
        let pattern = d.pattern(0, false)?;
        let names = d.capture_slots(0, &pattern)?;
        let bare = d.arg(1).strip_suffix(b"?");
        let text = bare.unwrap_or(d.arg(1));
        let mark = memchr::memchr(b'?', text);
        let action = action(d, mark.is_some())?;
        let (path, args) = match (action, mark) {
            (Action::Redirect(..), _) | (_, None) => (d.template_of(1, text)?, None),
            (_, Some(mark)) => {
                let args = d.template_of(1, &text[mark + 1..])?;
                (d.template_of(1, &text[..mark])?, Some(args))
            }
        };
        Ok(Rc::new(Rule {
            pattern,
            source: d.lossy(0).into_owned(),
            names,
            path,
            args,
            keep_args: bare.is_none(),
            action,
        }))
    }

    /// Replaces the exchange's path, if the pattern matches it.
    pub fn apply(&self, run: &mut Run, exchange: &mut Exchange) -> Flow {
        let found = exchange.find_pattern(&self.pattern, &self.names, &exchange.path);
        let Ok(found) = found else {
            return Flow::failure();
        };
        run.log_match(exchange, &self.source, &exchange.path, found);
        if !found {
            exchange.clear_captures();
            return Flow::Next;
        }
        exchange.internal = true;
        exchange.rewritten = true;
        exchange.path_in_alias = false;
        run.escape = false;
        match self.action {
            Action::Redirect(status, has_args) => self.redirect(status, has_args, run, exchange),
            _ => self.replace(run, exchange),
        }
    }

    fn redirect(&self, status: Status, has_args: bool, run: &Run, exchange: &Exchange) -> Flow {
        let text = escaped(&self.path, exchange);
        let mut url = Vec::with_capacity(text.len());
        let used = unescape(&text, Unescape::Redirect, &mut url);
        url.extend_from_slice(&text[used..]);
        if self.keep_args && !exchange.args.is_empty() {
            url.push(if has_args { b'&' } else { b'?' });
            url.extend_from_slice(&exchange.args);
        }
        if run.log {
            let url = String::from_utf8_lossy(&url);
            exchange.log(Level::Notice, format_args!("rewritten redirect: \"{url}\""));
        }
        Flow::Answer(Response::redirect(status, url))
    }

    fn replace(&self, run: &mut Run, exchange: &mut Exchange) -> Flow {
        let path = self.path.expand(exchange).into_owned();
        match &self.args {
            Some(template) => {
                let mut args = escaped(template, exchange);
                if self.keep_args && !exchange.args.is_empty() {
                    args.push(b'&');
                    args.extend_from_slice(&exchange.args);
                }
                exchange.args = args;
            }
            None if !self.keep_args => exchange.args.clear(),
            None => {}
        }
        exchange.path = path;
        self.log_replacement(run, exchange);
        if exchange.path.is_empty() {
            exchange.log(
                Level::Error,
                format_args!("the rewritten URI has a zero length"),
            );
            return Flow::failure();
        }
        run.changed = !matches!(self.action, Action::Break);
        match self.action {
            Action::Next => Flow::Next,
            _ => Flow::Stop,
        }
    }

    fn log_replacement(&self, run: &Run, exchange: &Exchange) {
        if run.log {
            let path = String::from_utf8_lossy(&exchange.path);
            let args = String::from_utf8_lossy(&exchange.args);
            exchange.log(
                Level::Notice,
                format_args!("rewritten data: \"{path}\", args: \"{args}\""),
            );
        }
    }
}

/// What the flag says; a URL redirects without one.
fn action(d: &Use<'_>, has_args: bool) -> Result<Action, Mistake> {
    let schemes: [&[u8]; 3] = [b"http://", b"https://", b"$scheme"];
    let is_url = schemes.iter().any(|scheme| d.arg(1).starts_with(scheme));
    let found = Action::Redirect(Status::MOVED_TEMPORARILY, has_args);
    match d.arg(2) {
        b"redirect" => Ok(found),
        b"permanent" => Ok(Action::Redirect(Status::MOVED_PERMANENTLY, has_args)),
        b"last" | b"break" | b"" if is_url => Ok(found),
        b"last" => Ok(Action::Last),
        b"break" => Ok(Action::Break),
        b"" if d.count() == 2 => Ok(Action::Next),
        _ => Err(d.invalid_parameter(2)),
    }
}

/// The value of `template`. If the client sent its path escaped, what a pattern matched in it is
/// escaped again.
pub fn escaped(template: &Template, exchange: &Exchange) -> Vec<u8> {
    let mut out = Vec::new();
    let target = exchange.request.target();
    let end = memchr::memchr2(b'?', b'#', target).unwrap_or(target.len());
    match memchr::memchr2(b'%', b'+', &target[..end]) {
        Some(_) => template.append_escaped(exchange, &mut out),
        None => template.append(exchange, &mut out),
    }
    out
}
