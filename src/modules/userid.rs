//! `userid`: cookies by which clients can be counted (`$uid_got`, `$uid_set`).

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;

use crate::config::context::HTTP_SERVER_LOCATION;
use crate::config::{Directive, Finish, Module, Outcome, directive};
use crate::event;
use crate::exchange::{Evaluate, Exchange, Filter, Location, Response, Variable, VariableRef};
use crate::http::{KnownHeader, base64, cookie, date};
use crate::log::level::Level;
use crate::sys::{process, random};

/// Numbers clients.
pub struct UserId;

/// What is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Off,
    /// Only what clients send is looked at.
    Log,
    /// Numbers of the first form are given.
    V1,
    /// Numbers of the second form are given.
    On,
}

/// How long a cookie is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Lifetime {
    #[default]
    Session,
    Max,
    Seconds(i64),
}

/// What a block says of the cookie.
#[derive(Clone)]
pub struct Settings {
    mode: Mode,
    name: Rc<str>,
    domain: Rc<[u8]>,
    path: Rc<[u8]>,
    flags: u32,
    expires: Lifetime,
    mark: Option<u8>,
    p3p: Rc<[u8]>,
    service: Option<u32>,
    variables: Option<Variables>,
}

/// The variables it reads.
#[derive(Clone)]
struct Variables {
    got: Rc<VariableRef>,
    set: Rc<VariableRef>,
    reset: Rc<VariableRef>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            mode: Mode::Off,
            name: "uid".into(),
            domain: Rc::default(),
            path: b"/"[..].into(),
            flags: 0,
            expires: Lifetime::Session,
            mark: None,
            p3p: Rc::default(),
            service: None,
            variables: None,
        }
    }
}

/// Attributes that have no value to choose, and the bits they stand for.
const FLAGS: [(&str, u32); 6] = [
    ("off", 0),
    ("secure", 1),
    ("httponly", 2),
    ("samesite=strict", 4),
    ("samesite=lax", 8),
    ("samesite=none", 16),
];

const fn row(name: &'static str) -> Directive<Settings> {
    directive(name).contexts(HTTP_SERVER_LOCATION)
}

impl Module for UserId {
    type Settings = Settings;
    const NAME: &'static str = "userid";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        row("userid")
            .syntax("on | v1 | log | off")
            .default("off")
            .doc("Gives clients cookies with a number of their own, or only notes those they have.")
            .set(|settings, d| {
                settings.mode = d.one_of(
                    0,
                    &[
                        ("off", Mode::Off),
                        ("log", Mode::Log),
                        ("v1", Mode::V1),
                        ("on", Mode::On),
                    ],
                )?;
                Ok(())
            }),
        row("userid_name")
            .syntax("name")
            .default("uid")
            .doc("Names the cookie.")
            .set(|settings, d| {
                settings.name = d.text(0)?.into();
                Ok(())
            }),
        row("userid_domain")
            .syntax("name | none")
            .default("none")
            .doc("Says for which domain the cookie is set.")
            .set(|settings, d| {
                settings.domain = unless(d.arg(0), b"none");
                Ok(())
            }),
        row("userid_path")
            .syntax("path")
            .default("/")
            .doc("Says for which path the cookie is set.")
            .set(|settings, d| {
                settings.path = d.arg(0).into();
                Ok(())
            }),
        row("userid_expires")
            .syntax("time | max | off")
            .default("off")
            .doc("Says how long browsers keep the cookie.")
            .set(|settings, d| {
                settings.expires = match d.arg(0) {
                    b"max" => Lifetime::Max,
                    b"off" => Lifetime::Session,
                    _ => match i64::try_from(d.time_secs(0)?).unwrap_or(i64::MAX) {
                        0 => Lifetime::Session,
                        seconds => Lifetime::Seconds(seconds),
                    },
                };
                Ok(())
            }),
        row("userid_flags")
            .syntax("off | flag ...")
            .default("off")
            .at_least(1)
            .doc("Adds attributes to the cookie: secure, httponly, samesite=strict, samesite=lax, samesite=none.")
            .set(|settings, d| {
                settings.flags = d.bits_from(0, &FLAGS)?;
                Ok(())
            }),
        row("userid_mark")
            .syntax("letter | digit | = | off")
            .default("off")
            .doc("Marks the cookie; one with another mark is set anew, and keeps its number.")
            .set(|settings, d| {
                settings.mark = match d.arg(0) {
                    b"off" => None,
                    [mark] if mark.is_ascii_alphanumeric() || *mark == b'=' => Some(*mark),
                    _ => {
                        let what = "value must be \"off\" or a single letter, digit or \"=\"";
                        return Err(d.complaint(0, what));
                    }
                };
                Ok(())
            }),
        row("userid_p3p")
            .syntax("string | none")
            .default("none")
            .doc("Sends a P3P field along with the cookie.")
            .set(|settings, d| {
                settings.p3p = unless(d.arg(0), b"none");
                Ok(())
            }),
        row("userid_service")
            .syntax("number")
            .default("the server's address")
            .doc("Tells several servers' numbers apart.")
            .set(|settings, d| {
                settings.service = Some(d.number(0)? as u32);
                Ok(())
            }),
    ];
    const VARIABLES: &'static [Variable] = &[
        Variable::local(
            "uid_got",
            "The cookie's name and the number the client sent.",
        ),
        Variable::local(
            "uid_set",
            "The cookie's name and the number the client is sent.",
        ),
        Variable::local(
            "uid_reset",
            "If it is set to neither nothing nor 0, the client gets another number; `log` notes that.",
        ),
    ];

    fn finish(settings: &mut Rc<Settings>, block: &mut Finish<'_>) -> Outcome {
        if settings.mode != Mode::Off && settings.variables.is_none() {
            Rc::make_mut(settings).variables = Some(Variables {
                got: block.variable("uid_got"),
                set: block.variable("uid_set"),
                reset: block.variable("uid_reset"),
            });
        }
        Ok(())
    }

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if settings.mode == Mode::Off {
            return;
        }
        let got = Rc::new(Got(Rc::clone(settings)));
        location.values.push(("uid_got", got));
        if matches!(settings.mode, Mode::V1 | Mode::On) {
            let set = Rc::new(Set(Rc::clone(settings)));
            location.values.push(("uid_set", set));
            location.filters.push(Rc::clone(settings) as Rc<dyn Filter>);
        }
    }
}

fn unless(text: &[u8], nothing: &[u8]) -> Rc<[u8]> {
    match text == nothing {
        true => Rc::default(),
        false => text.into(),
    }
}

/// A number: four words in the order of this machine.
type Uid = [u32; 4];

fn words(bytes: &[u8]) -> Option<Uid> {
    let words = bytes.as_chunks::<4>().0;
    let uid: Uid = words.first_chunk::<4>()?.map(u32::from_ne_bytes);
    Some(uid)
}

/// As variables show it.
fn show(name: &str, uid: Uid, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
    for word in uid {
        out.extend_from_slice(format!("{word:08X}").as_bytes());
    }
}

/// What [`show`] made of a number.
fn read(text: &[u8]) -> Option<Uid> {
    let digits = text.last_chunk::<32>()?;
    let mut uid = [0; 4];
    for (word, digits) in uid.iter_mut().zip(digits.as_chunks::<8>().0) {
        *word = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(uid)
}

fn value_of(variable: &VariableRef, exchange: &Exchange) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    variable.append(exchange, &mut text)?;
    Some(text)
}

/// How much of a cookie is the number; the rest is a mark, or was spoilt on the way.
const ENCODED: usize = 22;

impl Settings {
    /// The cookie the client sent, behind the field it is in.
    fn cookie<'a>(&self, exchange: &'a Exchange) -> Option<(&'a [u8], &'a [u8])> {
        let mut fields = exchange.request.all(KnownHeader::Cookie);
        fields.find_map(|field| Some((field, cookie::find(field, self.name.as_bytes())?)))
    }

    fn got(&self, exchange: &Exchange) -> Option<Uid> {
        let (field, cookie) = self.cookie(exchange)?;
        let complain = |what: &str| {
            let field = String::from_utf8_lossy(field);
            let message = format_args!("client sent {what} userid cookie \"{field}\"");
            exchange.log(Level::Error, message);
        };
        let Some(encoded) = cookie.get(..ENCODED) else {
            complain("too short");
            return None;
        };
        let Some(bytes) = base64::decode(encoded) else {
            complain("invalid");
            return None;
        };
        words(&bytes).filter(|uid| uid[3] != 0)
    }

    /// What `$uid_reset` says.
    fn is_reset(&self, got: Uid, exchange: &Exchange) -> bool {
        let variable = self.variables.as_ref().map(|variables| &variables.reset);
        let reset = variable.and_then(|variable| value_of(variable, exchange));
        let reset = reset.unwrap_or_default();
        if reset == b"log" {
            let mut shown = Vec::new();
            show(&self.name, got, &mut shown);
            let shown = String::from_utf8_lossy(&shown);
            let message = format_args!("userid cookie \"{shown}\" was reset");
            exchange.log(Level::Notice, message);
        }
        !matches!(&*reset, b"" | b"0")
    }

    /// Whether the client's cookie has the mark it should have.
    fn is_marked(&self, exchange: &Exchange) -> bool {
        let Some(mark) = self.mark else { return true };
        let (_, cookie) = self.cookie(exchange).unwrap_or_default();
        cookie.get(ENCODED..ENCODED + 2) == Some(&[mark, b'='])
    }

    /// The number to send, if one has to be sent.
    fn set(&self, exchange: &Exchange) -> Option<Uid> {
        let got = &self.variables.as_ref()?.got;
        match value_of(got, exchange).and_then(|text| read(&text)) {
            Some(got) if !self.is_reset(got, exchange) => {
                (!self.is_marked(exchange)).then_some(got)
            }
            _ => Some(self.make(exchange)),
        }
    }

    fn make(&self, exchange: &Exchange) -> Uid {
        let time = event::unix_time().0 as u32;
        let (start, number) = Counters::next();
        if self.mode == Mode::V1 {
            return [self.service.unwrap_or(0), time, start, number.0];
        }
        let service = match (self.service, exchange.connection.local().ip()) {
            (Some(service), _) => service.to_be(),
            (None, Some(IpAddr::V4(ip))) => u32::from_ne_bytes(ip.octets()),
            (None, Some(IpAddr::V6(ip))) => words(&ip.octets()).map_or(0, |words| words[3]),
            (None, None) => 0,
        };
        [service, time.to_be(), start.to_be(), number.1.to_be()]
    }

    /// The value of `Set-Cookie`.
    fn field(&self, uid: Uid) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        out.extend_from_slice(self.name.as_bytes());
        out.push(b'=');
        let bytes: Vec<u8> = uid.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let start = out.len();
        out.extend_from_slice(base64::encode(&bytes).as_bytes());
        if let Some(mark) = self.mark {
            out[start + ENCODED] = mark;
        }
        match self.expires {
            Lifetime::Session => {}
            Lifetime::Max => out.extend_from_slice(b"; expires=Thu, 31-Dec-37 23:55:55 GMT"),
            Lifetime::Seconds(seconds) => {
                let time = event::unix_time().0.saturating_add(seconds);
                out.extend_from_slice(b"; expires=");
                out.extend_from_slice(&cookie_time(time));
            }
        }
        if !self.domain.is_empty() {
            out.extend_from_slice(b"; domain=");
            out.extend_from_slice(&self.domain);
        }
        out.extend_from_slice(b"; path=");
        out.extend_from_slice(&self.path);
        for (name, bit) in FLAGS {
            if self.flags & bit != 0 {
                out.extend_from_slice(b"; ");
                out.extend_from_slice(name.as_bytes());
            }
        }
        out
    }
}

/// A time as old browsers read it: hyphens, and two digits of the year up to 2037.
fn cookie_time(time: i64) -> Vec<u8> {
    let date = date::format(time);
    let (day, rest) = date.split_at(7);
    let (month, year, clock) = (&rest[1..4], &rest[5..9], &rest[9..]);
    let year = if year > &b"2037"[..] {
        year
    } else {
        &year[2..]
    };
    [day, b"-", month, b"-", year, clock].concat()
}

/// What makes the numbers of this worker differ from each other and from those of others.
struct Counters {
    start: u32,
    v1: Cell<u32>,
    v2: Cell<u32>,
}

/// The first number of the second form.
const FIRST_V2: u32 = 0x0303_0302;

thread_local!(static COUNTERS: Counters = Counters {
    start: u32::from(u16::from_ne_bytes(random::bytes())) << 16 | process::pid().unsigned_abs(),
    v1: Cell::new(1),
    v2: Cell::new(FIRST_V2),
});

impl Counters {
    /// What this process begins numbers with, and the next number of either form.
    fn next() -> (u32, (u32, u32)) {
        COUNTERS.with(|counters| {
            let (v1, v2) = (counters.v1.get(), counters.v2.get());
            counters.v1.set(v1.wrapping_add(0x100));
            counters.v2.set(v2.wrapping_add(0x100).max(FIRST_V2));
            (counters.start, (v1, v2))
        })
    }
}

struct Got(Rc<Settings>);

struct Set(Rc<Settings>);

impl Evaluate for Got {
    fn evaluate(&self, exchange: &Exchange, out: &mut Vec<u8>) -> Option<()> {
        show(&self.0.name, self.0.got(exchange)?, out);
        Some(())
    }
}

impl Evaluate for Set {
    fn evaluate(&self, exchange: &Exchange, out: &mut Vec<u8>) -> Option<()> {
        show(&self.0.name, self.0.set(exchange)?, out);
        Some(())
    }
}

impl Filter for Settings {
    fn filter(&self, exchange: &Exchange, response: &mut Response) {
        let set = self.variables.as_ref().map(|variables| &variables.set);
        let text = set.and_then(|set| value_of(set, exchange));
        if let Some(uid) = text.and_then(|text| read(&text)) {
            let field = self.field(uid);
            response.headers.append("Set-Cookie", field);
            if !self.p3p.is_empty() {
                response.headers.append("P3P", Rc::clone(&self.p3p));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::fixture::found_in_server;
    use crate::modules::tests::trial::{Site, field, text};

    const SENT: &str = "Cookie: id=fwAAAQAAAAAAAAAAAQMDAwA=";

    /// The value of the cookie that is set, without its attributes.
    fn set(response: &Response) -> Option<&str> {
        let cookie = field(response, "Set-Cookie")?;
        Some(cookie.split_once(';').unwrap().0)
    }

    #[test]
    fn clients_are_numbered_once() {
        let site = Site::new(
            "userid on; userid_name id; userid_service 7; userid_p3p \"policy\";
             location / { return 200 \"$uid_got|$uid_set\"; }
             location /v1 { userid v1; return 200 \"$uid_got|$uid_set\"; }
             location /log { userid log; return 200 \"$uid_got|$uid_set\"; }
             location /off { userid off; return 200 \"$uid_got|$uid_set\"; }
             location /reset { set $uid_reset log; return 200 \"$uid_set\"; }
             location /mark { userid_mark Z; return 200 \"$uid_set\"; }",
        );
        let first = site.get("/", &[]);
        assert_eq!(field(&first, "P3P"), Some("policy"));
        let shown = text(&first);
        assert!(shown.starts_with("|id=") && shown.len() == 36, "{shown}");
        let cookie = format!("Cookie: {}", set(&first).unwrap());
        let second = site.get("/", &[&cookie]);
        assert_eq!(set(&second), None);
        assert_eq!(text(&second), format!("{}|", &shown[1..]));
        assert!(text(&site.get("/v1", &[])).starts_with("|id=00000007"));
        for (target, got) in [("/log", true), ("/off", false)] {
            let response = site.get(target, &[SENT]);
            assert_eq!(text(&response).starts_with("id="), got, "{target}");
            assert!(text(&response).ends_with('|') && set(&response).is_none());
        }
        assert!(set(&site.get("/reset", &[&cookie])).is_some());
        assert!(site.log().contains("was reset"));
        let marked = site.get("/mark", &[&cookie]);
        let marked = set(&marked).unwrap();
        assert!(
            marked.ends_with("Z=") && cookie.contains(&marked[..25]),
            "{marked}"
        );
        assert_eq!(
            set(&site.get("/mark", &[&format!("Cookie: {marked}")])),
            None
        );
        site.get("/", &["Cookie: id=short"]);
        assert!(
            site.log()
                .contains("client sent too short userid cookie \"id=short\"")
        );
    }

    #[test]
    fn cookies_have_attributes() {
        let attributes = |directives: &str| {
            let site = Site::new(&format!("userid on; {directives} return 200 x;"));
            let response = site.get("/", &[]);
            let cookie = field(&response, "Set-Cookie").unwrap();
            cookie.split_once("; ").unwrap().1.to_owned()
        };
        for (directives, expected) in [
            ("", "path=/"),
            ("userid_domain a.b; userid_path /x;", "domain=a.b; path=/x"),
            (
                "userid_expires max;",
                "expires=Thu, 31-Dec-37 23:55:55 GMT; path=/",
            ),
            ("userid_domain none; userid_expires off;", "path=/"),
            (
                "userid_flags secure httponly samesite=lax;",
                "path=/; secure; httponly; samesite=lax",
            ),
        ] {
            assert_eq!(attributes(directives), expected, "{directives}");
        }
        assert!(attributes("userid_expires 1d;").starts_with("expires="));
    }

    #[test]
    fn times_of_cookies() {
        for (time, expected) in [
            (784_111_777, "Sun, 06-Nov-94 08:49:37 GMT"),
            (2_208_988_800, "Sun, 01-Jan-2040 00:00:00 GMT"),
        ] {
            let shown = cookie_time(time);
            assert_eq!(String::from_utf8_lossy(&shown), expected);
        }
    }

    #[test]
    fn mistakes() {
        let message =
            "\"userid_mark\" directive value must be \"off\" or a single letter, digit or \"=\"";
        assert_eq!(found_in_server("userid_mark ab;"), [message]);
    }
}
