//! nginx's configuration language, from bytes to statements.
//!
//! The parsers of the first half know what a word, a comment and a brace are; the builder of
//! the second half puts them together. The builder keeps its own stack, so that no nesting can
//! exhaust the thread's, and goes on after a mistake: all of a file's mistakes come out at once.

use std::rc::Rc;

use nom::branch::alt;
use nom::bytes::complete::{is_a, take, take_while, take_while1};
use nom::character::complete::{char, one_of};
use nom::combinator::{eof, map, not, recognize, value};
use nom::multi::{many0_count, many1_count};
use nom::sequence::{delimited, pair, preceded};
use nom::{IResult, Parser};

use super::diagnostics::Mistake;
use super::tree::{FileId, Span, Statement, Statements, Word};

/// How deep blocks may be nested.
const MAX_DEPTH: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    /// A word as written, without its quotes if it had any.
    Word {
        raw: &'a [u8],
        quoted: bool,
    },
    Semicolon,
    Open,
    Close,
    End,
}

type Parsed<'a, T> = IResult<&'a [u8], T>;

/// Spaces, line ends and comments.
fn blank(input: &[u8]) -> Parsed<'_, usize> {
    let comment = recognize(pair(char('#'), take_while(|byte| byte != b'\n')));
    many0_count(alt((is_a(" \t\r\n"), comment))).parse(input)
}

/// A backslash keeps the next byte from meaning anything to the grammar.
fn escape(input: &[u8]) -> Parsed<'_, &[u8]> {
    recognize(pair(char('\\'), take(1usize))).parse(input)
}

/// A `{` right after a `$` belongs to the word: `${name}`.
fn variable(input: &[u8]) -> Parsed<'_, &[u8]> {
    recognize(pair(char('$'), take_while(|byte| byte == b'{'))).parse(input)
}

/// Whether a byte has no meaning of its own in a word without quotes.
fn is_plain(byte: u8) -> bool {
    !matches!(
        byte,
        b' ' | b'\t' | b'\r' | b'\n' | b';' | b'{' | b'\\' | b'$'
    )
}

fn bare(input: &[u8]) -> Parsed<'_, Token<'_>> {
    let plain = take_while1(is_plain);
    let word = recognize(many1_count(alt((plain, escape, variable))));
    map(word, |raw| Token::Word { raw, quoted: false }).parse(input)
}

fn quoted<'a>(mark: u8) -> impl FnMut(&'a [u8]) -> Parsed<'a, Token<'a>> {
    move |input| {
        let plain = take_while1(|byte| byte != mark && byte != b'\\');
        let inside = recognize(many0_count(alt((plain, escape))));
        let word = delimited(char(mark.into()), inside, char(mark.into()));
        map(word, |raw| Token::Word { raw, quoted: true }).parse(input)
    }
}

/// What begins here; fails only when the file ends within quotes or after a backslash.
fn token(input: &[u8]) -> Parsed<'_, Token<'_>> {
    alt((
        value(Token::End, eof),
        value(Token::Semicolon, char(';')),
        value(Token::Open, char('{')),
        value(Token::Close, char('}')),
        quoted(b'"'),
        quoted(b'\''),
        preceded(not(one_of("\"'")), bare),
    ))
    .parse(input)
}

/// Undoes the escapes nginx knows; before any other byte a backslash stands for itself.
fn unescape(raw: &[u8]) -> Box<[u8]> {
    let Some(first) = memchr::memchr(b'\\', raw) else {
        return raw.into();
    };
    let (plain, mut rest) = raw.split_at(first);
    let mut text = plain.to_vec();
    while let [byte, after @ ..] = rest {
        let (byte, after) = match rest {
            [b'\\', escaped @ (b'"' | b'\'' | b'\\'), after @ ..] => (*escaped, after),
            [b'\\', b't', after @ ..] => (b'\t', after),
            [b'\\', b'r', after @ ..] => (b'\r', after),
            [b'\\', b'n', after @ ..] => (b'\n', after),
            _ => (*byte, after),
        };
        text.push(byte);
        rest = after;
    }
    text.into()
}

/// Where a text comes from; the words of some mistakes depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A configuration file.
    File,
    /// The argument of `-g`.
    CommandLine,
}

/// Reads a whole text. What could be understood is returned next to the mistakes.
pub fn parse(file: FileId, text: &[u8], origin: Origin) -> (Statements, Vec<Mistake>) {
    let mut builder = Builder {
        file,
        text,
        origin,
        words: None,
        broken: false,
        statements: Vec::new(),
        open: Vec::new(),
        mistakes: Vec::new(),
    };
    let input = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    builder.run(input);
    (builder.statements.into(), builder.mistakes)
}

/// A block that is not closed yet.
struct Pending {
    /// What stands before its brace; `None` if that was a mistake, which is reported already.
    words: Option<Words>,
    /// The statements around it.
    outside: Vec<Rc<Statement>>,
    brace: Span,
}

/// The words of a statement whose end is not reached yet.
struct Words {
    name: Word,
    args: Vec<Word>,
}

impl Words {
    fn end(self, body: Option<Statements>) -> Rc<Statement> {
        Rc::new(Statement {
            name: self.name,
            args: self.args,
            body,
        })
    }
}

struct Builder<'a> {
    file: FileId,
    text: &'a [u8],
    origin: Origin,
    words: Option<Words>,
    /// Whether something in the current statement was passed over, which was reported.
    broken: bool,
    statements: Vec<Rc<Statement>>,
    open: Vec<Pending>,
    mistakes: Vec<Mistake>,
}

impl<'a> Builder<'a> {
    fn run(&mut self, mut input: &'a [u8]) {
        loop {
            input = blank(input).map_or(input, |(rest, _)| rest);
            let Ok((rest, token)) = token(input) else {
                return self.unterminated(self.between(input, &[]));
            };
            let span = self.between(input, rest);
            input = match token {
                Token::Word { raw, quoted } => {
                    self.word(raw, quoted, span);
                    if quoted { self.after_quote(rest) } else { rest }
                }
                Token::End => return self.end(span),
                Token::Semicolon => self.semicolon(span, rest),
                Token::Open => self.open(span, rest),
                Token::Close => self.close(span, rest),
            };
        }
    }

    /// The stretch from the beginning of `input` to the beginning of `rest`.
    fn between(&self, input: &[u8], rest: &[u8]) -> Span {
        let offset = |left: &[u8]| u32::try_from(self.text.len() - left.len()).unwrap_or(u32::MAX);
        Span {
            file: self.file,
            start: offset(input),
            end: offset(rest),
        }
    }

    fn mistake(&mut self, at: Span, message: impl Into<String>) {
        self.mistakes.push(Mistake::emerg(at, message));
    }

    fn word(&mut self, raw: &[u8], quoted: bool, span: Span) {
        let word = Word {
            text: unescape(raw),
            quoted,
            span,
        };
        match &mut self.words {
            Some(words) => words.args.push(word),
            None => {
                self.words = Some(Words {
                    name: word,
                    args: Vec::new(),
                });
            }
        }
    }

    /// A quoted word must be followed by something that ends it. Anything else is reported and
    /// passed over, up to where a word would end.
    fn after_quote(&mut self, input: &'a [u8]) -> &'a [u8] {
        let fine: Parsed<'_, char> = one_of(" \t\r\n;{)")(input);
        if input.is_empty() || fine.is_ok() {
            return input;
        }
        let rest = bare(input).map_or(&input[1..], |(rest, _)| rest);
        let shown = String::from_utf8_lossy(&input[..input.len().min(4)]);
        if let Some(first) = shown.chars().next().filter(|_| !self.broken) {
            let at = self.between(input, rest);
            self.mistake(at, format!("unexpected \"{first}\""));
        }
        self.broken = true;
        rest
    }

    fn semicolon(&mut self, span: Span, rest: &'a [u8]) -> &'a [u8] {
        let broken = std::mem::take(&mut self.broken);
        match self.words.take() {
            Some(_) if broken => {}
            Some(words) => self.statements.push(words.end(None)),
            None => self.mistake(span, "unexpected \";\""),
        }
        rest
    }

    fn open(&mut self, brace: Span, rest: &'a [u8]) -> &'a [u8] {
        let mut words = self.words.take();
        if words.is_none() {
            self.mistake(brace, "unexpected \"{\"");
        } else if std::mem::take(&mut self.broken) {
            words = None;
        }
        if self.origin == Origin::CommandLine {
            self.mistake(brace, "block directives are not supported in -g option");
        }
        if self.open.len() == MAX_DEPTH {
            self.mistake(
                brace,
                format!("blocks are nested more than {MAX_DEPTH} deep"),
            );
            return &rest[rest.len()..];
        }
        self.open.push(Pending {
            words,
            outside: std::mem::take(&mut self.statements),
            brace,
        });
        rest
    }

    fn close(&mut self, span: Span, rest: &'a [u8]) -> &'a [u8] {
        let unfinished = self.words.take();
        self.broken = false;
        if unfinished.is_some() || self.open.is_empty() {
            let mut mistake = Mistake::emerg(span, "unexpected \"}\"");
            if let Some(words) = unfinished {
                let last = words.args.last().unwrap_or(&words.name);
                mistake = mistake.related(last.span, "a \";\" is missing after this");
            }
            self.mistakes.push(mistake);
        }
        self.leave();
        rest
    }

    /// Closes the innermost block.
    fn leave(&mut self) {
        if let Some(block) = self.open.pop() {
            let inside = std::mem::replace(&mut self.statements, block.outside);
            let closed = block.words.map(|words| words.end(Some(inside.into())));
            self.statements.extend(closed);
        }
    }

    /// The file ends inside of quotes, which begin at `span`.
    fn unterminated(&mut self, span: Span) {
        let end = Span {
            start: span.end,
            ..span
        };
        let opening = Span {
            end: span.start + 1,
            ..span
        };
        let mut mistake = Mistake::emerg(end, self.end_message());
        if self.text.get(span.start as usize) != Some(&b'\\') {
            mistake = mistake.related(opening, "this quote is never closed");
        }
        self.mistakes.push(mistake);
        self.words = None;
        self.leave_all();
    }

    fn end(&mut self, span: Span) {
        if let Some(words) = self.words.take() {
            let last = words.args.last().unwrap_or(&words.name);
            let mistake = Mistake::emerg(span, self.end_message())
                .related(last.span, "a \";\" is missing after this");
            self.mistakes.push(mistake);
        } else if let Some(block) = self.open.last() {
            let mistake = Mistake::emerg(span, "unexpected end of file, expecting \"}\"")
                .related(block.brace, "this block is never closed");
            self.mistakes.push(mistake);
        }
        self.leave_all();
    }

    fn leave_all(&mut self) {
        while !self.open.is_empty() {
            self.leave();
        }
    }

    fn end_message(&self) -> &'static str {
        match self.origin {
            Origin::File => "unexpected end of file, expecting \";\" or \"}\"",
            Origin::CommandLine => "unexpected end of parameter, expecting \";\"",
        }
    }
}
