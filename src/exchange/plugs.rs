//! The three plugs a capability can offer: [`Handler`], [`Filter`] and [`Logger`].

use std::future::Future;
use std::pin::Pin;

use super::{Exchange, Response};

/// A boxed future of this thread.
pub type LocalBoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// When a handler is asked, in the order of the variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Right after the head was read, before anything looked at the URI (realip).
    PostRead,
    /// Rewriting at the server's level, before a location is sought.
    ServerRewrite,
    /// Rewriting inside the location.
    Rewrite,
    /// Limits.
    Preaccess,
    /// May this client have it?
    Access,
    /// Just before content: try_files, mirror.
    Precontent,
    /// The answer itself.
    Content,
}

impl Phase {
    /// How many phases there are.
    pub const COUNT: usize = Phase::Content as usize + 1;
}

/// What a handler did with an exchange.
pub enum Step<'a> {
    /// Nothing: ask the next handler.
    Declined,
    /// Access is granted: under `satisfy any` no further access handler is asked.
    Granted,
    /// This is the response.
    Respond(Response),
    /// Start over elsewhere.
    Reroute(Target),
    /// Not known yet. The hot path never comes here, so it never boxes.
    Await(LocalBoxFuture<'a, Step<'a>>),
}

impl Step<'_> {
    /// A response with `status` whose page `error_page` or the server supplies.
    pub fn status(status: crate::http::Status) -> Self {
        Step::Respond(Response::page(status))
    }
}

/// Where a rerouted exchange goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An internal redirect: a decoded path and its arguments, from the server rewrite phase on.
    Uri {
        /// The decoded, normalised path.
        path: Vec<u8>,
        /// The arguments, without `?`.
        args: Vec<u8>,
    },
    /// A named location (without its `@`), from the rewrite phase on; the URI stays.
    Named(Vec<u8>),
    /// The exchange's own URI was rewritten: seek its location anew.
    Rewritten,
}

/// Answers an exchange or declines it.
pub trait Handler {
    /// Looks at the exchange and answers, declines or reroutes it.
    fn handle<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a>;
}

/// Changes responses on their way out.
pub trait Filter {
    /// Makes `response` the one to send.
    fn filter(&self, exchange: &Exchange, response: &mut Response);

    /// Whether it also turns over what subrequests bring: only what changes bodies has to, for
    /// nobody sees their heads.
    fn sees_subrequests(&self) -> bool {
        false
    }
}

/// Told of every finished exchange.
pub trait Logger {
    /// Notes the exchange; must not fail it.
    fn log(&self, exchange: &Exchange);
}
