//! `mirror`: copies of requests, made in the background as subrequests whose answers nobody sees.

use std::rc::Rc;

use crate::config::context::HTTP_SERVER_LOCATION;
use crate::config::{Directive, Module, directive};
use crate::exchange::{Exchange, Handler, Location, Phase, Step};
use crate::http::Status;

/// Sends copies of requests elsewhere.
pub struct Mirror;

/// Where a block's copies go.
#[derive(Clone)]
pub struct Settings {
    /// Paths, in order; none for `off`.
    paths: Vec<Rc<[u8]>>,
    /// Whether `off` was said, which goes with nothing else.
    off: bool,
    /// Whether copies have the request's body.
    with_body: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            paths: Vec::new(),
            off: false,
            with_body: true,
        }
    }
}

impl Module for Mirror {
    type Settings = Settings;
    const NAME: &'static str = "mirror";
    const DIRECTIVES: &'static [Directive<Settings>] = &[
        directive("mirror")
            .syntax("uri | off")
            .default("off")
            .contexts(HTTP_SERVER_LOCATION)
            .doc("Sends a copy of each request to the URI too; its answer is ignored.")
            .append(
                |settings| (settings.paths, settings.off) = (Vec::new(), false),
                |settings, d| {
                    let off = d.arg(0) == b"off";
                    if settings.off || off && !d.first() {
                        return Err(d.complaint(0, "is duplicate"));
                    }
                    match off {
                        true => settings.off = true,
                        false => settings.paths.push(d.arg(0).into()),
                    }
                    Ok(())
                },
            ),
        directive("mirror_request_body")
            .syntax("on | off")
            .default("on")
            .contexts(HTTP_SERVER_LOCATION)
            .flag()
            .doc("Reads the request's body first, so that copies have it as well.")
            .set(|settings, d| d.flag().map(|on| settings.with_body = on)),
    ];

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if !settings.paths.is_empty() {
            location.add_handler(Phase::Precontent, Rc::clone(settings) as Rc<dyn Handler>);
        }
    }
}

impl Handler for Settings {
    fn handle<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        if exchange.depth > 0 {
            return Step::Declined;
        }
        if !self.with_body || !exchange.body.is_pending() {
            return self.copy(exchange);
        }
        Step::Await(Box::pin(async move {
            let core = Rc::clone(&exchange.location.core);
            match exchange.body.buffer(&core).await {
                Ok(_) => self.copy(exchange),
                Err(error) => Step::status(error.refuse(exchange)),
            }
        }))
    }
}

impl Settings {
    fn copy<'a>(&self, exchange: &Exchange) -> Step<'a> {
        for path in &self.paths {
            let Some(mut sub) = exchange.subrequest(path.to_vec(), exchange.args.clone()) else {
                return Step::status(Status::INTERNAL_SERVER_ERROR);
            };
            sub.method = exchange.method;
            Exchange::run_in_background(sub);
        }
        Step::Declined
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::fixture::found_in_server;
    use crate::modules::tests::trial::Site;

    #[test]
    fn copies_reach_the_paths_with_the_arguments() {
        let site = Site::with_http(
            "log_format l '$request_method $uri $args'; access_log FOLDER/log l;",
            "location / { mirror /a; mirror /b; location /off { mirror off; } }
             location /a { internal; log_subrequest on; return 204; }
             location /b { internal; log_subrequest on; mirror /a; }",
        );
        site.write("index.html", "");
        for target in ["/index.html?1", "/off?2", "/?3"] {
            site.visit(target, &[]);
        }
        let log = std::fs::read_to_string(site.path("log")).unwrap();
        let expected = [
            "GET /a 1",
            "GET /b 1",
            "GET /index.html 1",
            "GET /off 2",
            "GET /a 3",
            "GET /b 3",
            "GET /a 3",
            "GET /b 3",
            "GET /index.html 3",
        ];
        assert_eq!(log.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn off_stands_alone() {
        for (text, expected) in [
            ("mirror off; mirror /x;", 1),
            ("mirror /x; mirror off;", 1),
            ("mirror /x; mirror /x; location / { mirror off; }", 0),
        ] {
            assert_eq!(found_in_server(text).len(), expected, "{text}");
        }
    }
}
