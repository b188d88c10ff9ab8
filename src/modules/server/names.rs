//! `server_name`: exact names, wildcards and patterns.

use std::rc::Rc;

use super::{Row, ServerBlock};
use crate::config::context::SERVER;
use crate::config::{Mistake, Outcome, Span, Use, directive};
use crate::http::pattern::Pattern;
use crate::sys::process;

/// One name of a server.
#[derive(Clone)]
pub struct ServerName {
    /// As written, in lower case unless it is a pattern; a pattern keeps its `~`.
    pub text: Box<[u8]>,
    /// The compiled pattern of a name that begins with `~`.
    pub pattern: Option<Rc<Pattern>>,
    /// The pattern's named groups, and the slots of their variables.
    pub captures: Rc<[(usize, usize)]>,
    /// Where it stands.
    pub span: Span,
}

impl ServerName {
    /// A name that is no pattern.
    pub fn exact(text: &[u8], span: Span) -> Self {
        Self {
            text: text.to_ascii_lowercase().into(),
            pattern: None,
            captures: Rc::new([]),
            span,
        }
    }

    /// As `$server_name` has it: `.example.com` without its dot.
    pub fn shown(&self) -> &[u8] {
        self.text.strip_prefix(b".").unwrap_or(&self.text)
    }
}

pub(super) const ROW: Row = directive("server_name")
    .syntax("name ...")
    .default("\"\"")
    .contexts(SERVER)
    .at_least(1)
    .doc("Says which hosts the server answers for: names, names with a wildcard, ~patterns or $hostname.")
    .repeat(server_name);

fn server_name(server: &mut ServerBlock, d: &mut Use<'_>) -> Outcome {
    for i in 0..d.count() {
        server.names.push(name(d, i)?);
    }
    Ok(())
}

fn name(d: &Use<'_>, i: usize) -> Result<ServerName, Mistake> {
    let text = d.arg(i);
    let wildcard = match text {
        [b'*', rest @ ..] => rest.len() >= 2 && rest.starts_with(b"."),
        [b'.', rest @ ..] => !rest.is_empty(),
        _ => true,
    };
    if !wildcard {
        return Err(d.mistake(i, format!("server name \"{}\" is invalid", d.lossy(i))));
    }
    if text.contains(&b'/') {
        d.warn(
            i,
            format!("server name \"{}\" has suspicious symbols", d.lossy(i)),
        );
    }
    if text.first() == Some(&b'~') {
        return pattern(d, i);
    }
    if text.eq_ignore_ascii_case(b"$hostname") {
        let host = process::hostname()
            .map_err(|error| d.mistake(i, format!("gethostname() failed ({error})")))?;
        return Ok(ServerName::exact(host.as_bytes(), d.span_of(i)));
    }
    Ok(ServerName::exact(text, d.span_of(i)))
}

/// A pattern; capital letters in it make its case not matter, for hosts are in lower case.
fn pattern(d: &Use<'_>, i: usize) -> Result<ServerName, Mistake> {
    let source = d.parameter(i, "~").unwrap_or_default();
    if source.is_empty() {
        let message = format!("empty regex in server name \"{}\"", d.lossy(i));
        return Err(d.mistake(i, message));
    }
    let ignore_case = source.iter().any(u8::is_ascii_uppercase);
    let pattern = d.pattern_of(i, source, ignore_case)?;
    Ok(ServerName {
        text: d.arg(i).into(),
        captures: d.capture_slots(i, &pattern)?,
        pattern: Some(pattern),
        span: d.span_of(i),
    })
}
