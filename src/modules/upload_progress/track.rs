//! Counting uploads, noting their ends, and looking them up.

use std::rc::Rc;
use std::time::Duration;

use super::output::{Report, State, callback_of};
use super::{Settings, Uploads};
use crate::event;
use crate::exchange::{
    BodyError, BodySource, Exchange, Handler, LocalBoxFuture, Logger, Response, Step, Zone,
};
use crate::http::{Headers, Method, Status};

/// What a zone says of an upload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// What has come.
    received: u64,
    /// The length; 0 if the client did not tell.
    length: u64,
    /// The status of its response; 0 while it is coming.
    status: u64,
    /// When it is forgotten, in seconds since 1970; 0 while it is coming.
    until: u64,
}

impl Counted {
    /// The words of an entry.
    pub const WORDS: usize = 4;

    fn load(words: &[u64]) -> Option<Counted> {
        let &[received, length, status, until] = words else {
            return None;
        };
        Some(Counted {
            received,
            length,
            status,
            until,
        })
    }

    fn state(&self) -> State {
        match self.status {
            0 => State::Uploading,
            400.. => State::Error,
            _ => State::Done,
        }
    }
}

/// Tracks requests of a location.
pub struct Tracker(pub Rc<Settings>);

/// What is noted of a tracked request.
#[derive(Clone)]
struct Tracked {
    zone: Rc<Zone<Uploads>>,
    id: Rc<[u8]>,
    /// For how many seconds it is remembered.
    keep: u64,
}

impl Handler for Tracker {
    fn handle<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let tracked = self
            .tracked(exchange)
            .filter(|_| exchange.body.is_pending());
        let Some(tracked) = tracked.filter(|_| exchange.noted::<Tracked>().is_none()) else {
            return Step::Declined;
        };
        let begun = Counted {
            length: exchange.request.framing.content_length.unwrap_or(0),
            ..Counted::default()
        };
        tracked.store(begun);
        let counting = tracked.clone();
        exchange.body.wrap(|source| {
            Box::new(Counting {
                source,
                tracked: counting,
                counted: begun,
            })
        });
        exchange.note(tracked);
        Step::Declined
    }
}

impl Tracker {
    /// Where and how to track this request, if it is to be.
    fn tracked(&self, exchange: &Exchange) -> Option<Tracked> {
        let (zone, keep) = self.0.track.as_ref()?;
        let is_upload = !matches!(exchange.request.method(), Method::Get | Method::Head);
        Some(Tracked {
            zone: Rc::clone(zone),
            id: Rc::from(self.0.id(exchange).filter(|_| is_upload)?),
            keep: *keep,
        })
    }
}

impl Logger for Tracker {
    fn log(&self, exchange: &Exchange) {
        let status = u64::from(exchange.response().status.as_u16());
        if let Some(tracked) = exchange.noted::<Tracked>() {
            return tracked.end(status);
        }
        // One that was refused before it was tracked, such as for its length.
        if status >= 400
            && let Some(tracked) = self.tracked(exchange)
        {
            tracked.end(status);
        }
    }
}

impl Tracked {
    /// Writes what is known of the upload. Where there is no room, the one gives way of which
    /// nothing was heard for the longest time.
    fn store(&self, counted: Counted) {
        let key = self.zone.key(&self.id);
        self.zone.with(|table| {
            let mut place = table.find(key).or_else(|| table.insert(key));
            if place.is_none()
                && let Some(oldest) = table.oldest()
            {
                table.remove(oldest);
                place = table.insert(key);
            }
            if let Some(place) = place {
                table.touch(place);
                let Counted {
                    received,
                    length,
                    status,
                    until,
                } = counted;
                let words = table.value(place);
                words.copy_from_slice(&[received, length, status, until]);
            }
        });
    }

    fn end(&self, status: u64) {
        let counted = look_up(&self.zone, &self.id).unwrap_or_default();
        self.store(Counted {
            status,
            until: now() + self.keep,
            ..counted
        });
    }
}

fn look_up(zone: &Zone<Uploads>, id: &[u8]) -> Option<Counted> {
    let key = zone.key(id);
    let found = zone.with(|table| {
        let place = table.find(key)?;
        let counted = Counted::load(table.value(place))?;
        if counted.until > 0 && counted.until < now() {
            table.remove(place);
            return None;
        }
        Some(counted)
    });
    found.flatten()
}

fn now() -> u64 {
    event::unix_time().0.unsigned_abs()
}

/// A body that counts what is read of it.
struct Counting {
    source: Box<dyn BodySource>,
    tracked: Tracked,
    counted: Counted,
}

impl BodySource for Counting {
    fn read<'a>(
        &'a mut self,
        out: &'a mut Vec<u8>,
    ) -> LocalBoxFuture<'a, Result<usize, BodyError>> {
        Box::pin(async move {
            let read = self.source.read(out).await?;
            if read > 0 {
                self.counted.received += read as u64;
                self.tracked.store(self.counted);
            }
            Ok(read)
        })
    }

    fn set_limits(&mut self, bytes: u64, patience: Duration) {
        self.source.set_limits(bytes, patience);
    }

    fn withhold_continue(&mut self) {
        self.source.withhold_continue();
    }

    fn taken(&self) -> u64 {
        self.source.taken()
    }

    fn inform(&mut self, status: Status, headers: &Headers) {
        self.source.inform(status, headers);
    }
}

/// Answers how far an upload is.
pub struct Reporter(pub Rc<Settings>);

impl Handler for Reporter {
    fn handle<'a>(&'a self, exchange: &'a mut Exchange) -> Step<'a> {
        let Some(zone) = &self.0.report else {
            return Step::Declined;
        };
        if !matches!(exchange.method, Method::Get | Method::Head) {
            return Step::status(Status::NOT_ALLOWED);
        }
        let counted = self.0.id(exchange).and_then(|id| look_up(zone, id));
        let found = counted.unwrap_or_default();
        let report = Report {
            state: counted.map_or(State::Starting, |counted| counted.state()),
            length: found.length,
            received: found.received,
            status: found.status,
            callback: callback_of(exchange, &self.0),
        };
        let (content_type, body) = report.write(exchange, &self.0);
        let mut response = Response::bytes(Status::OK, content_type, body);
        let headers = &mut response.headers;
        headers.append("Expires", "Thu, 01 Jan 1970 00:00:01 GMT");
        headers.append("Cache-Control", "no-cache");
        Step::Respond(response)
    }
}
