//! How fast a response goes out (`limit_rate`, `limit_rate_after`), by nginx's reckoning.

use std::time::Duration;

use crate::exchange::{Amount, Exchange, Moment};

/// The limits of one response.
#[derive(Clone, Copy)]
pub struct Pace {
    /// Bytes a second; 0 is no limit.
    rate: u64,
    /// Bytes that go out before it is one.
    after: u64,
}

impl Pace {
    /// What was said of this response, in the configuration unless elsewhere.
    pub fn of(exchange: &mut Exchange) -> Pace {
        let amount = |given: &Option<Amount>| given.as_ref().map_or(0, |given| given.of(exchange));
        let core = &exchange.location.core;
        let rate = exchange.limit_rate;
        let rate = rate.unwrap_or_else(|| amount(&core.limit_rate));
        let after = match rate {
            0 => 0,
            _ => amount(&core.limit_rate_after),
        };
        exchange.limit_rate = Some(rate);
        Pace { rate, after }
    }

    /// Whether everything may go out at once.
    pub fn is_unlimited(self) -> bool {
        self.rate == 0
    }

    /// How many bytes may go out now, or how long to wait until some may: since the second in
    /// which the request came, there is room for as much as the rate says.
    pub fn allowance(self, exchange: &Exchange) -> Result<u64, Duration> {
        let seconds = Moment::now().0 / 1000 + 1;
        let seconds = seconds.saturating_sub(exchange.started.0 / 1000);
        let room = self.rate.saturating_mul(seconds).saturating_add(self.after);
        let sent = sent(exchange);
        match room.saturating_sub(sent) {
            0 => Err(self.time(sent - room) + Duration::from_millis(1)),
            room => Ok(room),
        }
    }

    /// How long the last `bytes` that went out have to last.
    pub fn time_for(self, exchange: &Exchange, bytes: u64) -> Duration {
        self.time(sent(exchange).saturating_sub(self.after).min(bytes))
    }

    fn time(self, bytes: u64) -> Duration {
        let millis = bytes.saturating_mul(1000).checked_div(self.rate);
        Duration::from_millis(millis.unwrap_or(0))
    }
}

/// How much of the response went out, head and framing included.
fn sent(exchange: &Exchange) -> u64 {
    exchange.sent.head + exchange.sent.body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (rate, bytes, millis) in [(1000, 0, 0), (1000, 500, 500), (3, 1, 333), (0, 9, 0)] {
            let pace = Pace { rate, after: 0 };
            assert_eq!(
                pace.time(bytes),
                Duration::from_millis(millis),
                "{rate} {bytes}"
            );
        }
    }
}
