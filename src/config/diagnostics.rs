//! Mistakes and how they are shown: nginx's words first, then the line under a caret.

use std::fmt::{self, Write as _};
use std::path::Path;
use std::rc::Rc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::tree::{Sources, Span};

/// How many mistakes are shown; the rest are counted.
const MAX_SHOWN: usize = 100;

/// What checking something comes to.
pub type Outcome = Result<(), Mistake>;

/// How bad a mistake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The configuration cannot be used.
    Emerg,
    /// The configuration can be used, but probably means something else than it says.
    Warn,
}

impl Severity {
    /// The word in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Emerg => "emerg",
            Severity::Warn => "warn",
        }
    }
}

/// Where something stands, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position<'a> {
    /// The file, by the name it was opened by; empty for the command line.
    pub file: &'a Path,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// How many bytes it is long.
    pub length: usize,
}

impl Position<'_> {
    pub(super) fn unknown() -> Self {
        Position {
            file: Path::new(""),
            line: 0,
            column: 0,
            length: 0,
        }
    }
}

/// One finding about a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in nginx's words, without the place.
    pub message: String,
    /// Where; `None` when no file is to blame.
    pub at: Option<Span>,
    /// What to do about it.
    pub help: Option<Box<str>>,
    /// Another place that belongs to the story, and what it has to do with it.
    pub related: Option<Box<(Span, String)>>,
}

impl Mistake {
    /// A mistake that makes the configuration unusable.
    pub fn emerg(at: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Emerg,
            message: message.into(),
            at: at.into(),
            help: None,
            related: None,
        }
    }

    /// A finding that does not keep the configuration from being used.
    pub fn warn(at: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warn,
            ..Self::emerg(at, message)
        }
    }

    /// The same with a piece of advice.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into().into_boxed_str());
        self
    }

    /// The same with another place to look at.
    pub fn related(mut self, at: Span, label: impl Into<String>) -> Self {
        self.related = Some(Box::new((at, label.into())));
        self
    }

    /// The message with its place, as nginx logs it: `unknown directive "x" in FILE:LINE`.
    pub fn line(&self, sources: &Sources) -> String {
        let mut line = self.message.clone();
        if let Some(span) = self.at {
            let at = sources.position(span);
            let _ = match at.file.as_os_str().is_empty() {
                true => write!(line, " in command line"),
                false => write!(line, " in {}:{}", at.file.display(), at.line),
            };
        }
        line
    }

    /// The source lines concerned, the caret below and the advice; empty without a place.
    fn snippet(&self, sources: &Sources) -> String {
        let Some(excerpt) = self.at.and_then(|span| Excerpt::of(sources, span)) else {
            let help = self.help.iter();
            return help.map(|help| format!("  = help: {help}\n")).collect();
        };
        let level = match self.severity {
            Severity::Emerg => Level::ERROR,
            Severity::Warn => Level::WARNING,
        };
        let other = self.related.as_deref();
        let other = other.and_then(|(span, label)| Some((Excerpt::of(sources, *span)?, label)));
        let mut group =
            Group::with_level(level).element(excerpt.snippet(AnnotationKind::Primary, None));
        if let Some((excerpt, label)) = &other {
            group = group.element(excerpt.snippet(AnnotationKind::Context, Some(label)));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(&**help));
        }
        let mut text = Renderer::plain().render(&[group]);
        text.push('\n');
        text
    }
}

/// The one line of a file that a span begins in.
struct Excerpt {
    path: String,
    line: String,
    number: usize,
    marked: std::ops::Range<usize>,
}

impl Excerpt {
    fn of(sources: &Sources, span: Span) -> Option<Self> {
        let file = sources.file(span.file)?;
        let position = sources.position(span);
        let start = (span.start as usize).min(file.text.len());
        let from = memchr::memrchr(b'\n', &file.text[..start]).map_or(0, |newline| newline + 1);
        let to = memchr::memchr(b'\n', &file.text[start..]).map_or(file.text.len(), |n| start + n);
        let end = (span.end as usize).clamp(start, to);
        let lossy =
            |from: usize, to: usize| String::from_utf8_lossy(&file.text[from..to]).into_owned();
        let (before, marked, after) = (lossy(from, start), lossy(start, end), lossy(end, to));
        Some(Self {
            path: match position.file.as_os_str().is_empty() {
                true => "command line".to_owned(),
                false => position.file.display().to_string(),
            },
            marked: before.len()..before.len() + marked.len(),
            line: before + &marked + after.trim_end(),
            number: position.line,
        })
    }

    fn snippet<'a>(
        &'a self,
        kind: AnnotationKind,
        label: Option<&'a str>,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let end = self.marked.end.min(self.line.len());
        let span = self.marked.start.min(end)..end;
        Snippet::source(&self.line)
            .path(&self.path)
            .line_start(self.number)
            .annotation(kind.span(span).label(label))
    }
}

/// Everything found in a configuration, in reading order, with the files to show it by.
#[derive(Debug, Clone)]
pub struct Diagnostics {
    mistakes: Vec<Mistake>,
    sources: Rc<Sources>,
}

impl Diagnostics {
    /// Puts the mistakes in reading order and drops repetitions: a snippet included by a
    /// thousand sites has its mistake once.
    pub fn new(mut mistakes: Vec<Mistake>, sources: Rc<Sources>) -> Self {
        mistakes.sort_by_cached_key(|mistake| {
            let order = mistake.at.map(|span| sources.reading_order(span));
            (order, mistake.message.clone())
        });
        mistakes.dedup();
        Self { mistakes, sources }
    }

    /// The mistakes, in reading order.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// The files the mistakes stand in.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// Whether the configuration cannot be used.
    pub fn fatal(&self) -> bool {
        self.mistakes.iter().any(|m| m.severity == Severity::Emerg)
    }

    /// One line a mistake, for a log: severity and the message with its place. No more than
    /// are shown, as counting lines in a long file takes its time.
    pub fn lines(&self) -> impl Iterator<Item = (Severity, String)> {
        self.mistakes
            .iter()
            .take(MAX_SHOWN)
            .map(|mistake| (mistake.severity, mistake.line(&self.sources)))
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in self.mistakes.iter().take(MAX_SHOWN) {
            let severity = mistake.severity.name();
            writeln!(f, "rowhouse: [{severity}] {}", mistake.line(&self.sources))?;
            f.write_str(&mistake.snippet(&self.sources))?;
        }
        match self.mistakes.len().saturating_sub(MAX_SHOWN) {
            0 => Ok(()),
            more => writeln!(f, "rowhouse: and {more} more"),
        }
    }
}

impl std::error::Error for Diagnostics {}
