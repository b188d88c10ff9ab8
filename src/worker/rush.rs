//! Rushes: many new connections in a short time.
//!
//! As a rule a connection is accepted the moment it exists. Four in five have no bytes to read yet,
//! so each is read in vain, registered and waited for, which makes it cost half as much again. In a
//! rush the kernel is asked to keep connections back until their clients have spoken
//! (`TCP_DEFER_ACCEPT`): then each is accepted, read, answered and closed without epoll ever
//! learning of it. A client that stays silent is accepted about a second later, which is why this
//! is not the rule.

use std::time::Duration;

use crate::event::Instant;

/// So many connections within a second, to one worker at one address, are a rush.
const MANY: usize = 1000;

const PERIOD: Duration = Duration::from_secs(1);

/// Tells when a rush begins and ends.
#[derive(Debug, Default)]
pub struct Rush {
    /// When the present period began.
    began: Option<Instant>,
    /// How many connections have come in it.
    count: usize,
    is_on: bool,
}

impl Rush {
    /// Notes how many connections have come by `now`. `Some(true)` is the beginning of a rush,
    /// `Some(false)` its end.
    pub fn note(&mut self, accepted: usize, now: Instant) -> Option<bool> {
        let began = *self.began.get_or_insert(now);
        let was_on = self.is_on;
        if now.since(began) >= PERIOD {
            self.is_on &= self.count >= MANY;
            (self.began, self.count) = (Some(now), 0);
        }
        self.count += accepted;
        self.is_on |= self.count >= MANY;
        (self.is_on != was_on).then_some(self.is_on)
    }

    /// Whether there is one.
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Until when to wait for connections before it may be over; `None`: there is none.
    pub fn deadline(&self) -> Option<Instant> {
        let began = self.began.filter(|_| self.is_on)?;
        Some(began + PERIOD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event;

    #[test]
    fn it_begins_and_ends() {
        let mut rush = Rush::default();
        let start = event::now();
        let steps = [
            (0, 999, None),
            (900, 0, None),
            (1_000, 999, None),
            (1_500, 1, Some(true)),
            (2_000, 1_000, None),
            (3_000, 999, None),
            (3_999, 0, None),
            (4_000, 0, Some(false)),
            (9_000, 10, None),
        ];
        for (ms, accepted, expected) in steps {
            let now = start + Duration::from_millis(ms);
            assert_eq!(rush.note(accepted, now), expected, "{ms}");
            assert_eq!(rush.deadline().is_some(), rush.is_on());
        }
    }
}
