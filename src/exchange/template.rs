//! Templates: text with variables, compiled when the configuration is read.

use std::borrow::Cow;
use std::rc::Rc;

use super::Exchange;
use super::variable::{Names, VariableRef};
use crate::http::Text;
use crate::http::escape::{Escape, escape};

/// Text in which `$name`, `${name}` and `$1` (but not `${1}`, as in nginx) stand for values of the exchange.
#[derive(Clone, Default)]
pub struct Template {
    parts: Rc<[Part]>,
}

enum Part {
    Text(Rc<[u8]>),
    Variable(Rc<VariableRef>),
    Capture(usize),
}

/// Why a text is no template.
#[derive(Debug, PartialEq, Eq)]
pub struct BadTemplate {
    /// Offset of the offending `$`.
    pub at: usize,
}

impl Template {
    /// A template that is just this text.
    pub fn text(text: impl Into<Rc<[u8]>>) -> Template {
        Template {
            parts: Rc::new([Part::Text(text.into())]),
        }
    }

    /// Compiles `source`, taking references from `names`.
    ///
    /// # Errors
    /// A `$` without a name after it, or `${` without `}`.
    pub fn compile(source: &[u8], names: &mut Names) -> Result<Template, BadTemplate> {
        let mut parts = Vec::new();
        let mut text = Vec::new();
        let mut at = 0;
        while at < source.len() {
            let Some(dollar) = memchr::memchr(b'$', &source[at..]) else {
                break;
            };
            text.extend_from_slice(&source[at..at + dollar]);
            at += dollar;
            let (part, length) = reference(&source[at..], names).ok_or(BadTemplate { at })?;
            push_text(&mut parts, &mut text);
            parts.push(part);
            at += length;
        }
        text.extend_from_slice(&source[at..]);
        push_text(&mut parts, &mut text);
        Ok(Template {
            parts: parts.into(),
        })
    }

    /// The text, if no variable occurs in it.
    pub fn literal(&self) -> Option<&[u8]> {
        match &*self.parts {
            [] => Some(b""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The same, to be shared by many responses.
    pub fn shared(&self) -> Option<Rc<[u8]>> {
        match &*self.parts {
            [Part::Text(text)] => Some(Rc::clone(text)),
            _ => None,
        }
    }

    /// Whether it is the empty text.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The variables that occur in it.
    pub fn references(&self) -> impl Iterator<Item = &Rc<VariableRef>> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(variable) => Some(variable),
            _ => None,
        })
    }

    /// Its value for this exchange; a variable without a value counts as empty.
    pub fn expand<'a>(&'a self, exchange: &Exchange) -> Cow<'a, [u8]> {
        if let Some(text) = self.literal() {
            return Cow::Borrowed(text);
        }
        let mut out = Vec::new();
        self.append(exchange, &mut out);
        Cow::Owned(out)
    }

    /// Its value for this exchange, shared if no variable occurs in it.
    pub fn value(&self, exchange: &Exchange) -> Text {
        match self.shared() {
            Some(text) => Text::Shared(text),
            None => Text::Owned(self.expand(exchange).into_owned()),
        }
    }

    /// Appends its value for this exchange.
    pub fn append(&self, exchange: &Exchange, out: &mut Vec<u8>) {
        self.append_with(exchange, out, |text, out| out.extend_from_slice(text));
    }

    /// As [`Template::append`], with what `$1` and the like stand for escaped as arguments are: a
    /// path is matched decoded, and what comes of it is to be decoded again.
    pub fn append_escaped(&self, exchange: &Exchange, out: &mut Vec<u8>) {
        self.append_with(exchange, out, |text, out| escape(text, Escape::Args, out));
    }

    fn append_with(&self, exchange: &Exchange, out: &mut Vec<u8>, append: fn(&[u8], &mut Vec<u8>)) {
        for part in self.parts.iter() {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Variable(variable) => drop(variable.append(exchange, out)),
                Part::Capture(number) => {
                    exchange.with_capture(*number, |text| append(text, out));
                }
            }
        }
    }
}

fn push_text(parts: &mut Vec<Part>, text: &mut Vec<u8>) {
    if !text.is_empty() {
        parts.push(Part::Text(std::mem::take(text).into()));
    }
}

/// The reference at the start of `source` (which begins with `$`) and its length.
fn reference(source: &[u8], names: &mut Names) -> Option<(Part, usize)> {
    let rest = &source[1..];
    if let Some(digit @ b'1'..=b'9') = rest.first() {
        return Some((Part::Capture(usize::from(digit - b'0')), 2));
    }
    let braced = rest.first() == Some(&b'{');
    let rest = if braced { &rest[1..] } else { rest };
    let length = rest.iter().take_while(|byte| is_name(**byte)).count();
    let name = std::str::from_utf8(&rest[..length])
        .ok()
        .filter(|name| !name.is_empty())?;
    if braced && rest.get(length) != Some(&b'}') {
        return None;
    }
    let part = Part::Variable(names.reference(name));
    Some((part, 1 + length + if braced { 2 } else { 0 }))
}

/// Whether `byte` may be part of a variable's name.
pub fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
