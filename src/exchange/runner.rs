//! Walks an exchange through the phases until there is a response, and the response through
//! the filters.
//!
//! server rewrite → find location → rewrite → limits → access → precontent → content →
//! (`error_page`) → filters. A reroute goes back to an earlier point, a bounded number of times.

use std::future::Future;
use std::rc::Rc;

use super::plugs::{Handler, LocalBoxFuture, Phase, Step, Target};
use super::{Body, ErrorPage, Exchange, Location, Response, access, pages};
use crate::http::escape::{Escape, escape};
use crate::http::{Captures, Method, Status, Text};
use crate::log::level::Level;
use crate::routing::locations::Found;

/// Where the walk (re)starts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Start {
    PostRead,
    ServerRewrite,
    FindLocation,
    Rewrite,
}

/// The phases whose handlers are the location's.
const LOCAL_PHASES: [Phase; 5] = [
    Phase::Rewrite,
    Phase::Preaccess,
    Phase::Access,
    Phase::Precontent,
    Phase::Content,
];

/// What the handlers of a phase come to.
pub(super) enum Verdict {
    Next,
    Granted,
    /// The exchange has its response.
    Responded,
    Reroute(Target),
}

/// Runs the exchange until it has its response, filtered and ready to be framed.
pub fn run(exchange: &mut Exchange) -> impl Future<Output = ()> {
    run_from(exchange, Start::PostRead)
}

/// Runs a subrequest until its response is known, which its variables then speak of, and returns
/// the body of it.
pub(super) async fn run_subrequest(exchange: &mut Exchange) -> Body {
    run_from(exchange, Start::ServerRewrite).await;
    let body = std::mem::take(&mut exchange.response_mut().body);
    if exchange.location.core.log_subrequest {
        exchange.log_end();
    }
    body
}

/// Walks the exchange through the phases, again after each reroute, until there is a response that
/// stays.
async fn run_from(exchange: &mut Exchange, start: Start) {
    let mut next = Some(start);
    while let Some(start) = next {
        let verdict = walk(exchange, start).await;
        next = conclude(exchange, verdict);
    }
}

/// Does what `post_action` asks for once the response was sent; what that answers only the log
/// learns of.
pub async fn run_post_action(exchange: &mut Exchange) {
    exchange.detached = true;
    while let Some(action) = exchange.location.core.post_action.clone() {
        let target = match action.strip_prefix(b"@") {
            Some(name) => Target::Named(name.to_vec()),
            None => Target::Uri {
                path: action.to_vec(),
                args: Vec::new(),
            },
        };
        let Ok(start) = follow(exchange, target) else {
            return;
        };
        run_from(exchange, start).await;
        exchange.response_mut().body = Body::Empty;
    }
}

/// Answers an exchange whose request could not be understood with the page of `status`.
pub async fn refuse(exchange: &mut Exchange, status: Status) {
    exchange.set_response(Response::page(status));
    if let Some(start) = conclude(exchange, Verdict::Responded) {
        run_from(exchange, start).await;
    }
}

/// Where to go on because of a reroute, unless the response stays.
fn conclude(exchange: &mut Exchange, verdict: Verdict) -> Option<Start> {
    let response = match verdict {
        Verdict::Reroute(target) => return reroute(exchange, target),
        Verdict::Responded => exchange.take_response(),
        Verdict::Next | Verdict::Granted => nothing_here(exchange),
    };
    let target = finish(exchange, response)?;
    reroute(exchange, target)
}

fn reroute(exchange: &mut Exchange, target: Target) -> Option<Start> {
    match follow(exchange, target) {
        Ok(start) => Some(start),
        Err(mut response) => {
            // With the built-in page, whatever `error_page` says. Filters refuse successes only,
            // so this is never sent elsewhere.
            with_page(exchange, &mut response);
            let _ = filtered(exchange, &mut response);
            exchange.set_response(response);
            None
        }
    }
}

/// Makes `response` the one to send, or says where to look for it (`error_page`).
fn finish(exchange: &mut Exchange, mut response: Response) -> Option<Target> {
    let elsewhere = settle(exchange, &mut response).or_else(|| filtered(exchange, &mut response));
    if elsewhere.is_none() {
        exchange.set_response(response);
    }
    elsewhere
}

async fn walk(exchange: &mut Exchange, start: Start) -> Verdict {
    if start == Start::PostRead && exchange.location.has_handlers(Phase::PostRead) {
        let location = Rc::clone(&exchange.location);
        match ask(exchange, location.handlers(Phase::PostRead)).await {
            Verdict::Next | Verdict::Granted => {}
            done => return done,
        }
    }
    if start <= Start::ServerRewrite && exchange.location.has_handlers(Phase::ServerRewrite) {
        let location = Rc::clone(&exchange.location);
        match ask(exchange, location.handlers(Phase::ServerRewrite)).await {
            Verdict::Next | Verdict::Granted | Verdict::Reroute(Target::Rewritten) => {}
            done => return done,
        }
    }
    if start <= Start::FindLocation
        && let Some(response) = find_location(exchange)
    {
        exchange.set_response(response);
        return Verdict::Responded;
    }
    for &phase in &LOCAL_PHASES {
        if !exchange.location.has_handlers(phase) {
            continue;
        }
        let location = Rc::clone(&exchange.location);
        let handlers = location.handlers(phase);
        let verdict = match phase {
            Phase::Access => access::check(exchange, handlers).await,
            _ => ask(exchange, handlers).await,
        };
        if !matches!(verdict, Verdict::Next | Verdict::Granted) {
            return verdict;
        }
    }
    Verdict::Next
}

/// Asks `handlers` until one has something to say; what the last one said.
pub(super) async fn ask(exchange: &mut Exchange, handlers: &[Rc<dyn Handler>]) -> Verdict {
    let mut verdict = Verdict::Next;
    for handler in handlers {
        let mut step = handler.handle(exchange);
        let answer = loop {
            match at_once(step) {
                Ok(answer) => break answer,
                Err(future) => step = future.await,
            }
        };
        verdict = match answer {
            Answer::Declined => Verdict::Next,
            Answer::Granted => Verdict::Granted,
            Answer::Reroute(target) => return Verdict::Reroute(target),
            Answer::Respond(response) => {
                exchange.set_response(response);
                return Verdict::Responded;
            }
        };
    }
    verdict
}

/// A step, once nothing has to be awaited any more.
enum Answer {
    Declined,
    Granted,
    Respond(Response),
    Reroute(Target),
}

/// What a step comes to unless something has to be awaited.
fn at_once(step: Step<'_>) -> Result<Answer, LocalBoxFuture<'_, Step<'_>>> {
    Ok(match step {
        Step::Declined => Answer::Declined,
        Step::Granted => Answer::Granted,
        Step::Respond(response) => Answer::Respond(response),
        Step::Reroute(target) => Answer::Reroute(target),
        Step::Await(future) => return Err(future),
    })
}

/// Chooses the location for the path; a response if none may serve it.
fn find_location(exchange: &mut Exchange) -> Option<Response> {
    let server = Rc::clone(&exchange.server);
    let mut captures = Captures::new();
    let Ok(found) = server.locations.find(&exchange.path, &mut captures) else {
        exchange.log(
            Level::Error,
            format_args!("a location's pattern took too long to match"),
        );
        return Some(Response::page(Status::INTERNAL_SERVER_ERROR));
    };
    if !captures.is_empty() {
        exchange.set_captures(captures);
    }
    if let Found::Location(location) = &found {
        exchange.name_captures(&location.captures);
    }
    match found {
        Found::None => enter(exchange, &server.base),
        Found::Location(location) => enter(exchange, location),
        Found::Slash(location) => {
            enter(exchange, location);
            Some(add_slash(exchange))
        }
    }
}

/// Makes `location` the one in force, unless it is not for this request.
fn enter(exchange: &mut Exchange, location: &Rc<Location>) -> Option<Response> {
    exchange.location = match &location.method_limit {
        Some(limit) if !limit.allowed.contains(&exchange.method) => Rc::clone(&limit.location),
        _ => Rc::clone(location),
    };
    exchange.limit_keep_alive();
    let refusal = exchange.limit_body();
    if exchange.location.core.internal && !exchange.internal {
        return Some(Response::page(Status::NOT_FOUND));
    }
    refusal
}

/// A redirect to the location's own name, which ends in the slash the path lacks.
fn add_slash(exchange: &Exchange) -> Response {
    let mut location = Vec::new();
    escape(&exchange.location.name, Escape::Uri, &mut location);
    if !exchange.args.is_empty() {
        location.push(b'?');
        location.extend_from_slice(&exchange.args);
    }
    Response::redirect(Status::MOVED_PERMANENTLY, location)
}

/// What content-less exchanges get.
fn nothing_here(exchange: &Exchange) -> Response {
    if exchange.path.last() != Some(&b'/') {
        exchange.log(Level::Error, format_args!("no handler found"));
        return Response::page(Status::NOT_FOUND);
    }
    let Ok(folder) = exchange.map_path() else {
        return Response::page(Status::INTERNAL_SERVER_ERROR);
    };
    exchange.log(
        Level::Error,
        format_args!(
            "directory index of \"{}\" is forbidden",
            String::from_utf8_lossy(&folder)
        ),
    );
    Response::page(Status::FORBIDDEN)
}

/// Goes where `target` says; an error response if it can't.
fn follow(exchange: &mut Exchange, target: Target) -> Result<Start, Response> {
    if !exchange.spend_redirect() {
        let text = String::from_utf8_lossy;
        let doing = match &target {
            Target::Rewritten => format!("processing \"{}\"", text(&exchange.path)),
            Target::Uri { path, .. } => format!("internally redirecting to \"{}\"", text(path)),
            Target::Named(name) => format!("redirect to named location \"@{}\"", text(name)),
        };
        exchange.log(
            Level::Error,
            format_args!("rewrite or internal redirection cycle while {doing}"),
        );
        return Err(Response::page(Status::INTERNAL_SERVER_ERROR));
    }
    match target {
        Target::Rewritten => {
            exchange.rewritten = true;
            exchange.location = Rc::clone(&exchange.server.base);
            Ok(Start::FindLocation)
        }
        Target::Uri { path, args } => {
            exchange.internal = true;
            exchange.rewritten = true;
            exchange.path_in_alias = false;
            exchange.path = path;
            exchange.args = args;
            exchange.location = Rc::clone(&exchange.server.base);
            Ok(Start::ServerRewrite)
        }
        Target::Named(_) if exchange.path.is_empty() => {
            let message = format_args!("empty URI in redirect to named location");
            exchange.log(Level::Error, message);
            Err(Response::page(Status::INTERNAL_SERVER_ERROR))
        }
        Target::Named(name) => {
            let Some(location) = exchange.server.named(&name).cloned() else {
                let name = String::from_utf8_lossy(&name);
                exchange.log(
                    Level::Error,
                    format_args!("could not find named location \"@{name}\""),
                );
                return Err(Response::page(Status::INTERNAL_SERVER_ERROR));
            };
            exchange.internal = true;
            exchange.path_in_alias = false;
            match enter(exchange, &location) {
                Some(response) => Err(response),
                None => Ok(Start::Rewrite),
            }
        }
    }
}

/// A response that needs a page gets one that is built in, unless `error_page` says where another
/// is.
fn settle(exchange: &mut Exchange, response: &mut Response) -> Option<Target> {
    if !matches!(response.body, Body::Page) {
        if let Some(status) = exchange.status_override.take() {
            response.status = status;
        }
        return None;
    }
    if response.is_silent() || exchange.pageless {
        return None;
    }
    exchange.distrust_after(response.status);
    let rules = Rc::clone(&exchange.location.core.error_pages);
    let considered = !exchange.in_error_page && exchange.has_redirects();
    if considered && !rules.is_empty() {
        exchange.in_error_page = !exchange.location.core.recursive_error_pages;
    }
    match rules
        .iter()
        .find(|rule| considered && rule.statuses.contains(&response.status))
    {
        Some(rule) => apply_rule(exchange, rule, response),
        None => {
            with_page(exchange, response);
            None
        }
    }
}

fn apply_rule(
    exchange: &mut Exchange,
    rule: &ErrorPage,
    response: &mut Response,
) -> Option<Target> {
    exchange.status_override = match rule.overwrite {
        None => Some(response.status.on_the_wire()),
        Some(status) => status,
    };
    let target = rule.target.expand(exchange).into_owned();
    match target.first() {
        Some(b'@') => {
            exchange.carry(std::mem::take(response));
            Some(Target::Named(target[1..].to_vec()))
        }
        Some(b'/') => {
            exchange.carry(std::mem::take(response));
            if exchange.method != Method::Head {
                exchange.method = Method::Get;
            }
            Some(rule_target(rule, target))
        }
        _ => {
            let redirect = rule
                .overwrite
                .flatten()
                .filter(|status| matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308));
            response.status = redirect.unwrap_or(Status::MOVED_TEMPORARILY);
            response.location = Some(target.into());
            with_page(exchange, response);
            None
        }
    }
}

/// A path of an `error_page` rule: what was split off as arguments when it was read, or is now.
fn rule_target(rule: &ErrorPage, mut path: Vec<u8>) -> Target {
    if rule.target.literal().is_some() {
        return Target::Uri {
            path,
            args: rule.args.clone(),
        };
    }
    let args = match memchr::memchr(b'?', &path) {
        Some(mark) => path.split_off(mark).split_off(1),
        None => Vec::new(),
    };
    Target::Uri { path, args }
}

/// Replaces the body by the built-in page of the status.
fn with_page(exchange: &mut Exchange, response: &mut Response) {
    exchange.status_override = None;
    exchange.distrust_after(response.status);
    let shown = response.status.on_the_wire();
    response.clear_entity();
    response.body = Body::Empty;
    if let Some(page) = pages::of(response.status, exchange.location.core.server_tokens) {
        response.entity = page.entity;
        response.body = Body::Bytes(Text::Shared(page.text));
    }
    response.status = shown;
}

/// Turns the response over the filters, in their order. One may refuse it (412, 416): then what
/// it leaves gets a page like any other error, and the filters behind it see that.
fn filtered(exchange: &mut Exchange, response: &mut Response) -> Option<Target> {
    exchange.add_carried(response);
    let location = Rc::clone(&exchange.location);
    let is_main = exchange.depth == 0;
    let filters = location.filters.iter();
    for filter in filters.filter(|filter| is_main || filter.sees_subrequests()) {
        filter.filter(exchange, response);
        if matches!(response.body, Body::Page)
            && let Some(elsewhere) = settle(exchange, response)
        {
            return Some(elsewhere);
        }
    }
    None
}
