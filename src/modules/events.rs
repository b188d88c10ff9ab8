//! The block `events`: how a worker waits and how many connections it has.

use std::rc::Rc;

use crate::config::context::{EVENTS, MAIN};
use crate::config::units::number;
use crate::config::{Directive, Finish, Mistake, Module, Outcome, directive};
use crate::exchange::EventSettings;

/// Directives of the block `events`.
pub struct Events;

/// What is said of events.
#[derive(Clone, Default)]
pub struct Settings {
    /// The values; those of the block `events` count.
    pub values: EventSettings,
    /// Whether the main block has a block `events`, which it must.
    given: bool,
}

type Row = Directive<Settings>;

const fn row(name: &'static str) -> Row {
    directive(name).contexts(EVENTS)
}

impl Module for Events {
    type Settings = Settings;
    const NAME: &'static str = "events";
    const DIRECTIVES: &'static [Row] = &[
        row("events")
            .contexts(MAIN)
            .none()
            .doc("Holds what is said of connections and how workers wait for them.")
            .open_from(
                EVENTS,
                |s, _| {
                    s.given = true;
                    Ok(())
                },
                |_, _| Ok(()),
            )
            .once(),
        row("worker_connections")
            .syntax("number")
            .default("512")
            .doc("Limits how many connections a worker has at a time, those to upstreams included.")
            .set(|s, d| {
                let number = number(d.arg(0)).and_then(|number| usize::try_from(number).ok());
                let invalid = || d.mistake(0, format!("invalid number \"{}\"", d.lossy(0)));
                s.values.worker_connections = number.ok_or_else(invalid)?;
                Ok(())
            }),
        row("use")
            .syntax("epoll | poll | select")
            .default("epoll")
            .doc("Chooses how the kernel is asked for events.")
            .set(|s, d| {
                let method = d.text(0)?.parse();
                s.values.method = method
                    .map_err(|()| d.mistake(0, format!("invalid event type \"{}\"", d.lossy(0))))?;
                Ok(())
            }),
        row("multi_accept")
            .syntax("on | off")
            .default("off")
            .flag()
            .doc("Accepts all waiting connections at once instead of one at a time.")
            .set(|s, d| d.flag().map(|on| s.values.multi_accept = on)),
        row("accept_mutex")
            .syntax("on | off")
            .default("off")
            .flag()
            .doc("Lets workers take turns in accepting connections.")
            .set(|s, d| d.flag().map(|on| s.values.accept_mutex = on)),
        row("accept_mutex_delay")
            .syntax("time")
            .default("500ms")
            .doc("Says how soon a worker whose turn it is not asks again.")
            .set(|s, d| d.duration(0).map(|time| s.values.accept_mutex_delay = time)),
        row("worker_aio_requests")
            .syntax("number")
            .default("32")
            .doc("Limits asynchronous reads of files, of which there are none here.")
            .tunes(),
        row("epoll_events")
            .syntax("number")
            .default("512")
            .doc("Sets how many events the kernel is asked for at a time.")
            .tunes(),
        row("debug_connection")
            .syntax("address | CIDR | unix:")
            .doc("Narrows debugging messages down to some clients.")
            .tunes_each(),
    ];

    fn finish(settings: &mut Rc<Settings>, block: &mut Finish<'_>) -> Outcome {
        match settings.given || !block.context().within(MAIN) {
            true => Ok(()),
            false => Err(Mistake::emerg(
                None,
                "no \"events\" section in configuration",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Method;
    use crate::modules::fixture::{found, load};
    use std::time::Duration;

    #[test]
    fn values() {
        let values = |text: &str| {
            let configuration = load(&format!("events {{ {text} }}")).unwrap();
            let block = configuration.root.within(EVENTS).next().unwrap();
            block.settings::<Events>().values.clone()
        };
        let s = values("debug_connection ::1; debug_connection unix:; worker_aio_requests 1;");
        assert_eq!((s.worker_connections, s.method), (512, Method::Epoll));
        assert!(!s.multi_accept && !s.accept_mutex);
        let s = values(
            "worker_connections 9; use poll; multi_accept on; accept_mutex on; accept_mutex_delay 1s;",
        );
        assert_eq!((s.worker_connections, s.method), (9, Method::Poll));
        assert!(s.multi_accept && s.accept_mutex);
        assert_eq!(s.accept_mutex_delay, Duration::from_secs(1));
    }

    #[test]
    fn mistakes() {
        for (text, expected) in [
            ("", "no \"events\" section in configuration"),
            ("events { } events { }", "\"events\" directive is duplicate"),
            ("events { use kqueue; }", "invalid event type \"kqueue\""),
            ("events { worker_connections x; }", "invalid number \"x\""),
        ] {
            assert_eq!(found(text), [expected], "{text}");
        }
    }
}
