//! CGI (RFC 3875): scripts that answer, each request in a process of its own.
//!
//! [`script`] finds the file, [`environment`] is what it is told, [`process`] runs it, [`running`]
//! keeps its three streams moving, [`answer`] makes a response of what it says.

mod answer;
mod environment;
mod errors;
mod input;
mod launch;
mod process;
mod queue;
mod rdns;
mod rows;
mod running;
mod script;
mod script_log;
mod settings;
mod stream;

use std::rc::Rc;

use self::queue::Refused;
use self::settings::Mode;
pub use self::settings::Settings;
use crate::config::{Directive, Module};
use crate::exchange::{BodyError, Exchange, Handler, Location, Phase, Response, Step, Target};
use crate::http::Status;
use crate::log::level::Level;

/// Scripts that answer requests.
pub struct Cgi;

impl Module for Cgi {
    type Settings = Settings;
    const NAME: &'static str = "cgi";
    const DIRECTIVES: &'static [Directive<Settings>] = &[];
    const GROUPS: &'static [&'static [Directive<Settings>]] =
        &[rows::PROGRAM, rows::STREAMS, rows::LIMITS];

    fn install(settings: &Rc<Settings>, location: &mut Location) {
        if !matches!(settings.mode, Mode::Off) {
            location.add_handler(Phase::Content, Rc::new(CgiHandler(Rc::clone(settings))));
        }
    }
}

struct CgiHandler(Rc<Settings>);

/// What comes of a script.
enum Reply {
    /// A response.
    Response(Response),
    /// A local redirect.
    Elsewhere(Target),
}

impl Handler for CgiHandler {
    fn handle<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        Step::Await(Box::pin(async {
            match self.serve(exchange).await {
                Ok(Reply::Response(response)) => Step::Respond(response),
                Ok(Reply::Elsewhere(target)) => Step::Reroute(target),
                Err(status) => Step::status(status),
            }
        }))
    }
}

impl CgiHandler {
    /// From a request to a response, or to where there is one.
    async fn serve(&self, exchange: &mut Exchange) -> Result<Reply, Status> {
        let script = script::find(exchange, &self.0)?;
        self.buffer_body(exchange).await?;
        let host = rdns::remote_host(exchange, self.0.rdns).await?;
        let slot = self.0.queue.enter().await.map_err(|refused| {
            let why = match refused {
                Refused::Full => "the queue is full",
                Refused::TooSlow => "the time in the queue is over",
            };
            exchange.log(Level::Error, format_args!("cgi_max_processes: {why}"));
            Status::SERVICE_UNAVAILABLE
        })?;
        let running = launch::launch(exchange, &self.0, &script, host.as_deref(), slot).await?;
        answer::answer(exchange, running).await
    }

    async fn buffer_body(&self, exchange: &mut Exchange) -> Result<(), Status> {
        if !self.0.request_buffering {
            return Ok(());
        }
        let result = exchange.body.buffer(&exchange.location.core).await;
        result
            .map(drop)
            .map_err(|error| refuse_body(exchange, &error))
    }
}

/// Says in the log why a body could not be had, and gives the status for it.
fn refuse_body(exchange: &Exchange, error: &BodyError) -> Status {
    let (level, why) = match error {
        BodyError::Closed => (Level::Info, "client prematurely closed connection".into()),
        BodyError::TimedOut => (Level::Info, "client timed out".into()),
        BodyError::TooLarge => (
            Level::Error,
            format!(
                "client intended to send too large chunked body: client_max_body_size is {} bytes",
                exchange.location.core.client_max_body_size
            ),
        ),
        BodyError::Malformed(why) => (Level::Info, format!("client sent invalid body: {why}")),
        BodyError::File(error) => (
            Level::Crit,
            format!("the body could not be stored: {error}"),
        ),
    };
    exchange.log(level, format_args!("{why}"));
    error.status()
}

/// The request's body is the script's, unless the exchange became another (a GET) on its way.
fn has_body(exchange: &Exchange) -> bool {
    exchange.method == exchange.request.method()
}

#[cfg(test)]
mod tests;
