//! `limit_req`: how often requests with one key may come, as a leaky bucket.
//!
//! A zone's entry holds how far requests were ahead of the rate when the last one came. A request
//! that is ahead by no more than the burst passes, late if need be; others are refused.

use std::rc::Rc;
use std::time::Duration;

use super::{Refusal, Refuses, ZoneKey, dry_run, log_level, no_zone, status};
use crate::config::context::{HTTP, HTTP_SERVER_LOCATION};
use crate::config::{Directive, Mistake, Module, Outcome, Use, directive, units};
use crate::event;
use crate::exchange::{
    Exchange, Handler, Location, Phase, Place, Purpose, Step, Table, Variable, Zone,
};
use crate::log::level::Level;

/// Limits the rate of requests.
pub struct LimitReq;

/// What one block says.
#[derive(Clone, Default)]
pub struct Settings {
    limits: Vec<Limit>,
    refusal: Refusal,
}

#[derive(Clone)]
struct Limit {
    zone: Rc<Zone<Bucket>>,
    /// How far requests may be ahead, in thousandths of a request.
    burst: i64,
    /// How far they may be ahead without being delayed.
    delay: i64,
}

/// A zone whose entries are buckets.
struct Bucket {
    key: ZoneKey,
    /// Thousandths of a request a second; not 0.
    rate: i64,
}

impl Purpose for Bucket {
    const WORDS: usize = 3;

    fn key(&self) -> Option<(&'static str, &[u8])> {
        Some(("limit_req", &self.key.text))
    }
}

// The words of an entry: when it was used last, in milliseconds; how far requests are ahead, in
// thousandths; and how many requests are just being looked at, which keeps it from being evicted.
const LAST: usize = 0;
const EXCESS: usize = 1;
const USERS: usize = 2;

/// A request, in the unit of rates and bursts.
const REQUEST: i64 = 1000;

/// For how long an entry stays even if it is at rest, in milliseconds; clocks that disagree by
/// more are not believed.
const SETTLED: i64 = 60_000;

/// The longest key, in bytes.
const MAX_KEY: usize = 65535;

impl Module for LimitReq {
    type Settings = Settings;
    const NAME: &'static str = "limit_req";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        directive("limit_req_zone")
            .syntax("key zone=name:size rate=rate")
            .contexts(HTTP)
            .takes(3)
            .doc("Sets memory aside for the rates of requests by the key, for all workers; 1r/s or 1r/m.")
            .repeat(|_, d| declare(d)),
        directive("limit_req")
            .syntax("zone=name [burst=number] [nodelay | delay=number]")
            .contexts(HTTP_SERVER_LOCATION)
            .between(1, 3)
            .doc("Delays requests that come faster than the zone's rate, and refuses those beyond the burst.")
            .append(|settings| settings.limits.clear(), add),
        log_level("limit_req_log_level")
            .doc("Says at which level it is logged that limit_req refuses a request; delays are logged a level below."),
        status("limit_req_status")
            .doc("Says with which status limit_req refuses requests."),
        dry_run("limit_req_dry_run")
            .doc("Measures and logs without delaying or refusing anything."),
    ];
    const VARIABLES: &'static [Variable] = &[Variable::plain(
        "limit_req_status",
        "What limit_req made of the request: PASSED, DELAYED, REJECTED, DELAYED_DRY_RUN or REJECTED_DRY_RUN.",
        |exchange, out| {
            out.extend_from_slice(exchange.noted::<Noted>()?.0.as_bytes());
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
    let (mut zone, mut rate) = (None, REQUEST);
    for i in 1..d.count() {
        if let Some(declared) = d.parameter(i, "zone=") {
            if declared.first() != Some(&b':') {
                zone = Some(d.new_zone::<Bucket>(i, declared)?);
            }
        } else if let Some(text) = d.parameter(i, "rate=") {
            rate = parse_rate(text).ok_or_else(|| invalid(d, i, "rate"))?;
        } else {
            return Err(d.invalid_parameter(i));
        }
    }
    let zone = zone.ok_or_else(|| no_zone(d))?;
    match zone.purpose() {
        Some(bucket) => Err(bucket.key.taken(d, zone.name())),
        None => {
            zone.define(Bucket { key, rate });
            Ok(())
        }
    }
}

/// A rate in thousandths of a request a second.
fn parse_rate(text: &[u8]) -> Option<i64> {
    let (number, seconds) = match text {
        [number @ .., b'r', b'/', b's'] => (number, 1),
        [number @ .., b'r', b'/', b'm'] => (number, 60),
        number => (number, 1),
    };
    let number = units::number(number).filter(|number| *number > 0)?;
    Some(thousandths(number) / seconds)
}

fn thousandths(number: u64) -> i64 {
    i64::try_from(number)
        .unwrap_or(i64::MAX)
        .saturating_mul(REQUEST)
}

fn invalid(d: &Use<'_>, i: usize, what: &str) -> Mistake {
    d.mistake(i, format!("invalid {what} \"{}\"", d.lossy(i)))
}

fn add(settings: &mut Settings, d: &mut Use<'_>) -> Outcome {
    let (mut zone, mut burst, mut delay) = (None, 0, 0);
    let positive = |text| units::number(text).filter(|number| *number > 0);
    for i in 0..d.count() {
        if let Some(name) = d.parameter(i, "zone=") {
            zone = Some(d.zone::<Bucket>(i, name)?);
        } else if let Some(text) = d.parameter(i, "burst=") {
            burst = thousandths(positive(text).ok_or_else(|| invalid(d, i, "burst value"))?);
        } else if let Some(text) = d.parameter(i, "delay=") {
            delay = thousandths(positive(text).ok_or_else(|| invalid(d, i, "delay value"))?);
        } else if d.arg(i) == b"nodelay" {
            delay = i64::MAX;
        } else {
            return Err(d.invalid_parameter(i));
        }
    }
    let zone = zone.ok_or_else(|| no_zone(d))?;
    if settings
        .limits
        .iter()
        .any(|limit| Rc::ptr_eq(&limit.zone, &zone))
    {
        return Err(d.complaint(0, "is duplicate"));
    }
    settings.limits.push(Limit { zone, burst, delay });
    Ok(())
}

/// What became of the request, for `$limit_req_status`.
struct Noted(&'static str);

/// A request that passes, as far as a zone is concerned.
struct Passing<'a> {
    limit: &'a Limit,
    bucket: &'a Bucket,
    /// Its entry; `None` if the request is accounted for there.
    place: Option<Place>,
    /// How far requests are ahead with it.
    excess: i64,
}

/// Why a request does not pass.
enum Trouble {
    /// Requests would be ahead so far.
    Busy(i64),
    /// There is no memory for one more key.
    Full,
}

impl Handler for Settings {
    fn handle<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        if exchange.noted::<Noted>().is_some() {
            return Step::Declined;
        }
        let now = event::now().ms().cast_signed();
        let mut passing = Vec::with_capacity(self.limits.len());
        for (number, limit) in self.limits.iter().enumerate() {
            let is_last = number + 1 == self.limits.len();
            match limit.check(exchange, now, is_last) {
                Ok(None) => {}
                Ok(Some(passed)) => passing.push(passed),
                Err(trouble) => {
                    passing.iter().for_each(Passing::release);
                    return self.refuse(exchange, limit, &trouble);
                }
            }
        }
        if passing.is_empty() {
            return Step::Declined;
        }
        self.pass(exchange, now, &mut passing)
    }
}

impl Settings {
    fn refuse<'a>(&self, exchange: &mut Exchange, limit: &Limit, trouble: &Trouble) -> Step<'a> {
        let name = String::from_utf8_lossy(limit.zone.name());
        match trouble {
            Trouble::Busy(excess) => {
                let (dry_run, excess) = (self.dry_run(), Requests(*excess));
                let message =
                    format_args!("limiting requests{dry_run}, excess: {excess} by zone \"{name}\"");
                exchange.log(self.refusal.level, message);
            }
            Trouble::Full => {
                let message = format_args!("could not allocate node in limit_req zone \"{name}\"");
                exchange.log(Level::Alert, message);
            }
        }
        if self.refusal.dry_run {
            exchange.note(Noted("REJECTED_DRY_RUN"));
            return Step::Declined;
        }
        exchange.note(Noted("REJECTED"));
        Step::status(self.refusal.status)
    }

    /// Accounts for the request everywhere, and lets it go on when the slowest zone says.
    fn pass<'a>(&self, exchange: &mut Exchange, now: i64, passing: &mut [Passing<'_>]) -> Step<'a> {
        passing.iter_mut().for_each(|passed| passed.account(now));
        // Of equal ones the last, whose zone was asked last.
        let slowest = passing.iter().max_by_key(|passed| passed.delay());
        let Some((slowest, delay)) = slowest
            .map(|passed| (passed, passed.delay()))
            .filter(|(_, delay)| *delay > 0)
        else {
            exchange.note(Noted("PASSED"));
            return Step::Declined;
        };
        let name = String::from_utf8_lossy(slowest.limit.zone.name());
        let (dry_run, excess) = (self.dry_run(), Requests(slowest.excess));
        let message =
            format_args!("delaying request{dry_run}, excess: {excess}, by zone \"{name}\"");
        exchange.log(self.delay_level(), message);
        if self.refusal.dry_run {
            exchange.note(Noted("DELAYED_DRY_RUN"));
            return Step::Declined;
        }
        exchange.note(Noted("DELAYED"));
        let delay = Duration::from_millis(delay.unsigned_abs());
        Step::Await(Box::pin(async move {
            event::sleep(delay).await;
            Step::Declined
        }))
    }

    fn dry_run(&self) -> &'static str {
        if self.refusal.dry_run {
            ", dry run"
        } else {
            ""
        }
    }

    /// A level below that of refusals.
    fn delay_level(&self) -> Level {
        match self.refusal.level {
            Level::Error => Level::Warn,
            Level::Warn => Level::Notice,
            _ => Level::Info,
        }
    }
}

impl Limit {
    /// Whether the request may pass; `None` if the limit is not for it. The last zone asked
    /// accounts for it at once, the others when it is known that all let it pass.
    fn check(
        &self,
        exchange: &Exchange,
        now: i64,
        is_last: bool,
    ) -> Result<Option<Passing<'_>>, Trouble> {
        let Some(bucket) = self.zone.purpose() else {
            return Ok(None);
        };
        let Some(value) = bucket.key.value(exchange, MAX_KEY) else {
            return Ok(None);
        };
        let key = self.zone.key(&value);
        let entered = self.zone.with(|table| {
            let known = table.find(key);
            if let Some(place) = known {
                table.touch(place);
            }
            let place = match known {
                Some(place) => place,
                None => {
                    make_room(table, bucket.rate, now);
                    let place = table.insert(key).ok_or(Trouble::Full)?;
                    table.value(place)[LAST] = now.cast_unsigned();
                    // A new bucket is empty, the request in it included.
                    table.value(place)[EXCESS] = (-REQUEST).cast_unsigned();
                    place
                }
            };
            let excess = excess(table.value(place), bucket.rate, now);
            if excess > self.burst {
                return Err(Trouble::Busy(excess));
            }
            let entry = table.value(place);
            match is_last {
                true => update(entry, excess, now),
                false => entry[USERS] += 1,
            }
            Ok((place, excess))
        });
        let (place, excess) = entered.unwrap_or(Err(Trouble::Full))?;
        let place = Some(place).filter(|_| !is_last);
        Ok(Some(Passing {
            limit: self,
            bucket,
            place,
            excess,
        }))
    }
}

/// How far requests are ahead with one more now.
fn excess(entry: &[u64], rate: i64, now: i64) -> i64 {
    let gained = rate.saturating_mul(elapsed(entry, now)) / 1000;
    let ahead = entry[EXCESS].cast_signed().saturating_sub(gained);
    ahead.saturating_add(REQUEST).max(0)
}

/// Milliseconds since the entry was used; other processes may have read their clocks later.
fn elapsed(entry: &[u64], now: i64) -> i64 {
    let passed = now.wrapping_sub(entry[LAST].cast_signed());
    match passed < -SETTLED {
        true => 1,
        false => passed.max(0),
    }
}

fn update(entry: &mut [u64], excess: i64, now: i64) {
    if elapsed(entry, now) > 0 {
        entry[LAST] = now.cast_unsigned();
    }
    entry[EXCESS] = excess.cast_unsigned();
}

/// Forgets one or two keys that are at rest; if there is still no room, the oldest whatever it is.
fn make_room(table: &mut Table<'_>, rate: i64, now: i64) {
    for _ in 0..2 {
        evict(table, |entry| is_at_rest(entry, rate, now));
    }
    if table.is_full() {
        evict(table, |_| true);
    }
}

/// Removes the oldest entry if `may` says so and nobody is using it.
fn evict(table: &mut Table<'_>, may: impl FnOnce(&[u64]) -> bool) {
    if let Some(oldest) = table.oldest() {
        let entry = table.value(oldest);
        if entry[USERS] == 0 && may(entry) {
            table.remove(oldest);
        }
    }
}

fn is_at_rest(entry: &[u64], rate: i64, now: i64) -> bool {
    let passed = now.wrapping_sub(entry[LAST].cast_signed()).saturating_abs();
    let gained = rate.saturating_mul(passed) / 1000;
    passed >= SETTLED && entry[EXCESS].cast_signed() <= gained
}

impl Passing<'_> {
    /// Accounts for the request where that was not done yet.
    fn account(&mut self, now: i64) {
        let Some(place) = self.place.take() else {
            return;
        };
        let counted = self.limit.zone.with(|table| {
            let entry = table.value(place);
            let excess = excess(entry, self.bucket.rate, now);
            update(entry, excess, now);
            entry[USERS] = entry[USERS].saturating_sub(1);
            excess
        });
        self.excess = counted.unwrap_or(0);
    }

    /// Lets go of the entry of a request that is refused elsewhere.
    fn release(&self) {
        let Some(place) = self.place else { return };
        self.limit.zone.with(|table| {
            let users = &mut table.value(place)[USERS];
            *users = users.saturating_sub(1);
        });
    }

    /// How long the request is to wait, in milliseconds.
    fn delay(&self) -> i64 {
        let ahead = self.excess.saturating_sub(self.limit.delay).max(0);
        ahead.saturating_mul(1000) / self.bucket.rate
    }
}

/// Thousandths of requests, as logs show them.
struct Requests(i64);

impl std::fmt::Display for Requests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03}", self.0 / REQUEST, self.0 % REQUEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::fixture::found_in_http;
    use crate::modules::tests::trial::{Site, status as code, text};

    #[test]
    fn rates() {
        for (written, expected) in [
            ("1r/s", Some(1000)),
            ("10r/s", Some(10_000)),
            ("30r/m", Some(500)),
            ("1r/m", Some(16)),
            ("5", Some(5000)),
            ("0r/s", None),
            ("r/s", None),
            ("1r/h", None),
            ("", None),
        ] {
            assert_eq!(parse_rate(written.as_bytes()), expected, "{written}");
        }
    }

    #[test]
    fn a_bucket_leaks_at_its_rate() {
        let mut entry = [1_000_000, 0, 0];
        for (now, expected) in [
            (1_000_000, 1000),
            (1_000_000, 2000),
            (1_000_500, 2500),
            (1_002_500, 1500),
            (1_002_400, 2500),
            (1_100_000, 0),
            (1_100_000, 1000),
            (900_000, 1999),
        ] {
            let ahead = excess(&entry, 1000, now);
            assert_eq!(ahead, expected, "{now}");
            update(&mut entry, ahead, now);
        }
    }

    #[test]
    fn requests_beyond_the_rate_wait_or_are_refused() {
        let site = Site::with_http(
            "limit_req_zone $arg_a zone=slow:1m rate=1r/m; limit_req_zone $arg_b zone=fast:1m rate=1000r/s;",
            "limit_req_status 429; \
             location / { limit_req zone=fast; limit_req zone=slow; } \
             location /burst { limit_req zone=slow burst=2 nodelay; } \
             location /late { limit_req zone=fast burst=5; limit_req_log_level notice; } \
             location /dry { limit_req zone=slow; limit_req_dry_run on; } \
             location /other { limit_req zone=slow; limit_req_status 503; }",
        );
        let cases = [
            ("/?a=1", 403),
            ("/?a=1", 429),
            ("/?a=2", 403),
            ("/", 403),
            ("/other?a=1", 503),
            ("/burst?a=3", 404),
            ("/burst?a=3", 404),
            ("/burst?a=3", 404),
            ("/burst?a=3", 429),
            ("/dry?a=1", 404),
            ("/late?b=1", 404),
            ("/late?b=1", 404),
        ];
        for (target, expected) in cases {
            assert_eq!(code(&site.get(target, &[])), expected, "{target}");
        }
        let log = site.log();
        for message in [
            "limiting requests, excess: 1.000 by zone \"slow\", client",
            "limiting requests, excess: 3.000 by zone \"slow\", client",
            "limiting requests, dry run, excess: 1.000 by zone \"slow\", client",
        ] {
            assert!(log.contains(message), "{message}: {log}");
        }
    }

    #[test]
    fn the_outcome_is_a_variable() {
        let site = Site::with_http(
            "limit_req_zone $arg_a zone=slow:1m rate=1r/m;",
            "error_page 503 =200 /said; location /said { return 200 '$limit_req_status'; } \
             location /a { limit_req zone=slow; try_files /none /said; }",
        );
        for (target, expected) in [("/a", ""), ("/a?a=1", "PASSED"), ("/a?a=1", "REJECTED")] {
            assert_eq!(text(&site.get(target, &[])), expected, "{target}");
        }
    }

    #[test]
    fn a_full_zone_forgets_the_oldest_key() {
        let site = Site::with_http(
            "limit_req_zone $arg_a zone=slow:32k rate=1r/m;",
            "location / { limit_req zone=slow; }",
        );
        for number in 0..1000 {
            assert_eq!(code(&site.get(&format!("/?a={number}"), &[])), 403);
        }
        assert_eq!(code(&site.get("/?a=999", &[])), 503);
        assert_eq!(code(&site.get("/?a=0", &[])), 403);
    }

    #[test]
    fn mistakes() {
        let zone = "limit_req_zone $uri zone=one:1m rate=1r/s;";
        let cases = [
            (
                "limit_req_zone $uri zone=one rate=1r/s;",
                "invalid zone size \"zone=one\"",
            ),
            (
                "limit_req_zone $uri zone=one:16k rate=1r/s;",
                "zone \"zone=one:16k\" is too small",
            ),
            (
                "limit_req_zone $uri zone=one:1m rate=x;",
                "invalid rate \"rate=x\"",
            ),
            (
                "limit_req_zone $uri zone=one:1m burst=1;",
                "invalid parameter \"burst=1\"",
            ),
            (
                "limit_req_zone $uri rate=1r/s rate=2r/s;",
                "\"limit_req_zone\" must have \"zone\" parameter",
            ),
            (
                "limit_req zone=one;",
                "zero size shared memory zone \"one\"",
            ),
            (
                "limit_req burst=5;",
                "\"limit_req\" must have \"zone\" parameter",
            ),
            (
                "ZONE limit_req_zone $arg_b zone=one:1m rate=1r/s;",
                "limit_req_zone \"one\" is already bound to key \"$uri\"",
            ),
            (
                "ZONE limit_req zone=one burst=0;",
                "invalid burst value \"burst=0\"",
            ),
            (
                "ZONE limit_req zone=one delay=x;",
                "invalid delay value \"delay=x\"",
            ),
            (
                "ZONE limit_req zone=one slow;",
                "invalid parameter \"slow\"",
            ),
            (
                "ZONE limit_req zone=one; limit_req zone=one;",
                "\"limit_req\" directive is duplicate",
            ),
        ];
        for (text, expected) in cases {
            let text = text.replace("ZONE", zone);
            assert_eq!(found_in_http(&text), [expected], "{text}");
        }
    }
}
