//! Subrequests: exchanges of their own for other URIs, on behalf of one that a client made.
//!
//! A subrequest has the request's header fields, its body as far as it was read, and its
//! variables, which are the same for both; path, arguments, location and response are its own. It
//! runs from the server rewrite phase on, and nobody asks again whether the client may have it.

use std::io;
use std::rc::Rc;

use super::{Body, BodyReader, Exchange, LocalBoxFuture, Piece, ResponseStream, runner};
use crate::event;
use crate::http::Method;
use crate::log::level::Level;

/// How deep subrequests may be nested.
const MAX_DEPTH: u8 = 51;

impl Exchange {
    /// A GET for `path` (decoded) with `args`, to be run by [`Exchange::run_as_subrequest`] or
    /// [`Exchange::run_in_background`]. `None` if they are nested too deeply, which is logged.
    pub fn subrequest(&self, path: Vec<u8>, args: Vec<u8>) -> Option<Box<Exchange>> {
        if self.depth >= MAX_DEPTH {
            let path = String::from_utf8_lossy(&path);
            let message = format_args!("subrequests cycle while processing \"{path}\"");
            self.log(Level::Error, message);
            return None;
        }
        let mut sub = self.related();
        sub.method = Method::Get;
        (sub.path, sub.args) = (path, args);
        (sub.internal, sub.rewritten) = (true, true);
        sub.depth = self.depth + 1;
        Some(sub)
    }

    /// Runs this subrequest and returns the body of its response, whose head it then knows.
    pub async fn run_as_subrequest(&mut self) -> Body {
        runner::run_subrequest(self).await
    }

    /// The same exchange again, for what goes on working for it when it is out of sight: variables
    /// and subrequests are the same from there.
    pub fn twin(&self) -> Box<Exchange> {
        let mut twin = self.related();
        twin.method = self.method;
        twin.location = Rc::clone(&self.location);
        (twin.path, twin.args) = (self.path.clone(), self.args.clone());
        (twin.internal, twin.rewritten) = (self.internal, self.rewritten);
        twin.depth = self.depth;
        twin
    }

    /// An exchange for the same request, with the same variables.
    fn related(&self) -> Box<Exchange> {
        let mut related = Exchange::new(
            self.request.clone(),
            Rc::clone(&self.connection),
            Rc::clone(&self.server),
            self.started,
        );
        related.body = self.body.shared();
        related.detached = self.detached;
        related.relate_to(self);
        Box::new(related)
    }

    /// The body of the response to `sub`, which is run when the body is read.
    pub fn body_of_subrequest(sub: Box<Exchange>) -> Body {
        Body::Stream(Box::new(Later::Asked(sub)))
    }

    /// Runs `sub` while the request goes on, and forgets its response.
    pub fn run_in_background(mut sub: Box<Exchange>) {
        sub.detached = true;
        event::spawn(async move {
            let _ = runner::run_subrequest(&mut sub).await;
        });
    }
}

/// The body of a subrequest that may not have been run yet.
enum Later {
    Asked(Box<Exchange>),
    Answered(BodyReader),
}

impl ResponseStream for Later {
    fn next(&mut self) -> LocalBoxFuture<'_, Option<io::Result<Piece>>> {
        Box::pin(async move {
            if let Later::Asked(sub) = self {
                let body = runner::run_subrequest(sub).await;
                *self = Later::Answered(BodyReader::new(body));
            }
            match self {
                Later::Answered(reader) => Some(reader.next().await?.map(Piece::Bytes)),
                Later::Asked(_) => None,
            }
        })
    }
}
