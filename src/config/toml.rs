//! The TOML front end: a file ending in `.toml` becomes the same statements as one in nginx's
//! language, so every directive works in both, and each may include the other.
//!
//! | TOML | statement |
//! |---|---|
//! | `root = "/srv"`, `gzip_comp_level = 6` | `root /srv;`, `gzip_comp_level 6;` |
//! | `sendfile = true` | `sendfile on;` |
//! | `index = ["a.html", "b.html"]` | `index a.html b.html;` |
//! | `ip_hash = []` | `ip_hash;` |
//! | `add_header = [["A", "1"], ["B", "2"]]` | `add_header A 1; add_header B 2;` |
//! | `[http]` | `http { }` |
//! | `[[http.server]]`, once for each | `server { } server { }` |
//! | `args = ["~", "\\.php$"]` in a table | what stands before the block's `{` |
//!
//! A string is one argument whatever it holds; nginx's quotes and escapes mean nothing in it.
//! Keys keep their order, but TOML gathers all uses of a name in one place: where the order of
//! different directives matters (`rewrite` between two `set`), include a file in nginx's language.
//! In a data block (`map`, `types`) an entry called `args` is written `args = [["value"]]`.

use std::fmt;
use std::rc::Rc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use super::diagnostics::Mistake;
use super::tree::{FileId, Span, Statement, Statements, Word};

/// The key of a block's arguments.
const ARGS: &str = "args";

/// A table's entries, in order.
type Table = Vec<(Spanned<String>, Spanned<Value>)>;

/// What a TOML value can be as far as directives go.
#[derive(Debug)]
enum Value {
    /// A string, a whole number or a boolean, as the argument it becomes.
    Scalar(String),
    /// A number with a fraction, a date: its spelling in the source is the argument.
    Literal,
    List(Vec<Spanned<Value>>),
    Table(Table),
}

impl Value {
    fn is_scalar(&self) -> bool {
        matches!(self, Value::Scalar(_) | Value::Literal)
    }

    /// Whether it is the arguments of one directive.
    fn is_arguments(&self) -> bool {
        match self {
            Value::List(items) => items.iter().all(|item| item.get_ref().is_scalar()),
            other => other.is_scalar(),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a number, a boolean, a list or a table")
    }

    fn visit_bool<E>(self, on: bool) -> Result<Value, E> {
        Ok(Value::Scalar(if on { "on" } else { "off" }.to_owned()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Scalar(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Scalar(number.to_string()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Literal)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Scalar(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        // Every key has its place in the source, except the one that stands for a date.
        while let Some(key) = match map.next_key() {
            Ok(key) => key,
            Err(_) => return Ok(Value::Literal),
        } {
            entries.push((key, map.next_value()?));
        }
        Ok(Value::Table(entries))
    }
}

/// Reads a whole document. What could be understood is returned next to the mistakes.
pub fn parse(file: FileId, text: &[u8]) -> (Statements, Vec<Mistake>) {
    let mut front = FrontEnd {
        file,
        text,
        mistakes: Vec::new(),
    };
    let statements = front.document();
    (statements.into(), front.mistakes)
}

struct FrontEnd<'a> {
    file: FileId,
    text: &'a [u8],
    mistakes: Vec<Mistake>,
}

impl FrontEnd<'_> {
    fn document(&mut self) -> Vec<Rc<Statement>> {
        let text = match std::str::from_utf8(self.text) {
            Ok(text) => text,
            Err(error) => {
                let at = error.valid_up_to();
                self.mistake(at..at + 1, "invalid UTF-8");
                return Vec::new();
            }
        };
        let (document, errors) = toml::de::DeTable::parse_recoverable(text);
        for error in &errors {
            self.syntax(error);
        }
        match Value::deserialize(toml::de::Deserializer::from(document)) {
            Ok(Value::Table(entries)) => self.statements(entries),
            Ok(_) => Vec::new(),
            Err(error) => {
                self.syntax(&error);
                Vec::new()
            }
        }
    }

    fn syntax(&mut self, error: &toml::de::Error) {
        let span = error.span().unwrap_or(0..0);
        let message = error.message().lines().collect::<Vec<_>>().join(", ");
        self.mistake(span, &message);
    }

    fn span(&self, range: std::ops::Range<usize>) -> Span {
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span {
            file: self.file,
            start: offset(range.start),
            end: offset(range.end),
        }
    }

    fn mistake(&mut self, range: std::ops::Range<usize>, message: &str) {
        let span = self.span(range);
        self.mistakes.push(Mistake::emerg(span, message));
    }

    fn statements(&mut self, entries: Table) -> Vec<Rc<Statement>> {
        let mut statements = Vec::new();
        for (key, value) in entries {
            self.uses(&key, value, &mut statements);
        }
        statements
    }

    /// The uses of one name: every element of a list of lists or tables is one.
    fn uses(
        &mut self,
        key: &Spanned<String>,
        value: Spanned<Value>,
        into: &mut Vec<Rc<Statement>>,
    ) {
        if value.get_ref().is_arguments() {
            return into.push(self.simple(key, value));
        }
        match value.into_inner() {
            Value::Table(entries) => into.push(self.block(key, entries)),
            Value::List(items) => {
                for item in items {
                    match item.get_ref() {
                        Value::Table(_) | Value::List(_) => self.uses(key, item, into),
                        _ => {
                            let message =
                                format!("\"{}\" mixes values with lists or tables", key.get_ref());
                            self.mistake(item.span(), &message);
                        }
                    }
                }
            }
            Value::Scalar(_) | Value::Literal => {}
        }
    }

    fn simple(&self, key: &Spanned<String>, value: Spanned<Value>) -> Rc<Statement> {
        Rc::new(Statement {
            name: self.word(key.get_ref(), key.span()),
            args: self.arguments(value),
            body: None,
        })
    }

    fn block(&mut self, key: &Spanned<String>, entries: Table) -> Rc<Statement> {
        let (args, inside): (Table, Table) = entries
            .into_iter()
            .partition(|(key, value)| key.get_ref() == ARGS && value.get_ref().is_arguments());
        let args = args
            .into_iter()
            .flat_map(|(_, value)| self.arguments(value));
        Rc::new(Statement {
            name: self.word(key.get_ref(), key.span()),
            args: args.collect(),
            body: Some(self.statements(inside).into()),
        })
    }

    fn arguments(&self, value: Spanned<Value>) -> Vec<Word> {
        let range = value.span();
        match value.into_inner() {
            Value::Scalar(text) => vec![self.word(&text, range)],
            Value::Literal => {
                let source = self.text.get(range.clone()).unwrap_or_default();
                vec![self.word(&String::from_utf8_lossy(source), range)]
            }
            Value::List(items) => items
                .into_iter()
                .flat_map(|item| self.arguments(item))
                .collect(),
            Value::Table(_) => Vec::new(),
        }
    }

    fn word(&self, text: &str, range: std::ops::Range<usize>) -> Word {
        Word {
            text: text.as_bytes().into(),
            quoted: false,
            span: self.span(range),
        }
    }
}
