//! headers-more: any header field of responses and requests, set or cleared (`more_set_headers` …).
//!
//! It means what the widely used nginx module of that name means. Fields that frame a message
//! (`Content-Length`, `Transfer-Encoding`, `Connection`) are the protocol's and stay as they are.

use std::rc::Rc;

use crate::config::context::HTTP_SERVER_LOCATION_IF;
use crate::config::{Directive, Mistake, Module, Outcome, Use, directive};
use crate::exchange::{
    Exchange, Filter, Handler, Location, Phase, Request, Response, Step, Template,
};
use crate::http::{KnownHeader, MediaTypes, Text};

/// Sets and clears header fields.
pub struct HeadersMore;

/// What a block and those around it ask for; the outer ones come first.
#[derive(Clone, Default)]
pub struct Settings {
    output: Vec<Rc<Command>>,
    input: Vec<Rc<Command>>,
}

/// One directive.
struct Command {
    changes: Vec<Change>,
    /// `-t`: only for these media types.
    types: Option<MediaTypes>,
    /// `-s`: only for these statuses.
    statuses: Vec<u16>,
    /// `-a`: beside fields of the name that are there already.
    append: bool,
    /// `-r`: only in the place of a field that is there already.
    replace: bool,
}

/// What happens to one field.
struct Change {
    /// Its name, or with `prefix` how its name begins.
    name: Text,
    prefix: bool,
    /// Its new value; none clears it.
    value: Option<Template>,
}

/// What a directive allows, and what it does to fields.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Set,
    Clear,
    SetInput,
    ClearInput,
}

impl Module for HeadersMore {
    type Settings = Settings;
    const NAME: &'static str = "headers_more";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        directive("more_set_headers")
            .syntax("[-a] [-t types] [-s statuses] 'name: value' ...")
            .contexts(HTTP_SERVER_LOCATION_IF)
            .at_least(1)
            .doc("Sets header fields of responses: in place of those there, or with -a beside them; only for the media types and statuses named. Fields that frame a message are left alone: Connection, Content-Length, Transfer-Encoding.")
            .repeat(|s, d| parse(d, Kind::Set).map(|command| s.output.push(command))),
        directive("more_clear_headers")
            .syntax("[-t types] [-s statuses] name ...")
            .contexts(HTTP_SERVER_LOCATION_IF)
            .at_least(1)
            .doc("Removes header fields of responses; a * at the end of a name stands for any rest.")
            .repeat(|s, d| parse(d, Kind::Clear).map(|command| s.output.push(command))),
        directive("more_set_input_headers")
            .syntax("[-r] [-t types] 'name: value' ...")
            .contexts(HTTP_SERVER_LOCATION_IF)
            .at_least(1)
            .doc("Sets header fields of requests, with -r only those that are there; only for the media types named.")
            .repeat(|s, d| parse(d, Kind::SetInput).map(|command| s.input.push(command))),
        directive("more_clear_input_headers")
            .syntax("[-t types] name ...")
            .contexts(HTTP_SERVER_LOCATION_IF)
            .at_least(1)
            .doc("Removes header fields of requests; a * at the end of a name stands for any rest.")
            .repeat(|s, d| parse(d, Kind::ClearInput).map(|command| s.input.push(command))),
    ];

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if !settings.output.is_empty() {
            location.filters.push(Rc::clone(settings) as Rc<dyn Filter>);
        }
        if !settings.input.is_empty() {
            location.add_handler(Phase::Preaccess, Rc::clone(settings) as Rc<dyn Handler>);
        }
    }
}

/// Reads a directive's options and fields.
fn parse(d: &Use<'_>, kind: Kind) -> Result<Rc<Command>, Mistake> {
    let mut command = Command {
        changes: Vec::new(),
        types: None,
        statuses: Vec::new(),
        append: false,
        replace: false,
    };
    let mut types = Vec::new();
    let mut i = 0;
    while i < d.count() {
        match d.arg(i) {
            b"-t" if i + 1 < d.count() => {
                i += 1;
                types.extend(words(d.arg(i)));
            }
            b"-s" if matches!(kind, Kind::Set | Kind::Clear) && i + 1 < d.count() => {
                i += 1;
                add_statuses(d, i, &mut command.statuses)?;
            }
            b"-a" if kind == Kind::Set => command.append = true,
            b"-r" if matches!(kind, Kind::SetInput | Kind::ClearInput) => command.replace = true,
            option @ (b"-t" | b"-s") if i + 1 == d.count() => {
                let option = String::from_utf8_lossy(option);
                return Err(told(d, i, &format!("option {option} takes an argument.")));
            }
            [] => {}
            [b'-', ..] => {
                let message = format!("invalid option name: \"{}\"", d.lossy(i));
                return Err(told(d, i, &message));
            }
            _ => command.changes.push(change(d, i, kind)?),
        }
        i += 1;
    }
    command.changes.retain(|change| !frames(&change.name));
    command.types = (!types.is_empty()).then(|| MediaTypes::new(types));
    Ok(Rc::new(command))
}

/// Whether the field says where a message ends, which only the protocol knows.
fn frames(name: &[u8]) -> bool {
    ["Connection", "Content-Length", "Transfer-Encoding"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// A mistake in the module's own form: the directive's name, then what is wrong.
fn told(d: &Use<'_>, i: usize, what: &str) -> Mistake {
    d.mistake(i, format!("{}: {what}", String::from_utf8_lossy(d.name())))
}

/// The words of a list, parted by spaces or semicolons.
fn words(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let words = list.split(|byte| byte.is_ascii_whitespace() || *byte == b';');
    words.filter(|word| !word.is_empty())
}

fn add_statuses(d: &Use<'_>, i: usize, statuses: &mut Vec<u16>) -> Outcome {
    for word in d
        .arg(i)
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
    {
        let number = std::str::from_utf8(word)
            .ok()
            .and_then(|word| word.parse().ok());
        let message = format!(
            "invalid digit found in the status code list \"{}\"",
            d.lossy(i)
        );
        statuses.push(number.ok_or_else(|| told(d, i, &message))?);
    }
    Ok(())
}

/// Reads `name: value`; without a value, or for a directive that clears, the field is cleared.
fn change(d: &Use<'_>, i: usize, kind: Kind) -> Result<Change, Mistake> {
    let text = d.arg(i).trim_ascii_start();
    let ends = |byte: &u8| *byte == b':' || byte.is_ascii_whitespace();
    let end = text.iter().position(ends).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let start = rest
        .iter()
        .position(|byte| !ends(byte))
        .unwrap_or(rest.len());
    let value = &rest[start..];
    let prefix = name.ends_with(b"*");
    if name.is_empty() {
        let message = format!("no key found in the header argument: {}", d.lossy(i));
        return Err(told(d, i, &message));
    }
    if prefix && name.len() < 2 {
        return Err(told(
            d,
            i,
            &format!("wildcard key too short: {}", d.lossy(i)),
        ));
    }
    let clears = value.is_empty() || matches!(kind, Kind::Clear | Kind::ClearInput);
    let name = &name[..name.len() - usize::from(prefix)];
    Ok(Change {
        name: Text::Shared(name.into()),
        prefix,
        value: if clears {
            None
        } else {
            Some(d.template_of(i, value)?)
        },
    })
}

impl Filter for Settings {
    fn filter(&self, exchange: &Exchange, response: &mut Response) {
        for command in &self.output {
            if command.is_for(response.entity.content_type.as_deref())
                && (command.statuses.is_empty()
                    || command.statuses.contains(&response.status.as_u16()))
            {
                for change in &command.changes {
                    change.apply(exchange, response, command.append);
                }
            }
        }
    }
}

impl Handler for Settings {
    fn handle<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        for command in &self.input {
            if command.is_for(exchange.request.known(KnownHeader::ContentType)) {
                for change in &command.changes {
                    change.apply_to_request(exchange, command.replace);
                }
            }
        }
        Step::Declined
    }
}

impl Command {
    /// Whether it is for that media type, whatever its parameters.
    fn is_for(&self, content_type: Option<&[u8]>) -> bool {
        let Some(types) = &self.types else {
            return true;
        };
        let media_type = content_type.and_then(|text| text.split(|byte| *byte == b';').next());
        types.contains(media_type.map(<[u8]>::trim_ascii_end))
    }
}

impl Change {
    /// The new value; `None` clears the field.
    fn value(&self, exchange: &Exchange) -> Option<Vec<u8>> {
        let value = self.value.as_ref()?.expand(exchange).into_owned();
        (!value.is_empty()).then_some(value)
    }

    fn apply(&self, exchange: &Exchange, response: &mut Response, append: bool) {
        let value = exchange.speaking_of(response, || self.value(exchange));
        match value {
            Some(value) if append => response.headers.append(self.name.clone(), value),
            _ if self.prefix => self.apply_to_all(response, value),
            value => response.set_field(&self.name, value.map(Text::Owned)),
        }
    }

    /// Changes every field whose name begins so.
    fn apply_to_all(&self, response: &mut Response, value: Option<Vec<u8>>) {
        response
            .headers
            .retain(|field| value.is_some() || !self.begins(&field.name));
        let value = value.map(|value| Text::Shared(value.into()));
        for field in response.headers.iter_mut() {
            if let Some(value) = value.as_ref().filter(|_| self.begins(&field.name)) {
                field.value = value.clone();
            }
        }
    }

    fn begins(&self, name: &[u8]) -> bool {
        let begin = name.get(..self.name.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(&self.name))
    }

    fn apply_to_request(&self, exchange: &mut Exchange, replace: bool) {
        let value = self.value(exchange);
        let request = &mut exchange.request;
        match value {
            None if self.prefix => request.retain_fields(|name| !self.begins(name)),
            None => request.retain_fields(|name| !name.eq_ignore_ascii_case(&self.name)),
            Some(value) if !replace || has(request, &self.name) => {
                request.set_field(&self.name, &value);
                if self.name.eq_ignore_ascii_case(b"Host") {
                    request.host = value;
                }
            }
            Some(_) => {}
        }
    }
}

fn has(request: &Request, name: &[u8]) -> bool {
    request
        .headers()
        .any(|(known, _)| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use crate::modules::fixture::found_in_server;
    use crate::modules::tests::trial::{Site, field};

    #[test]
    fn fields_of_responses() {
        let site = Site::new(
            "add_header X-Old 1; more_set_headers 'X-Outer: $uri';
             location /set { more_set_headers 'X-A: 1' 'X-B:$status' 'X-A: 2'; return 200; }
             location /clear { more_set_headers 'X-Ab: 1' 'X-Ac: 1' 'Y: 1'; more_clear_headers 'X-A*' X-Outer; return 200; }
             location /empty { more_set_headers 'X-Outer:'; return 200; }
             location /type { default_type text/plain; more_set_headers -t 'text/html text/plain' 'T: 1'; more_set_headers -t text/css 'U: 1'; return 200 x; }
             location /status { more_set_headers -s '404 500' -s 403 'S: 1'; more_clear_headers -s 200 X-Outer; return 403; }
             location /append { more_set_headers -a 'X-Outer: more'; return 200; }
             location /server { more_clear_headers Server; return 200; }
             location /any { more_set_headers 'X-*: z'; return 200; }",
        );
        let cases = [
            ("/set", "X-A", Some("2")),
            ("/set", "X-B", Some("200")),
            ("/set", "X-Outer", Some("/set")),
            ("/set", "X-Old", Some("1")),
            ("/clear", "X-Ab", None),
            ("/clear", "X-Ac", None),
            ("/clear", "Y", Some("1")),
            ("/clear", "X-Outer", None),
            ("/empty", "X-Outer", None),
            ("/type", "T", Some("1")),
            ("/type", "U", None),
            ("/status", "S", Some("1")),
            ("/status", "X-Outer", Some("/status")),
            ("/server", "Server", Some("")),
            ("/any", "X-Outer", Some("z")),
        ];
        for (target, name, expected) in cases {
            assert_eq!(
                field(&site.get(target, &[]), name),
                expected,
                "{target} {name}"
            );
        }
        let response = site.get("/append", &[]);
        let all: Vec<_> = response.headers.get_all(b"X-Outer").collect();
        assert_eq!(all, [&b"/append"[..], b"more"]);
    }

    #[test]
    fn fields_a_response_keeps_elsewhere() {
        let site = Site::new(
            "location /type { more_set_headers 'Content-Type: a/b; charset=\"c\"'; }
             location /none { more_clear_headers Content-Type ETag Last-Modified Accept-Ranges; }
             location /own { more_set_headers 'ETag: \"e\"' 'Last-Modified: Mon, 28 Sep 1970 06:00:00 GMT'; }
             location /to { more_set_headers 'Location: /y'; return 302 /x; }",
        );
        for name in ["type", "none", "own"] {
            site.write(name, "");
        }
        let typed = site.get("/type", &[]);
        assert_eq!(typed.entity.content_type.clone().unwrap(), "a/b");
        assert_eq!(typed.entity.charset.clone().unwrap(), "c");
        let none = site.get("/none", &[]);
        assert!(
            none.entity.content_type.is_none()
                && none.entity.etag.is_none()
                && none.entity.last_modified.is_none()
        );
        assert_eq!(field(&none, "Accept-Ranges"), None);
        let own = site.get("/own", &[]);
        assert_eq!(
            (own.entity.etag.clone().unwrap(), own.entity.last_modified),
            ("\"e\"".into(), Some(23_349_600))
        );
        assert_eq!(site.get("/to", &[]).location.unwrap(), "/y");
    }

    #[test]
    fn fields_of_requests() {
        let site = Site::new(
            "location /set { more_set_input_headers 'X-A: $http_x_b' 'Host: other'; add_header R '$http_x_a $host $http_host $request_length'; }
             location /replace { more_set_input_headers -r 'X-A: new' 'X-C: new'; add_header R '$http_x_a,$http_x_c'; }
             location /clear { more_clear_input_headers X-A 'Co*'; add_header R '$http_x_a,$http_x_b,$http_cookie'; }
             location /type { more_set_input_headers -t text/css 'X-A: css'; add_header R $http_x_a; }
             location /if { add_header R $http_x_a; if ($http_cookie) { more_set_input_headers 'X-A: if'; } }",
        );
        for name in ["set", "replace", "clear", "type", "if"] {
            site.write(name, "");
        }
        let headers: &[&str] = &["X-A: a", "X-B: b", "X-A: c", "Cookie: k"];
        let length = "GET /set HTTP/1.1\r\nHost: site\r\n\r\n".len()
            + headers.iter().map(|line| line.len() + 2).sum::<usize>();
        let cases = [
            ("/set", format!("b other other {length}")),
            ("/replace", "new,".into()),
            ("/clear", ",b,".into()),
            ("/type", "a, c".into()),
            ("/if", "if".into()),
        ];
        for (target, expected) in cases {
            let response = site.get(target, headers);
            assert_eq!(field(&response, "R"), Some(&*expected), "{target}");
        }
        let css = site.get("/type", &["Content-Type: text/css; charset=x"]);
        assert_eq!(field(&css, "R"), Some("css"));
    }

    #[test]
    fn mistakes() {
        let cases = [
            (
                "more_set_headers -x 'A: b';",
                "more_set_headers: invalid option name: \"-x\"",
            ),
            (
                "more_set_headers 'A: b' -t;",
                "more_set_headers: option -t takes an argument.",
            ),
            (
                "more_clear_headers -s;",
                "more_clear_headers: option -s takes an argument.",
            ),
            (
                "more_clear_headers -a X;",
                "more_clear_headers: invalid option name: \"-a\"",
            ),
            (
                "more_clear_headers *;",
                "more_clear_headers: wildcard key too short: *",
            ),
            (
                "more_set_headers ':';",
                "more_set_headers: no key found in the header argument: :",
            ),
            (
                "more_set_headers -s 4x 'A: b';",
                "more_set_headers: invalid digit found in the status code list \"4x\"",
            ),
            (
                "more_clear_input_headers -s 404 X;",
                "more_clear_input_headers: invalid option name: \"-s\"",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(found_in_server(text), [expected], "{text}");
        }
    }
}
