//! The blocks `http`, `server`, `location` and `limit_except`, and what they come to: the
//! listening sockets, virtual hosts and locations that workers serve.

mod install;
mod listeners;

use std::rc::Rc;

pub use self::install::install;
use crate::config::context::{HTTP, LIMIT_EXCEPT, LOCATION, MAIN, SERVER};
use crate::config::{Arity, Directive, Mistake, Module, Outcome, Use, directive};
use crate::exchange::LocationKind;
use crate::http::Method;
use crate::http::pattern::Pattern;

/// The blocks of `http`.
pub struct Http;

/// What a block's own line says.
#[derive(Clone, Default)]
pub struct Settings {
    /// Of a `location`.
    pub location: Option<Rc<LocationLine>>,
    /// Of a `limit_except`: the methods that stay outside.
    pub allowed: Rc<[Method]>,
}

/// What stands before the `{` of a location.
pub struct LocationLine {
    /// How it is matched.
    pub kind: LocationKind,
    /// Its name or pattern, as written.
    pub name: Rc<[u8]>,
    /// Written with `^~`.
    pub priority: bool,
    /// The compiled pattern of a regex location.
    pub pattern: Option<Rc<Pattern>>,
    /// The pattern's named groups, and the slots of their variables.
    pub captures: Rc<[(usize, usize)]>,
}

impl Module for Http {
    type Settings = Settings;
    const NAME: &'static str = "http";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        directive("http")
            .contexts(MAIN)
            .none()
            .doc("Holds everything of the HTTP server.")
            .open(HTTP, |_, _| Ok(()))
            .once(),
        directive("server")
            .contexts(HTTP)
            .none()
            .doc("Describes a virtual host.")
            .open(SERVER, |_, _| Ok(())),
        directive("location")
            .syntax("[= | ~ | ~* | ^~] uri | @name")
            .contexts(SERVER | LOCATION)
            .arity(Arity::Between(1, 2))
            .doc("Settings for the requests whose path begins with, equals or matches the given one.")
            .open(LOCATION, |settings, d| {
                let outer = settings.location.take();
                let line = location_line(d)?;
                check_nesting(outer.as_deref(), &line, d)?;
                settings.location = Some(Rc::new(line));
                Ok(())
            }),
        directive("limit_except")
            .syntax("method ...")
            .contexts(LOCATION)
            .at_least(1)
            .doc("Settings for requests with any other method than the given ones; GET implies HEAD.")
            .open(LIMIT_EXCEPT, |settings, d| {
                settings.allowed = methods(d)?;
                Ok(())
            }),
    ];
}

/// Reads modifier and name, which may be written without a space between them.
fn location_line(d: &mut Use<'_>) -> Result<LocationLine, Mistake> {
    let (modifier, at) = match d.count() {
        2 => (d.arg(0), 1),
        _ => (split_modifier(d.arg(0)), 0),
    };
    let name = if d.count() == 2 {
        d.arg(1)
    } else {
        &d.arg(0)[modifier.len()..]
    };
    let line = |kind, priority| LocationLine {
        kind,
        name: name.into(),
        priority,
        pattern: None,
        captures: Rc::new([]),
    };
    Ok(match modifier {
        b"=" => line(LocationKind::Exact, false),
        b"^~" => line(LocationKind::Prefix, true),
        b"~" | b"~*" => {
            let pattern = d.pattern_of(at, name, modifier == b"~*")?;
            let captures = d.capture_slots(at, &pattern)?;
            LocationLine {
                pattern: Some(pattern),
                captures,
                ..line(LocationKind::Regex, false)
            }
        }
        b"" if name.first() == Some(&b'@') => LocationLine {
            name: name[1..].into(),
            ..line(LocationKind::Named, false)
        },
        b"" => line(LocationKind::Prefix, false),
        _ => return Err(d.mistake(0, format!("invalid location modifier \"{}\"", d.lossy(0)))),
    })
}

/// The modifier a single argument begins with: `location =/x`.
fn split_modifier(argument: &[u8]) -> &[u8] {
    let modifiers: [&[u8]; 4] = [b"^~", b"~*", b"~", b"="];
    let found = modifiers
        .iter()
        .find(|modifier| argument.starts_with(modifier));
    found.map_or(b"", |modifier| &argument[..modifier.len()])
}

/// What nginx demands of a location inside another.
fn check_nesting(outer: Option<&LocationLine>, inner: &LocationLine, d: &Use<'_>) -> Outcome {
    let Some(outer) = outer else { return Ok(()) };
    let show = |line: &LocationLine| {
        let at = if line.kind == LocationKind::Named {
            "@"
        } else {
            ""
        };
        format!("{at}{}", String::from_utf8_lossy(&line.name))
    };
    let (ours, theirs) = (show(inner), show(outer));
    let complaint = match (outer.kind, inner.kind) {
        (LocationKind::Exact, _) => {
            format!("location \"{ours}\" cannot be inside the exact location \"{theirs}\"")
        }
        (LocationKind::Named, _) => {
            format!("location \"{ours}\" cannot be inside the named location \"{theirs}\"")
        }
        (_, LocationKind::Named) => {
            format!("named location \"{ours}\" can be on the server level only")
        }
        (LocationKind::Prefix, LocationKind::Prefix | LocationKind::Exact)
            if !inner.name.starts_with(&outer.name) =>
        {
            format!("location \"{ours}\" is outside location \"{theirs}\"")
        }
        _ => return Ok(()),
    };
    Err(d.mistake(d.count() - 1, complaint))
}

fn methods(d: &Use<'_>) -> Result<Rc<[Method]>, Mistake> {
    let mut methods = Vec::new();
    for i in 0..d.count() {
        let method = Method::from_bytes(&d.arg(i).to_ascii_uppercase());
        match method {
            Method::Other | Method::Connect | Method::Trace => {
                return Err(d.mistake(i, format!("invalid method \"{}\"", d.lossy(i))));
            }
            Method::Get => methods.extend([Method::Get, Method::Head]),
            method => methods.push(method),
        }
    }
    Ok(methods.into())
}
