//! `modern_browser` and `ancient_browser`: what the client's User-Agent says of its age.

use std::rc::Rc;

use crate::config::context::HTTP_SERVER_LOCATION;
use crate::config::{Directive, Mistake, Module, Use, directive};
use crate::exchange::{Evaluate, Exchange, Location, Variable};
use crate::http::KnownHeader;

/// Tells modern browsers from ancient ones.
pub struct Browser;

/// What a block takes for modern and for ancient.
#[derive(Clone)]
pub struct Settings {
    /// Least versions, by the place in [`KNOWN`].
    modern: Vec<(usize, u64)>,
    /// Whether browsers that are not listed are modern.
    unlisted: bool,
    ancient: Vec<Rc<[u8]>>,
    netscape4: bool,
    modern_value: Rc<[u8]>,
    ancient_value: Rc<[u8]>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            modern: Vec::new(),
            unlisted: false,
            ancient: Vec::new(),
            netscape4: false,
            modern_value: b"1"[..].into(),
            ancient_value: b"1"[..].into(),
        }
    }
}

/// A browser whose version can be told.
struct Known {
    name: &'static str,
    /// How much of the User-Agent comes before it at least.
    skip: usize,
    /// What precedes the version.
    mark: &'static [u8],
}

/// In the order they are looked for: Opera may call itself MSIE as well.
const KNOWN: [Known; 5] = [
    Known {
        name: "opera",
        skip: 0,
        mark: b"Opera",
    },
    Known {
        name: "msie",
        skip: "Mozilla/4.0 (compatible; ".len(),
        mark: b"MSIE ",
    },
    Known {
        name: "gecko",
        skip: "Mozilla/5.0 (".len(),
        mark: b"rv:",
    },
    Known {
        name: "safari",
        skip: "Mozilla/5.0 (".len(),
        mark: b"Safari/",
    },
    Known {
        name: "konqueror",
        skip: "Mozilla/5.0 (compatible; ".len(),
        mark: b"Konqueror/",
    },
];

/// A version no browser has.
const UNREACHABLE: u64 = 4_001_000_000;

impl Module for Browser {
    type Settings = Settings;
    const NAME: &'static str = "browser";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        directive("modern_browser")
            .syntax("browser version or unlisted")
            .contexts(HTTP_SERVER_LOCATION)
            .between(1, 2)
            .doc("Takes a browser of this version or a later one for modern, or those that are not listed.")
            .append(
                |settings| (settings.modern, settings.unlisted) = (Vec::new(), false),
                |settings, d| {
                    match d.count() {
                        1 if d.arg(0) == b"unlisted" => settings.unlisted = true,
                        1 => return Err(d.invalid_parameter(0)),
                        _ => settings.modern.push((browser(d)?, least(d)?)),
                    }
                    settings.modern.sort();
                    Ok(())
                },
            ),
        directive("ancient_browser")
            .syntax("string ...")
            .contexts(HTTP_SERVER_LOCATION)
            .at_least(1)
            .doc("Takes browsers with one of the strings in their User-Agent for ancient, or netscape4.")
            .append(
                |settings| (settings.ancient, settings.netscape4) = (Vec::new(), false),
                |settings, d| {
                    for i in 0..d.count() {
                        match d.arg(i) {
                            b"netscape4" => settings.netscape4 = true,
                            text => settings.ancient.push(text.into()),
                        }
                    }
                    Ok(())
                },
            ),
        directive("modern_browser_value")
            .syntax("string")
            .default("1")
            .contexts(HTTP_SERVER_LOCATION)
            .doc("Says what $modern_browser is for a modern browser.")
            .repeat(|settings, d| {
                settings.modern_value = d.arg(0).into();
                Ok(())
            }),
        directive("ancient_browser_value")
            .syntax("string")
            .default("1")
            .contexts(HTTP_SERVER_LOCATION)
            .doc("Says what $ancient_browser is for an ancient browser.")
            .repeat(|settings, d| {
                settings.ancient_value = d.arg(0).into();
                Ok(())
            }),
    ];
    const VARIABLES: &'static [Variable] = &[
        Variable::local(
            "modern_browser",
            "Set if the browser is a modern one, else empty.",
        ),
        Variable::local(
            "ancient_browser",
            "Set if the browser is an ancient one, else empty.",
        ),
        Variable::local(
            "msie",
            "`1` if the browser is an MSIE of any version, else empty.",
        ),
    ];

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        for (name, wanted) in [
            ("modern_browser", Wanted::Modern),
            ("ancient_browser", Wanted::Ancient),
            ("msie", Wanted::Msie),
        ] {
            let settings = Rc::clone(settings);
            let value = Rc::new(Value { settings, wanted });
            location.values.push((name, value));
        }
    }
}

/// The place of the browser that argument 0 names.
fn browser(d: &Use<'_>) -> Result<usize, Mistake> {
    let name = d.arg(0).to_ascii_lowercase();
    let found = KNOWN.iter().position(|known| known.name.as_bytes() == name);
    found.ok_or_else(|| d.mistake(0, format!("unknown browser name \"{}\"", d.lossy(0))))
}

/// The version that argument 1 names.
fn least(d: &Use<'_>) -> Result<u64, Mistake> {
    let is_version = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    match d.arg(1).iter().all(is_version) {
        true => Ok(version(d.arg(1))),
        false => Err(d.mistake(1, format!("invalid browser version \"{}\"", d.lossy(1)))),
    }
}

/// A version as a number: four parts at most, the first of which may be large.
fn version(text: &[u8]) -> u64 {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit() && *byte != b'.');
    let parts = text[..end.unwrap_or(text.len())].split(|byte| *byte == b'.');
    let scales = [1_000_000, 10_000, 100, 1];
    let number = |part: &[u8]| {
        part.iter().fold(0_u64, |number, digit| {
            number
                .saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'))
        })
    };
    parts.zip(scales).fold(0, |sum: u64, (part, scale)| {
        sum.saturating_add(number(part).saturating_mul(scale))
    })
}

impl Settings {
    fn is_modern(&self, agent: Option<&[u8]>) -> bool {
        let Some(agent) = agent else {
            return self.unlisted;
        };
        let has_opera = self.modern.iter().any(|(place, _)| *place == 0);
        let hidden = (!has_opera && !self.modern.is_empty()).then_some((0, UNREACHABLE));
        for (place, least) in hidden.iter().chain(&self.modern) {
            if let Some(version) = found(&KNOWN[*place], agent) {
                return version >= *least;
            }
        }
        let is_ancient = self.netscape4 && is_netscape4(agent)
            || self
                .ancient
                .iter()
                .any(|text| memchr::memmem::find(agent, text).is_some());
        self.unlisted && !is_ancient
    }
}

/// The version of a browser, if the User-Agent is its.
fn found(known: &Known, agent: &[u8]) -> Option<u64> {
    let rest = agent.get(known.skip..)?;
    let at = memchr::memmem::find(rest, known.mark)? + known.mark.len();
    // Behind "Opera" there is a space or a slash.
    let at = at + usize::from(known.name == "opera");
    rest.get(at..).filter(|rest| !rest.is_empty()).map(version)
}

fn is_netscape4(agent: &[u8]) -> bool {
    agent.len() > "Mozilla/4.72 ".len()
        && agent.starts_with(b"Mozilla/")
        && matches!(agent[8], b'1'..=b'4')
}

#[derive(Clone, Copy)]
enum Wanted {
    Modern,
    Ancient,
    Msie,
}

struct Value {
    settings: Rc<Settings>,
    wanted: Wanted,
}

impl Evaluate for Value {
    fn evaluate(&self, exchange: &Exchange, out: &mut Vec<u8>) -> Option<()> {
        let agent = exchange.request.known(KnownHeader::UserAgent);
        let is_modern = || self.settings.is_modern(agent);
        match self.wanted {
            Wanted::Modern if is_modern() => out.extend_from_slice(&self.settings.modern_value),
            Wanted::Ancient if !is_modern() => out.extend_from_slice(&self.settings.ancient_value),
            Wanted::Msie if is_msie(agent?) => out.push(b'1'),
            _ => {}
        }
        Some(())
    }
}

fn is_msie(agent: &[u8]) -> bool {
    let has = |text: &[u8]| memchr::memmem::find(agent, text).is_some();
    let msie = memchr::memmem::find(agent, b"MSIE ");
    msie.is_some_and(|at| at + 7 < agent.len()) && !has(b"Opera")
}

#[cfg(test)]
mod tests {
    use crate::modules::fixture::found_in_server;
    use crate::modules::tests::trial::{Site, text};

    #[test]
    fn ages() {
        let site = Site::new(
            "modern_browser gecko 1.8.0.5; modern_browser MSIE 5.5; ancient_browser netscape4 Links;
             modern_browser_value new; ancient_browser_value old;
             location / { return 200 \"$modern_browser|$ancient_browser|$msie\"; }
             location /unlisted { modern_browser unlisted; return 200 \"$modern_browser|$ancient_browser\"; }",
        );
        for (target, agent, expected) in [
            ("/", None, "|old|"),
            ("/unlisted", None, "new|"),
            ("/", Some("Mozilla/5.0 (X11; rv:1.8.0.4) Gecko"), "|old|"),
            ("/", Some("Mozilla/5.0 (X11; rv:1.8.0.5) Gecko"), "new||"),
            ("/", Some("Mozilla/5.0 (X11; rv:100.0) Gecko"), "new||"),
            (
                "/",
                Some("Mozilla/4.0 (compatible; MSIE 6.0; Windows)"),
                "new||1",
            ),
            (
                "/",
                Some("Mozilla/4.0 (compatible; MSIE 5.0; Windows)"),
                "|old|1",
            ),
            (
                "/",
                Some("Mozilla/4.0 (compatible; MSIE 6.0; X) Opera 7.50"),
                "|old|",
            ),
            ("/", Some("other"), "|old|"),
            ("/unlisted", Some("other"), "new|"),
            ("/unlisted", Some("Links (2.2; x)"), "|old"),
            ("/unlisted", Some("Mozilla/4.72 [en] (X11)"), "|old"),
        ] {
            let field = agent.map(|agent| format!("User-Agent: {agent}"));
            let headers: Vec<_> = field.as_deref().into_iter().collect();
            let response = site.get(target, &headers);
            assert_eq!(text(&response), expected, "{target} {agent:?}");
        }
    }

    #[test]
    fn mistakes() {
        for (directive, message) in [
            ("modern_browser x 1;", "unknown browser name \"x\""),
            ("modern_browser msie x;", "invalid browser version \"x\""),
        ] {
            assert_eq!(found_in_server(directive), [message], "{directive}");
        }
    }
}
