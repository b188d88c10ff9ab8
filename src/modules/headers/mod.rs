//! Header fields and trailers that the configuration adds: `add_header`, `add_trailer`, `expires`.

mod expires;
mod inherit;

use std::rc::Rc;

use self::expires::Expires;
use self::inherit::{Additions, Mode};
use crate::config::context::HTTP_SERVER_LOCATION_IF;
use crate::config::{Contexts, Directive, Finish, Mistake, Module, Outcome, Use, directive};
use crate::exchange::{Exchange, Filter, Location, Response, Template};
use crate::http::{Status, Text};

/// Adds fields to responses.
pub struct HeadersModule;

/// What one block adds.
#[derive(Clone, Default)]
pub struct Settings {
    headers: Additions<Addition>,
    trailers: Additions<Addition>,
    expires: Option<Rc<Expires>>,
}

/// A field to add.
#[derive(Clone)]
struct Addition {
    name: Text,
    value: Template,
    /// Added whatever the status is.
    always: bool,
    target: Target,
}

/// What adding means for a field.
#[derive(Clone, Copy)]
enum Target {
    /// One more field.
    Append,
    /// The response's own modification time is replaced.
    LastModified,
    /// The response's own entity tag is replaced.
    Etag,
}

const MODES: &[(&str, Mode)] = &[("off", Mode::Off), ("on", Mode::On), ("merge", Mode::Merge)];

impl Module for HeadersModule {
    type Settings = Settings;
    const NAME: &'static str = "headers";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        directive("expires")
            .syntax("[modified] time or epoch | max | off")
            .default("off")
            .contexts(HTTP_SERVER_LOCATION_IF)
            .between(1, 2)
            .doc("Says in \"Expires\" and \"Cache-Control\" for how long a response may be kept.")
            .set(|settings, d| {
                settings.expires = Expires::parse(d)?.map(Rc::new);
                Ok(())
            }),
        directive("add_header")
            .syntax("name value [always]")
            .contexts(HTTP_SERVER_LOCATION_IF)
            .between(2, 3)
            .doc("Adds a header field to responses that are no errors, or to all; an empty value adds nothing.")
            .repeat(|settings, d| {
                let addition = addition(d)?;
                let target = target(&addition.name);
                settings.headers.own.push(Addition { target, ..addition });
                Ok(())
            }),
        directive("add_trailer")
            .syntax("name value [always]")
            .contexts(HTTP_SERVER_LOCATION_IF)
            .between(2, 3)
            .doc("Adds a field behind the body of responses that are no errors, or of all.")
            .repeat(|settings, d| {
                settings.trailers.own.push(addition(d)?);
                Ok(())
            }),
        directive("add_header_inherit")
            .syntax("on | off | merge")
            .default("on")
            .contexts(HTTP_SERVER_LOCATION_IF)
            .doc("Says whether the \"add_header\" of outer blocks count: unless there are own ones, never, or besides them.")
            .set(|settings, d| {
                settings.headers.mode = d.one_of(0, MODES)?;
                Ok(())
            }),
        directive("add_trailer_inherit")
            .syntax("on | off | merge")
            .default("on")
            .contexts(HTTP_SERVER_LOCATION_IF)
            .doc("Says whether the \"add_trailer\" of outer blocks count: unless there are own ones, never, or besides them.")
            .set(|settings, d| {
                settings.trailers.mode = d.one_of(0, MODES)?;
                Ok(())
            }),
    ];

    fn inherit(parent: &Rc<Settings>, _: Contexts) -> Rc<Settings> {
        if parent.headers.is_untouched() && parent.trailers.is_untouched() {
            return Rc::clone(parent);
        }
        Rc::new(Settings {
            headers: parent.headers.for_child(),
            trailers: parent.trailers.for_child(),
            expires: parent.expires.clone(),
        })
    }

    fn finish(settings: &mut Rc<Settings>, _: &mut Finish<'_>) -> Outcome {
        if !settings.headers.is_untouched() || !settings.trailers.is_untouched() {
            let settings = Rc::make_mut(settings);
            settings.headers.finish();
            settings.trailers.finish();
        }
        Ok(())
    }

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if settings.expires.is_some()
            || !settings.headers.all.is_empty()
            || !settings.trailers.all.is_empty()
        {
            location
                .filters
                .push(Rc::new(HeadersFilter(Rc::clone(settings))));
        }
    }
}

fn addition(d: &Use<'_>) -> Result<Addition, Mistake> {
    let always = d.count() == 3;
    if always && d.arg(2) != b"always" {
        return Err(d.invalid_parameter(2));
    }
    let name = Text::Shared(Rc::from(d.arg(0)));
    Ok(Addition {
        name,
        value: d.template(1)?,
        always,
        target: Target::Append,
    })
}

fn target(name: &[u8]) -> Target {
    if name.eq_ignore_ascii_case(b"Last-Modified") {
        Target::LastModified
    } else if name.eq_ignore_ascii_case(b"ETag") {
        Target::Etag
    } else {
        Target::Append
    }
}

struct HeadersFilter(Rc<Settings>);

impl Filter for HeadersFilter {
    fn filter(&self, exchange: &Exchange, response: &mut Response) {
        let settings = &*self.0;
        let safe = is_safe(response.status);
        if safe && let Some(expires) = &settings.expires {
            expires.apply(exchange, response);
        }
        for addition in settings
            .headers
            .all
            .iter()
            .filter(|addition| safe || addition.always)
        {
            add(addition, exchange, response);
        }
        let trailers = settings
            .trailers
            .all
            .iter()
            .filter(|addition| safe || addition.always);
        for Addition { name, value, .. } in trailers {
            response.rare.trailers.push((name.clone(), value.clone()));
        }
    }
}

/// The statuses that fields are added to without `always`.
fn is_safe(status: Status) -> bool {
    matches!(
        status.as_u16(),
        200 | 201 | 204 | 206 | 301 | 302 | 303 | 304 | 307 | 308
    )
}

fn add(addition: &Addition, exchange: &Exchange, response: &mut Response) {
    let value = match addition.value.shared() {
        Some(value) => Text::Shared(value),
        None => {
            let expand = || addition.value.expand(exchange).into_owned();
            exchange.speaking_of(response, expand).into()
        }
    };
    match addition.target {
        Target::Append if value.is_empty() => {}
        Target::Append => response.headers.append(addition.name.clone(), value),
        Target::Etag => response.entity.etag = Some(value).filter(|value| !value.is_empty()),
        Target::LastModified => response.set_field(
            &addition.name,
            Some(value).filter(|value| !value.is_empty()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::tests::trial::{Site, field, status};

    const SERVER: &str = "
        add_header X-Uri $uri;
        add_header X-Always $uri always;
        add_header ETag '' always;
        expires epoch;
        location /own { add_header X-Own 1; }
        location /merge { add_header_inherit merge; add_header X-Own 1; }
        location /none { add_header_inherit off; }
        location /validators { add_header ETag '\"mine\"'; add_header Last-Modified 'Mon, 28 Sep 1970 06:00:00 GMT'; }
        location /unusual { add_header Last-Modified 'whenever'; }
        location /cache { add_header Cache-Control private; add_header Cache-Control no-store; expires 60; }
        location /off { expires off; }
        location /modified { expires modified 2048; }
        location /var { expires $arg_e; }
        location /trailer { add_trailer X-Behind $uri; add_trailer X-Error $uri always; location /trailer/found { return 200; } }
    ";

    fn site() -> Site {
        let site = Site::new(SERVER);
        for name in [
            "a",
            "own",
            "merge",
            "none",
            "validators",
            "unusual",
            "cache",
            "off",
            "modified",
            "var",
        ] {
            site.write(name, "");
        }
        site
    }

    #[test]
    fn fields_are_added_to_successes_or_to_all() {
        let site = site();
        let found = site.get("/a", &[]);
        assert_eq!(
            (field(&found, "X-Uri"), field(&found, "X-Always")),
            (Some("/a"), Some("/a"))
        );
        assert_eq!(
            (field(&found, "Cache-Control"), &found.entity.etag),
            (Some("no-cache"), &None)
        );
        assert_eq!(
            field(&found, "Expires"),
            Some("Thu, 01 Jan 1970 00:00:01 GMT")
        );
        let missing = site.get("/nothing", &[]);
        assert_eq!(status(&missing), 404);
        assert_eq!(
            (field(&missing, "X-Uri"), field(&missing, "X-Always")),
            (None, Some("/nothing"))
        );
        assert_eq!(field(&missing, "Expires"), None);
    }

    #[test]
    fn outer_fields_are_inherited_as_told() {
        let site = site();
        for (target, own, outer) in [
            ("/own", true, false),
            ("/merge", true, true),
            ("/none", false, false),
            ("/a", false, true),
        ] {
            let response = site.get(target, &[]);
            assert_eq!(field(&response, "X-Own").is_some(), own, "{target}");
            assert_eq!(field(&response, "X-Uri").is_some(), outer, "{target}");
        }
    }

    #[test]
    fn validators_are_replaced_and_count() {
        let site = site();
        let response = site.get("/validators", &[]);
        assert_eq!(response.entity.etag, Some("\"mine\"".into()));
        assert_eq!(response.entity.last_modified, Some(23_349_600));
        let part = site.get("/validators", &["Range: bytes=1-", "If-Range: \"mine\""]);
        assert_eq!(status(&part), 416);
        let response = site.get("/unusual", &[]);
        assert_eq!(
            (
                response.entity.last_modified,
                field(&response, "Last-Modified")
            ),
            (None, Some("whenever"))
        );
    }

    #[test]
    fn ages() {
        let site = site();
        let cases = [
            ("/off", None),
            ("/var?e=epoch", Some("no-cache")),
            ("/var?e=max", Some("max-age=315360000")),
            ("/var?e=off", None),
            ("/var?e=2048", Some("max-age=2048")),
            ("/var?e=-2048", Some("no-cache")),
            ("/var?e=0", Some("max-age=0")),
            ("/var?e=bad", None),
            ("/var", None),
        ];
        for (target, expected) in cases {
            let response = site.get(target, &[]);
            assert_eq!(field(&response, "Cache-Control"), expected, "{target}");
            assert_eq!(
                field(&response, "Expires").is_some(),
                expected.is_some(),
                "{target}"
            );
        }
        let response = site.get("/cache", &[]);
        let all: Vec<_> = response.headers.get_all(b"Cache-Control").collect();
        assert_eq!(all, [&b"max-age=60"[..], b"private", b"no-store"]);
        let response = site.get("/modified", &[]);
        assert!(
            field(&response, "Cache-Control")
                .unwrap()
                .starts_with("max-age=204")
        );
    }

    #[test]
    fn trailers_wait_for_the_end() {
        let site = site();
        let names = |target: &str| -> Vec<_> {
            let response = site.get(target, &[]);
            response
                .rare
                .trailers
                .iter()
                .map(|(name, _)| String::from_utf8_lossy(name).into_owned())
                .collect()
        };
        assert_eq!(names("/trailer/found"), ["X-Behind", "X-Error"]);
        assert_eq!(names("/trailer/missing"), ["X-Error"]);
    }
}
