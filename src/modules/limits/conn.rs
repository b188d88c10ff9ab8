//! `limit_conn`: how many requests with one key may be in progress at a time.

use std::rc::Rc;

use super::{Refusal, Refuses, ZoneKey, dry_run, log_level, no_zone, status};
use crate::config::context::{HTTP, HTTP_SERVER_LOCATION};
use crate::config::{Directive, Module, Outcome, Use, directive, units};
use crate::exchange::{
    Exchange, Handler, Key, Location, Phase, Purpose, Step, Table, Variable, Zone,
};
use crate::log::level::Level;

/// Limits requests in progress.
pub struct LimitConn;

/// What one block says.
#[derive(Clone, Default)]
pub struct Settings {
    limits: Vec<Limit>,
    refusal: Refusal,
}

#[derive(Clone)]
struct Limit {
    zone: Rc<Zone<Counts>>,
    most: u64,
}

/// A zone whose entries count requests in progress.
struct Counts(ZoneKey);

impl Purpose for Counts {
    const WORDS: usize = 1;

    fn key(&self) -> Option<(&'static str, &[u8])> {
        Some(("limit_conn_zone", &self.0.text))
    }
}

/// The longest key, in bytes.
const MAX_KEY: usize = 255;

impl Module for LimitConn {
    type Settings = Settings;
    const NAME: &'static str = "limit_conn";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        directive("limit_conn_zone")
            .syntax("key zone=name:size")
            .contexts(HTTP)
            .takes(2)
            .doc("Sets memory aside for counting requests in progress by the key, for all workers.")
            .repeat(|_, d| declare(d)),
        directive("limit_conn")
            .syntax("zone number")
            .contexts(HTTP_SERVER_LOCATION)
            .takes(2)
            .doc("Refuses requests when so many with the same key are in progress.")
            .append(|settings| settings.limits.clear(), add),
        log_level("limit_conn_log_level")
            .doc("Says at which level it is logged that limit_conn refuses a request."),
        status("limit_conn_status").doc("Says with which status limit_conn refuses requests."),
        dry_run("limit_conn_dry_run").doc("Counts and logs without refusing anything."),
    ];
    const VARIABLES: &'static [Variable] = &[Variable::plain(
        "limit_conn_status",
        "What limit_conn made of the request: PASSED, REJECTED or REJECTED_DRY_RUN.",
        |exchange, out| {
            let noted = exchange.noted::<Noted>()?;
            out.extend_from_slice(noted.status.as_bytes());
            Some(())
        },
    )];

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if !settings.limits.is_empty() {
            location.add_handler(Phase::Preaccess, Rc::clone(settings) as Rc<dyn Handler>);
        }
    }
}

impl Refuses for Settings {
    fn refusal(&mut self) -> &mut Refusal {
        &mut self.refusal
    }
}

fn declare(d: &Use<'_>) -> Outcome {
    let key = ZoneKey::parse(d)?;
    let declared = d.parameter(1, "zone=");
    let declared = declared.ok_or_else(|| d.invalid_parameter(1))?;
    if declared.first() == Some(&b':') {
        return Err(no_zone(d));
    }
    let zone = d.new_zone::<Counts>(1, declared)?;
    match zone.purpose() {
        Some(Counts(known)) => Err(known.taken(d, zone.name())),
        None => {
            zone.define(Counts(key));
            Ok(())
        }
    }
}

fn add(settings: &mut Settings, d: &mut Use<'_>) -> Outcome {
    let zone = d.zone::<Counts>(0, d.arg(0))?;
    if settings
        .limits
        .iter()
        .any(|limit| Rc::ptr_eq(&limit.zone, &zone))
    {
        return Err(d.complaint(0, "is duplicate"));
    }
    let most = units::number(d.arg(1)).filter(|number| *number > 0);
    let most = most.ok_or_else(|| {
        let shown = d.lossy(1);
        d.mistake(1, format!("invalid number of connections \"{shown}\""))
    })?;
    if most > 65535 {
        return Err(d.mistake(1, "connection limit must be less 65536"));
    }
    settings.limits.push(Limit { zone, most });
    Ok(())
}

/// What became of the request, and the places it has as long as it lasts.
struct Noted {
    status: &'static str,
    _held: Vec<Held>,
}

/// A request counted among those in progress.
struct Held {
    zone: Rc<Zone<Counts>>,
    key: Key,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.zone.with(|table| {
            let Some(place) = table.find(self.key) else {
                return;
            };
            let count = &mut table.value(place)[0];
            *count = count.saturating_sub(1);
            if *count == 0 {
                table.remove(place);
            }
        });
    }
}

/// What counting one more request comes to.
enum Counted {
    Within,
    Beyond,
    Full,
}

/// Counts a request unless `most` are counted already.
fn count(table: &mut Table<'_>, key: Key, most: u64) -> Counted {
    let Some(place) = table.find(key).or_else(|| table.insert(key)) else {
        return Counted::Full;
    };
    let count = &mut table.value(place)[0];
    if *count >= most {
        return Counted::Beyond;
    }
    *count += 1;
    Counted::Within
}

impl Handler for Settings {
    fn handle<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        if exchange.noted::<Noted>().is_some() {
            return Step::Declined;
        }
        let mut held = Vec::new();
        for limit in &self.limits {
            if !limit.admit(exchange, &self.refusal, &mut held) {
                return self.refuse(exchange);
            }
        }
        if !held.is_empty() {
            exchange.note(Noted {
                status: "PASSED",
                _held: held,
            });
        }
        Step::Declined
    }
}

impl Settings {
    fn refuse<'a>(&self, exchange: &mut Exchange) -> Step<'a> {
        let (status, step) = match self.refusal.dry_run {
            true => ("REJECTED_DRY_RUN", Step::Declined),
            false => ("REJECTED", Step::status(self.refusal.status)),
        };
        let _held = Vec::new();
        exchange.note(Noted { status, _held });
        step
    }
}

impl Limit {
    /// Counts the request, or says why it can't be.
    fn admit(&self, exchange: &Exchange, refusal: &Refusal, held: &mut Vec<Held>) -> bool {
        let Some(Counts(key)) = self.zone.purpose() else {
            return true;
        };
        let Some(value) = key.value(exchange, MAX_KEY) else {
            return true;
        };
        let key = self.zone.key(&value);
        let name = String::from_utf8_lossy(self.zone.name());
        match self.zone.with(|table| count(table, key, self.most)) {
            Some(Counted::Within) => {
                let zone = Rc::clone(&self.zone);
                held.push(Held { zone, key });
                return true;
            }
            Some(Counted::Beyond) => {
                let dry_run = if refusal.dry_run { ", dry run," } else { "" };
                let message = format_args!("limiting connections{dry_run} by zone \"{name}\"");
                exchange.log(refusal.level, message);
            }
            Some(Counted::Full) | None => {
                let message = format_args!("no memory in limit_conn_zone \"{name}\"");
                exchange.log(Level::Crit, message);
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::fixture::found_in_http;
    use crate::modules::tests::trial::{Site, status as code, text};

    #[test]
    fn requests_in_progress_are_counted() {
        let site = Site::with_http(
            "limit_conn_zone $arg_k zone=one:1m; limit_conn_zone $arg_x zone=two:32k;",
            "limit_conn one 2; \
             location /more { limit_conn one 3; limit_conn_status 429; limit_conn_log_level info; } \
             location /both { limit_conn one 9; limit_conn two 1; try_files /none /said; } \
             location /dry { limit_conn one 1; limit_conn_dry_run on; try_files /none /said; } \
             location /said { return 200 $limit_conn_status; }",
        );
        let first = site.serve("GET", "/?k=a", &[]);
        let second = site.serve("GET", "/?k=a", &[]);
        assert_eq!(code(&second.1), 403);
        assert_eq!(code(&site.get("/?k=a", &[])), 503);
        assert_eq!(code(&site.get("/?k=b", &[])), 403);
        assert_eq!(code(&site.get("/?", &[])), 403);
        let third = site.serve("GET", "/more?k=a", &[]);
        assert_eq!(code(&third.1), 404);
        assert_eq!(code(&site.get("/more?k=a", &[])), 429);
        assert_eq!(text(&site.get("/dry?k=a", &[])), "REJECTED_DRY_RUN");
        drop(first);
        assert_eq!(code(&site.get("/more?k=a", &[])), 404);
        assert_eq!(text(&site.get("/both?k=a&x=y", &[])), "PASSED");
        drop((second, third));
        assert_eq!(code(&site.get("/?k=a", &[])), 403);
        let log = site.log();
        assert!(
            log.contains("[error]") && log.contains("limiting connections by zone \"one\", client"),
            "{log}"
        );
        assert!(
            log.contains("limiting connections, dry run, by zone \"one\""),
            "{log}"
        );
        assert!(log.contains("[info]"), "{log}");
    }

    #[test]
    fn a_refused_request_is_counted_nowhere() {
        let site = Site::with_http(
            "limit_conn_zone $arg_k zone=one:1m; limit_conn_zone $arg_x zone=two:1m;",
            "location / { limit_conn one 2; limit_conn two 1; }",
        );
        let first = site.serve("GET", "/?k=a&x=b", &[]);
        assert_eq!(code(&site.get("/?k=a&x=b", &[])), 503);
        assert_eq!(code(&site.get("/?k=a&x=b", &[])), 503);
        assert_eq!(code(&site.get("/?k=a&x=c", &[])), 403);
        drop(first);
    }

    #[test]
    fn mistakes() {
        let zone = "limit_conn_zone $a zone=one:1m;";
        let cases = [
            (
                "limit_conn_zone $uri zone=one;",
                "invalid zone size \"zone=one\"",
            ),
            (
                "limit_conn_zone $uri zone=one:x;",
                "invalid zone size \"zone=one:x\"",
            ),
            (
                "limit_conn_zone $uri zone=one:8k;",
                "zone \"zone=one:8k\" is too small",
            ),
            (
                "limit_conn_zone $uri zone=:1m;",
                "\"limit_conn_zone\" must have \"zone\" parameter",
            ),
            (
                "limit_conn_zone $uri size=1m;",
                "invalid parameter \"size=1m\"",
            ),
            ("limit_conn one 1;", "zero size shared memory zone \"one\""),
            (
                "ZONE limit_conn_zone $b zone=one:1m;",
                "limit_conn_zone \"one\" is already bound to key \"$a\"",
            ),
            (
                "ZONE limit_conn one 0;",
                "invalid number of connections \"0\"",
            ),
            (
                "ZONE limit_conn one 65536;",
                "connection limit must be less 65536",
            ),
            (
                "ZONE limit_conn one 1; limit_conn one 2;",
                "\"limit_conn\" directive is duplicate",
            ),
            (
                "ZONE limit_req zone=one;",
                "the shared memory zone \"one\" is already declared for a different use",
            ),
            (
                "limit_conn_status 399;",
                "value must be between 400 and 599",
            ),
        ];
        for (text, expected) in cases {
            let text = text
                .replace("ZONE", zone)
                .replace("$a", "$arg_a")
                .replace("$b", "$arg_b");
            let expected = expected.replace("$a", "$arg_a");
            assert_eq!(found_in_http(&text), [expected], "{text}");
        }
    }
}
