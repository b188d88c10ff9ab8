//! What a log line looks like (`log_format`): text and variables, and how values are escaped.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use crate::exchange::{Exchange, VariableRef};
use crate::http::escape::escape_json;
use crate::http::word::{self, Word};

/// The format that exists without being defined.
const COMBINED: &[u8] = b"$remote_addr - $remote_user [$time_local] \"$request\" $status \
    $body_bytes_sent \"$http_referer\" \"$http_user_agent\"";

/// `escape=`: what is done to values so that they don't break the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// `"`, `\` and all that is not printable ASCII become `\xXX`; no value is a dash.
    Default,
    /// As inside a JSON string; no value is nothing.
    Json,
    /// Nothing; no value is nothing.
    None,
}

impl Escape {
    /// The one called so in the configuration.
    pub fn from_name(name: &[u8]) -> Option<Escape> {
        match name {
            b"default" => Some(Escape::Default),
            b"json" => Some(Escape::Json),
            b"none" => Some(Escape::None),
            _ => None,
        }
    }

    fn replaces(self, byte: u8) -> bool {
        match self {
            Escape::Default => !matches!(byte, b' '..=b'~') || matches!(byte, b'"' | b'\\'),
            Escape::Json => byte < b' ' || matches!(byte, b'"' | b'\\'),
            Escape::None => false,
        }
    }

    /// The place of the first byte that is replaced, if one is.
    fn first_replaced(self, value: &[u8]) -> Option<usize> {
        let is_replaced = |byte| self.replaces(byte);
        let quotes = |word: Word| word.equal(b'"').or(word.equal(b'\\'));
        let controls = |word: Word| word.below(b' ').or(quotes(word));
        let unprintable = |word: Word| word.equal(0x7f).or(word.beyond_ascii());
        match self {
            Escape::Default => word::position(
                value,
                |word| controls(word).or(unprintable(word)),
                is_replaced,
            ),
            Escape::Json => word::position(value, controls, is_replaced),
            Escape::None => None,
        }
    }

    /// Escapes what stands in `line` from `start` on. Most values need none, and stay in place.
    fn apply(self, line: &mut Vec<u8>, start: usize) {
        let Some(first) = self.first_replaced(&line[start..]) else {
            return;
        };
        let value = line.split_off(start + first);
        match self {
            Escape::Json => escape_json(&value, line),
            _ => value.iter().for_each(|byte| self.push(*byte, line)),
        }
    }

    fn push(self, byte: u8, line: &mut Vec<u8>) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        if self.replaces(byte) {
            let digits = [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]);
            line.extend_from_slice(b"\\x");
            line.extend_from_slice(&digits);
        } else {
            line.push(byte);
        }
    }
}

/// A compiled format.
pub struct Format {
    escape: Escape,
    parts: Vec<Part>,
}

enum Part {
    Text(Vec<u8>),
    Variable(Rc<VariableRef>),
}

/// Why a text is no format; shown in nginx's words.
#[derive(Debug, PartialEq, Eq)]
pub enum BadFormat {
    /// No name follows a `$`; from there on.
    NoName(String),
    /// The `}` behind this name is missing.
    NoBracket(String),
}

impl fmt::Display for BadFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadFormat::NoName(rest) => write!(f, "invalid parameter \"{rest}\""),
            BadFormat::NoBracket(name) => {
                write!(f, "the closing bracket in \"{name}\" variable is missing")
            }
        }
    }
}

impl Format {
    /// A format for empty lines.
    pub fn new(escape: Escape) -> Format {
        let parts = Vec::new();
        Format { escape, parts }
    }

    /// Adds text in which `$name` and `${name}` stand for what `variable` gives for the name.
    ///
    /// # Errors
    /// See [`BadFormat`].
    pub fn add(
        &mut self,
        mut source: &[u8],
        mut variable: impl FnMut(&str) -> Rc<VariableRef>,
    ) -> Result<(), BadFormat> {
        while let Some(dollar) = memchr::memchr(b'$', source) {
            self.add_text(&source[..dollar]);
            let (name, rest) = split_name(&source[dollar..])?;
            self.parts.push(Part::Variable(variable(name)));
            source = rest;
        }
        self.add_text(source);
        Ok(())
    }

    fn add_text(&mut self, text: &[u8]) {
        match self.parts.last_mut() {
            Some(Part::Text(before)) => before.extend_from_slice(text),
            _ if text.is_empty() => {}
            _ => self.parts.push(Part::Text(text.to_vec())),
        }
    }

    /// Appends the line for `exchange`, without a line feed.
    pub fn write(&self, exchange: &Exchange, line: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                Part::Text(text) => line.extend_from_slice(text),
                Part::Variable(variable) => {
                    let start = line.len();
                    match variable.append(exchange, line) {
                        Some(()) => self.escape.apply(line, start),
                        None if self.escape == Escape::Default => line.push(b'-'),
                        None => {}
                    }
                }
            }
        }
    }
}

/// The name behind the `$` that `source` begins with, and what is behind the name.
fn split_name(source: &[u8]) -> Result<(&str, &[u8]), BadFormat> {
    let no_name = || BadFormat::NoName(String::from_utf8_lossy(source).into_owned());
    let braced = source.get(1) == Some(&b'{');
    let rest = &source[if braced { 2 } else { 1 }..];
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
    let (name, rest) = rest.split_at(rest.iter().take_while(is_name).count());
    let name = std::str::from_utf8(name).map_err(|_| no_name())?;
    let rest = match rest.strip_prefix(b"}") {
        Some(rest) if braced => rest,
        _ if braced && source.len() > 2 => return Err(BadFormat::NoBracket(name.to_owned())),
        _ => rest,
    };
    if name.is_empty() {
        return Err(no_name());
    }
    Ok((name, rest))
}

/// The formats of a configuration, by name.
#[derive(Default)]
pub struct Formats {
    defined: RefCell<Vec<(Vec<u8>, Rc<Format>)>>,
    /// Made when it is first used, so that its variables need not exist before.
    combined: RefCell<Option<Rc<Format>>>,
}

impl Formats {
    /// The name of the format that is used if none is named.
    pub const DEFAULT: &'static [u8] = b"combined";

    /// Adds a format; `false` if there is one of that name.
    pub fn define(&self, name: &[u8], format: Format) -> bool {
        let mut defined = self.defined.borrow_mut();
        let is_new = name != Formats::DEFAULT && defined.iter().all(|(known, _)| known != name);
        if is_new {
            defined.push((name.to_vec(), Rc::new(format)));
        }
        is_new
    }

    /// The format called `name`, in any letter case; `variable` is for the one not defined yet.
    pub fn find(
        &self,
        name: &[u8],
        variable: impl FnMut(&str) -> Rc<VariableRef>,
    ) -> Option<Rc<Format>> {
        if name.eq_ignore_ascii_case(Formats::DEFAULT) {
            return self.combined(variable);
        }
        let defined = self.defined.borrow();
        let mut formats = defined.iter();
        let found = formats.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, format)| Rc::clone(format))
    }

    fn combined(&self, variable: impl FnMut(&str) -> Rc<VariableRef>) -> Option<Rc<Format>> {
        let mut made = self.combined.borrow_mut();
        if made.is_none() {
            let mut format = Format::new(Escape::Default);
            format.add(COMBINED, variable).ok()?;
            *made = Some(Rc::new(format));
        }
        made.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Names;
    use proptest::prelude::*;

    fn escaped(escape: Escape, value: &[u8]) -> String {
        let mut line = b"\"kept".to_vec();
        let start = line.len();
        line.extend_from_slice(value);
        escape.apply(&mut line, start);
        String::from_utf8(line[start..].to_vec()).unwrap()
    }

    #[test]
    fn values_are_escaped() {
        for (value, default, json) in [
            ("plain text~", "plain text~", "plain text~"),
            ("a\"b\\c", "a\\x22b\\x5Cc", "a\\\"b\\\\c"),
            (
                "\r\n\t\x08\x0c",
                "\\x0D\\x0A\\x09\\x08\\x0C",
                "\\r\\n\\t\\b\\f",
            ),
            ("\0\x1f", "\\x00\\x1F", "\\u0000\\u001F"),
            ("\x7f", "\\x7F", "\x7f"),
            ("é", "\\xC3\\xA9", "é"),
            ("", "", ""),
        ] {
            assert_eq!(escaped(Escape::Default, value.as_bytes()), default);
            assert_eq!(escaped(Escape::Json, value.as_bytes()), json);
            assert_eq!(escaped(Escape::None, value.as_bytes()), value);
        }
    }

    /// The parts of a format, variables as `<name>`.
    fn parts(sources: &[&str]) -> Result<Vec<String>, BadFormat> {
        let mut names = Names::default();
        let mut format = Format::new(Escape::None);
        for source in sources {
            format.add(source.as_bytes(), |name| names.reference(name))?;
        }
        let shown = format.parts.iter().map(|part| match part {
            Part::Text(text) => String::from_utf8(text.clone()).unwrap(),
            Part::Variable(variable) => format!("<{}>", variable.name()),
        });
        Ok(shown.collect())
    }

    #[test]
    fn formats_are_compiled() {
        for (sources, expected) in [
            (&[""][..], &[][..]),
            (&["a", "b"], &["ab"]),
            (&["$a"], &["<a>"]),
            (
                &["a $b-${c}d", "$E"],
                &["a ", "<b>", "-", "<c>", "d", "<e>"],
            ),
            (&["$a}"], &["<a>", "}"]),
        ] {
            assert_eq!(parts(sources).unwrap(), expected, "{sources:?}");
        }
    }

    #[test]
    fn mistakes_are_told_in_nginxs_words() {
        for (source, expected) in [
            ("a$", "invalid parameter \"$\""),
            ("a$ b", "invalid parameter \"$ b\""),
            ("${", "invalid parameter \"${\""),
            ("${}", "invalid parameter \"${}\""),
            ("${a", "the closing bracket in \"a\" variable is missing"),
            ("${a-}", "the closing bracket in \"a\" variable is missing"),
        ] {
            assert_eq!(parts(&[source]).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn formats_are_found_by_name() {
        let formats = Formats::default();
        let mut names = Names::default();
        assert!(formats.define(b"Main", Format::new(Escape::None)));
        assert!(!formats.define(b"Main", Format::new(Escape::None)));
        assert!(!formats.define(b"combined", Format::new(Escape::None)));
        let mut has = |name: &[u8]| formats.find(name, |name| names.reference(name)).is_some();
        assert!(has(b"main") && has(b"combined") && has(b"COMBINED"));
        assert!(!has(b"other"));
    }

    proptest! {
        #[test]
        fn escaped_values_keep_to_their_line(value: Vec<u8>) {
            let text = escaped(Escape::Default, &value);
            prop_assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"'));
        }

        #[test]
        fn any_format_is_survived(source: Vec<u8>) {
            let mut names = Names::default();
            let _ = Format::new(Escape::None).add(&source, |name| names.reference(name));
        }
    }
}
