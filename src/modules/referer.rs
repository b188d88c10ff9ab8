//! `valid_referers`: whether the page a request comes from is a welcome one (`$invalid_referer`).

use std::rc::Rc;

use super::server::Server;
use crate::config::context::{LOCATION, SERVER};
use crate::config::{Directive, Finish, Mistake, Module, Outcome, Span, Use, directive};
use crate::exchange::{Evaluate, Exchange, Location, Variable};
use crate::http::KnownHeader;
use crate::http::pattern::{Captures, Pattern};
use crate::routing::hosts::{Hosts, NameError};

/// Tells welcome referrers from others.
pub struct Referer;

/// A name as written, and how paths there must begin.
type Name = (Rc<[u8]>, Option<Rc<[u8]>>);

/// A block's list, and what is made of it.
#[derive(Clone, Default)]
pub struct Settings {
    /// The names.
    names: Vec<Name>,
    patterns: Vec<Rc<Pattern>>,
    none: bool,
    blocked: bool,
    server_names: bool,
    /// Where the block's own list stands.
    span: Option<Span>,
    /// What was made of the list; before that, of the list around this block.
    valid: Option<Rc<Valid>>,
}

/// The welcome referrers.
struct Valid {
    hosts: Hosts<Option<Rc<[u8]>>>,
    /// Patterns of server names, for the host alone.
    host_patterns: Vec<Rc<Pattern>>,
    /// For all that follows the scheme.
    patterns: Vec<Rc<Pattern>>,
    none: bool,
    blocked: bool,
}

const BOTH: u32 = SERVER | LOCATION;

impl Module for Referer {
    type Settings = Settings;
    const NAME: &'static str = "referer";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        directive("valid_referers")
            .syntax("none | blocked | server_names | string ...")
            .contexts(BOTH)
            .at_least(1)
            .doc("Lists the referrers for which $invalid_referer is empty: names, names with a wildcard or a path, ~patterns.")
            .repeat(|settings, d| {
                settings.begin(d);
                (0..d.count()).try_for_each(|i| settings.add(d, i))
            }),
        directive("referer_hash_max_size")
            .syntax("number")
            .default("2048")
            .contexts(BOTH)
            .doc("Limits a hash table that here grows as needed.")
            .tunes(),
        directive("referer_hash_bucket_size")
            .syntax("number")
            .default("64")
            .contexts(BOTH)
            .doc("Sets the buckets of a hash table that here has none.")
            .tunes(),
    ];
    const VARIABLES: &'static [Variable] = &[Variable::local(
        "invalid_referer",
        "`1` if the Referer field is not among the valid referrers, else empty.",
    )];

    fn finish(settings: &mut Rc<Settings>, block: &mut Finish<'_>) -> Outcome {
        let Some(span) = settings.span else {
            return Ok(());
        };
        let settings = Rc::make_mut(settings);
        settings.span = None;
        let server = block.settings::<Server>();
        let mut hosts = Hosts::default();
        let mut host_patterns = Vec::new();
        let mut names = settings.names.clone();
        for name in server.names.iter().filter(|_| settings.server_names) {
            match &name.pattern {
                Some(pattern) => host_patterns.push(Rc::clone(pattern)),
                None => names.push((name.text.clone().into(), None)),
            }
        }
        if names.is_empty() && (settings.none || settings.blocked) {
            let message = "the \"none\" or \"blocked\" referers are specified in the \
                           \"valid_referers\" directive without any valid referer";
            return Err(Mistake::emerg(span, message));
        }
        for (name, path) in names {
            let shown = String::from_utf8_lossy(&name).into_owned();
            hosts.add(&name, path).map_err(|error| {
                let what = match error {
                    NameError::Invalid => "invalid hostname or wildcard",
                    NameError::Conflict => "conflicting parameter",
                };
                Mistake::emerg(span, format!("{what} \"{shown}\""))
            })?;
        }
        let outer = settings.valid.take();
        let inherited = |own: Vec<_>, of: fn(&Valid) -> &Vec<_>| match &outer {
            Some(outer) if own.is_empty() => of(outer).clone(),
            _ => own,
        };
        settings.valid = Some(Rc::new(Valid {
            hosts,
            // As in nginx, a list without patterns of its own keeps those of the list around it.
            host_patterns: inherited(host_patterns, |outer| &outer.host_patterns),
            patterns: inherited(std::mem::take(&mut settings.patterns), |outer| {
                &outer.patterns
            }),
            none: settings.none,
            blocked: settings.blocked,
        }));
        Ok(())
    }

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if let Some(valid) = &settings.valid {
            let value = Rc::clone(valid) as Rc<dyn Evaluate>;
            location.values.push(("invalid_referer", value));
        }
    }
}

impl Settings {
    /// Starts the block's own list with its first line.
    fn begin(&mut self, d: &Use<'_>) {
        if d.first() {
            *self = Settings {
                valid: self.valid.take(),
                ..Settings::default()
            };
        }
        self.span = Some(d.span());
    }

    fn add(&mut self, d: &Use<'_>, i: usize) -> Outcome {
        match d.arg(i) {
            b"" => return Err(d.mistake(i, "invalid referer \"\"")),
            b"none" => self.none = true,
            b"blocked" => self.blocked = true,
            b"server_names" => self.server_names = true,
            b"~" => return Err(d.mistake(i, "empty regex in \"~\"")),
            [b'~', source @ ..] => self.patterns.push(d.pattern_of(i, source, true)?),
            name => {
                let slash = memchr::memchr(b'/', name).unwrap_or(name.len());
                let (name, path) = name.split_at(slash);
                let path = (!path.is_empty()).then(|| path.into());
                self.names.push((name.into(), path));
            }
        }
        Ok(())
    }
}

/// The shortest referrer whose host is looked at.
const SHORTEST: usize = "http://i.ru".len();

impl Valid {
    fn accepts(&self, exchange: &Exchange) -> bool {
        let Some(referer) = exchange.request.known(KnownHeader::Referer) else {
            return self.none;
        };
        let schemes: [&[u8]; 2] = [b"http://", b"https://"];
        let behind = schemes.iter().find_map(|scheme| {
            let (start, rest) = referer.split_at_checked(scheme.len())?;
            start.eq_ignore_ascii_case(scheme).then_some(rest)
        });
        match behind.filter(|_| referer.len() >= SHORTEST) {
            Some(rest) => self.accepts_url(rest),
            None => self.blocked,
        }
    }

    /// Whether a URL without its scheme is welcome.
    fn accepts_url(&self, url: &[u8]) -> bool {
        let end = memchr::memchr2(b'/', b':', url).unwrap_or(url.len());
        let host = &url[..end];
        if host.len() > 256 {
            return false;
        }
        // Without patterns, no search can take too long.
        let found = self.hosts.find(host, &mut Captures::new());
        if let Ok(Some(found)) = found {
            let slash = memchr::memchr(b'/', url).unwrap_or(url.len());
            let path = found.value.as_deref();
            return path.is_none_or(|path| url[slash..].starts_with(path));
        }
        let host = host.to_ascii_lowercase();
        self.host_patterns
            .iter()
            .any(|pattern| pattern.is_match(&host))
            || self.patterns.iter().any(|pattern| pattern.is_match(url))
    }
}

impl Evaluate for Valid {
    fn evaluate(&self, exchange: &Exchange, out: &mut Vec<u8>) -> Option<()> {
        if !self.accepts(exchange) {
            out.push(b'1');
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::fixture::found_in_server;
    use crate::modules::tests::trial::{Site, text};

    #[test]
    fn referrers() {
        let site = Site::new(
            "referer_hash_max_size 10; referer_hash_bucket_size 64;
             valid_referers blocked server_names *.example.com www.example.org/galleries/ ~\\.google\\.;
             location / { return 200 \"$invalid_referer\"; }
             location /none { valid_referers none a.com; return 200 \"$invalid_referer\"; }
             location /set { set $invalid_referer x; return 200 $invalid_referer; }",
        );
        for (target, referer, expected) in [
            ("/", None, "1"),
            ("/none", None, ""),
            ("/none", Some("http://site/"), "1"),
            ("/set", None, "x"),
            ("/", Some("http://site/x"), ""),
            ("/", Some("HTTPS://SITE:80/x"), ""),
            ("/", Some("http://a.example.com"), ""),
            ("/", Some("http://example.com"), "1"),
            ("/", Some("http://www.example.org/galleries/x"), ""),
            ("/", Some("http://www.example.org/"), "1"),
            ("/", Some("http://www.Google.com/"), ""),
            ("/", Some("hidden"), ""),
            ("/none", Some("hidden"), "1"),
        ] {
            let field = referer.map(|referer| format!("Referer: {referer}"));
            let headers: Vec<_> = field.as_deref().into_iter().collect();
            let response = site.get(target, &headers);
            assert_eq!(text(&response), expected, "{target} {referer:?}");
        }
        let site = Site::new("return 200 \"$invalid_referer\";");
        assert_eq!(text(&site.get("/", &[])), "");
    }

    #[test]
    fn patterns_are_inherited_by_lists_without() {
        let site = Site::new(
            "valid_referers ~google none a.com;
             location /names { valid_referers b.com; return 200 \"$invalid_referer\"; }
             location /patterns { valid_referers ~evil; return 200 \"$invalid_referer\"; }",
        );
        for (target, referer, expected) in [
            ("/names", "http://google.com/", ""),
            ("/names", "http://a.com/", "1"),
            ("/names", "http://b.com/", ""),
            ("/patterns", "http://google.com/", "1"),
        ] {
            let response = site.get(target, &[&format!("Referer: {referer}")]);
            assert_eq!(text(&response), expected, "{target} {referer}");
        }
    }

    #[test]
    fn mistakes() {
        for (directive, message) in [
            ("valid_referers '';", "invalid referer \"\""),
            ("valid_referers ~;", "empty regex in \"~\""),
            (
                "valid_referers a.*.b;",
                "invalid hostname or wildcard \"a.*.b\"",
            ),
            ("valid_referers a a;", "conflicting parameter \"a\""),
        ] {
            assert_eq!(found_in_server(directive), [message], "{directive}");
        }
        assert_eq!(found_in_server("valid_referers none;").len(), 1);
    }
}
