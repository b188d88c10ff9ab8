//! `auth_request`: whether a client may have something is for another URI to say.

use std::rc::Rc;

use crate::config::context::HTTP_SERVER_LOCATION;
use crate::config::{Directive, Module, Outcome, Use, directive};
use crate::exchange::{
    Exchange, Handler, Location, Phase, RequestBody, Response, Setter, Step, Template,
};
use crate::http::Status;
use crate::log::level::Level;

/// Asks a subrequest who may pass.
pub struct AuthRequest;

/// What one block says.
#[derive(Clone, Default)]
pub struct Settings {
    /// Whom to ask; `None` for `off`.
    path: Option<Rc<[u8]>>,
    variables: Vec<Assignment>,
}

/// One `auth_request_set`.
#[derive(Clone)]
struct Assignment {
    variable: Assigned,
    /// Worked out for the subrequest.
    value: Template,
}

/// A variable that is given a value.
#[derive(Clone, Copy)]
enum Assigned {
    BuiltIn(Setter),
    Slot(usize),
}

impl Module for AuthRequest {
    type Settings = Settings;
    const NAME: &'static str = "auth_request";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        directive("auth_request")
            .syntax("uri | off")
            .default("off")
            .contexts(HTTP_SERVER_LOCATION)
            .doc("Lets requests pass if a subrequest for the URI succeeds, and refuses them if it says 401 or 403.")
            .set(|settings, d| {
                settings.path = Some(d.arg(0)).filter(|path| *path != b"off").map(Rc::from);
                Ok(())
            }),
        directive("auth_request_set")
            .syntax("$variable value")
            .contexts(HTTP_SERVER_LOCATION)
            .takes(2)
            .doc("Gives the variable a value, made of what the subrequest of auth_request found out.")
            .append(|settings| settings.variables.clear(), assign),
    ];

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if settings.path.is_some() {
            location.add_handler(Phase::Access, Rc::clone(settings) as Rc<dyn Handler>);
        }
    }
}

fn assign(settings: &mut Settings, d: &mut Use<'_>) -> Outcome {
    let name = d.text(0)?.strip_prefix('$').filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| {
        let shown = d.lossy(0);
        d.mistake(0, format!("invalid variable name \"{shown}\""))
    })?;
    let variable = match d.setter(name) {
        Some(setter) => Assigned::BuiltIn(setter),
        None => Assigned::Slot(d.slot(0, name)?),
    };
    let value = d.template(1)?;
    settings.variables.push(Assignment { variable, value });
    Ok(())
}

impl Handler for Settings {
    fn handle<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        match &self.path {
            Some(path) => Step::Await(Box::pin(self.ask(path, exchange))),
            None => Step::Declined,
        }
    }
}

impl Settings {
    async fn ask<'a>(&self, path: &[u8], exchange: &mut Exchange) -> Step<'a> {
        let Some(mut sub) = exchange.subrequest(path.to_vec(), Vec::new()) else {
            return Step::status(Status::INTERNAL_SERVER_ERROR);
        };
        // The request's own body is for who serves the request.
        sub.body = RequestBody::default();
        drop(sub.run_as_subrequest().await);
        self.set_variables(exchange, &sub);
        judge(exchange, &sub.response())
    }

    fn set_variables(&self, exchange: &mut Exchange, sub: &Exchange) {
        for Assignment { variable, value } in &self.variables {
            let value = value.expand(sub);
            match variable {
                Assigned::BuiltIn(set) => set(exchange, &value),
                Assigned::Slot(slot) => exchange.set_slot(*slot, Some(Rc::from(&*value))),
            }
        }
    }
}

/// What the answer to the subrequest means for the request.
fn judge<'a>(exchange: &Exchange, answer: &Response) -> Step<'a> {
    match answer.status {
        Status::FORBIDDEN => Step::status(Status::FORBIDDEN),
        Status::UNAUTHORIZED => Step::Respond(unauthorized(answer)),
        Status(200..=299) => Step::Granted,
        status => {
            let message = format_args!("auth request unexpected status: {}", status.as_u16());
            exchange.log(Level::Error, message);
            Step::status(Status::INTERNAL_SERVER_ERROR)
        }
    }
}

/// The refusal, with how to log in.
fn unauthorized(answer: &Response) -> Response {
    const CHALLENGE: &str = "WWW-Authenticate";
    let mut response = Response::page(Status::UNAUTHORIZED);
    for value in answer.headers.get_all(CHALLENGE.as_bytes()) {
        response.headers.append(CHALLENGE, value.to_vec());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::fixture::found_in_server;
    use crate::modules::tests::trial::{Site, field, status};

    #[test]
    fn another_uri_says_who_may_pass() {
        let site = Site::new(
            "location / { auth_request /auth; } \
             location /off { auth_request off; } \
             location /401 { auth_request /login; } \
             location /redirected { auth_request /moved; } \
             location /any { satisfy any; deny all; auth_request /auth; } \
             location /auth { internal; return 204; } \
             location /login { return 401; } \
             location /moved { return 302 /x; }",
        );
        for (target, expected) in [
            ("/a", 404),
            ("/off", 404),
            ("/401", 401),
            ("/redirected", 500),
            ("/any", 404),
        ] {
            assert_eq!(status(&site.get(target, &[])), expected, "{target}");
        }
        assert!(site.log().contains("auth request unexpected status: 302"));
    }

    #[test]
    fn the_client_is_told_how_to_log_in() {
        let mut answer = Response::page(Status::UNAUTHORIZED);
        for value in ["Basic realm=x", "Bearer"] {
            answer.headers.append("www-authenticate", value);
        }
        answer.headers.append("X-Other", "y");
        let refusal = unauthorized(&answer);
        let challenges: Vec<_> = refusal.headers.get_all(b"WWW-Authenticate").collect();
        assert_eq!(challenges, [&b"Basic realm=x"[..], b"Bearer"]);
        assert!(!refusal.headers.contains(b"X-Other"));
    }

    #[test]
    fn a_refusal_is_passed_on() {
        let site = Site::new(
            "auth_request /auth; location /auth { return 403; } location /a { } \
             location /missing { auth_request /none; }",
        );
        assert_eq!(status(&site.get("/a", &[])), 403);
        assert_eq!(status(&site.get("/missing", &[])), 500);
    }

    #[test]
    fn what_the_subrequest_found_out_is_kept() {
        let site = Site::new(
            "add_header X-User $user always; add_header X-Unset x${other}x always; add_header X-Args $args always; \
             location / { auth_request /auth; auth_request_set $user $uri:$status; \
                          auth_request_set $args a=b; } \
             location /auth { return 204; } \
             location /other { auth_request_set $other 1; return 204; }",
        );
        let response = site.get("/a", &[]);
        assert_eq!(status(&response), 404);
        assert_eq!(field(&response, "X-User"), Some("/auth:204"));
        assert_eq!(field(&response, "X-Args"), Some("a=b"));
        assert_eq!(field(&response, "X-Unset"), Some("xx"));
    }

    #[test]
    fn mistakes() {
        for (text, expected) in [
            ("auth_request_set user x;", "invalid variable name \"user\""),
            ("auth_request_set $ x;", "invalid variable name \"$\""),
            ("auth_request_set $uri x;", "the duplicate \"uri\" variable"),
        ] {
            assert_eq!(found_in_server(text), [expected], "{text}");
        }
    }
}
