//! From a URI to a file: `root`, `alias`, `internal` and symbolic links.

use super::{Row, Settings, row};
use crate::config::context::{HTTP_SERVER_LOCATION, HTTP_SERVER_LOCATION_IF, LOCATION};
use crate::config::tree::bytes_of;
use crate::config::{Finish, Mistake, Outcome, Span, Use};
use crate::exchange::{Alias, LocationKind, Template};
use crate::files::SymlinkMode;
use crate::modules::http::Http;
use crate::sys::fs::Symlinks;

pub(super) const ROWS: &[Row] = &[
    row("root", HTTP_SERVER_LOCATION_IF)
        .syntax("path")
        .default("html")
        .doc("Names the folder that URIs are looked up in, all of the URI appended.")
        .set(|s, d| {
            let value = d.arg(0).strip_suffix(b"/").unwrap_or(d.arg(0));
            map(s, d, Kind::Root, value)?;
            s.edit().alias = Alias::No;
            Ok(())
        }),
    row("alias", LOCATION)
        .syntax("path")
        .doc("Names what stands in for the location's part of the URI when files are looked up.")
        .set(|s, d| map(s, d, Kind::Alias, d.arg(0))),
    row("internal", LOCATION)
        .none()
        .doc("Answers 404 unless the request was redirected here by the server itself.")
        .set(|s, _| {
            s.edit().internal = true;
            Ok(())
        }),
    row("disable_symlinks", HTTP_SERVER_LOCATION)
        .syntax("off | on [from=part] | if_not_owner [from=part]")
        .default("off")
        .between(1, 2)
        .doc("Refuses paths with symbolic links, or only with those of another owner.")
        .set(|s, d| {
            s.edit().symlinks = symlinks(d)?;
            Ok(())
        }),
];

/// Which of the two directives for the path of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Root,
    Alias,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Kind::Root => "root",
            Kind::Alias => "alias",
        }
    }
}

/// One of them, and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mapping {
    kind: Kind,
    span: Span,
}

/// Variables that are made of `root`, and so cannot make it.
const CIRCULAR: [&str; 2] = ["document_root", "realpath_root"];

/// Sets the path files are looked up by; `value` is the argument without a root's last slash.
fn map(settings: &mut Settings, d: &Use<'_>, kind: Kind, value: &[u8]) -> Outcome {
    let name = kind.name();
    if let Some(earlier) = settings.mapping {
        let other = earlier.kind.name();
        let message = format!(
            "\"{name}\" directive is duplicate, \"{other}\" directive was specified earlier"
        );
        return Err(d
            .mistake(0, message)
            .related(earlier.span, "first given here"));
    }
    if let Some(variable) = circular(d.arg(0)) {
        let message =
            format!("the ${variable} variable cannot be used in the \"{name}\" directive");
        return Err(d.mistake(0, message));
    }
    let with_variables = d.template_of(0, value)?;
    // Where there are variables, the prefix is put in front of what they come to.
    settings.edit().root = match with_variables.literal() {
        // `root /;`: the URI is the path.
        Some(b"") if !d.arg(0).is_empty() => with_variables,
        Some(_) => Template::text(bytes_of(d.resolve_prefix(value))),
        None => with_variables,
    };
    let span = d.span();
    settings.mapping = Some(Mapping { kind, span });
    Ok(())
}

/// The variable in `path` that is made of it.
fn circular(path: &[u8]) -> Option<&'static str> {
    let mut names = memchr::memchr_iter(b'$', path).map(|dollar| &path[dollar + 1..]);
    names.find_map(|name| {
        let (name, end) = match name.strip_prefix(b"{") {
            Some(name) => (name, &b"}"[..]),
            None => (name, &b""[..]),
        };
        CIRCULAR.into_iter().find(|variable| {
            let rest = name.strip_prefix(variable.as_bytes());
            rest.is_some_and(|rest| rest.starts_with(end))
        })
    })
}

impl Settings {
    /// What an `alias` means depends on the location it stands in.
    pub(super) fn finish_mapping(&mut self, block: &Finish<'_>) -> Outcome {
        let Some(Mapping {
            kind: Kind::Alias,
            span,
        }) = self.mapping.take()
        else {
            return Ok(());
        };
        let http = block.settings::<Http>();
        let Some(line) = http.location.as_deref() else {
            return Ok(());
        };
        self.edit().alias = match line.kind {
            LocationKind::Named => {
                let message = "the \"alias\" directive cannot be used inside the named location";
                return Err(Mistake::emerg(span, message));
            }
            LocationKind::Regex => Alias::Whole,
            _ => Alias::Prefix(line.name.clone()),
        };
        Ok(())
    }
}

fn symlinks(d: &Use<'_>) -> Result<(SymlinkMode, Option<Template>), Mistake> {
    let (mut mode, mut from) = (None, None);
    for i in 0..d.count() {
        match (d.arg(i), d.parameter(i, "from=")) {
            (b"off", _) => mode = Some(SymlinkMode::Follow),
            (b"on", _) => mode = Some(SymlinkMode::Check(Symlinks::Refused)),
            (b"if_not_owner", _) => mode = Some(SymlinkMode::Check(Symlinks::SameOwner)),
            (_, Some(part)) => from = Some(d.template_of(i, part)?),
            _ => return Err(d.invalid_parameter(i)),
        }
    }
    let Some(mode) = mode else {
        let message =
            "\"disable_symlinks\" must have \"off\", \"on\" or \"if_not_owner\" parameter";
        return Err(d.mistake(0, message));
    };
    if d.count() == 2 && from.is_none() {
        let message = format!("duplicate parameters \"{} {}\"", d.lossy(0), d.lossy(1));
        return Err(d.mistake(1, message));
    }
    if from.is_some() && mode == SymlinkMode::Follow {
        return Err(d.mistake(0, "\"from=\" cannot be used with \"off\" parameter"));
    }
    Ok((mode, from))
}
