//! Sizes that may depend on variables (`limit_rate $rate`).

use std::rc::Rc;

use super::{Exchange, Template};
use crate::log::level::Level;

/// Text with variables that comes to a number of bytes.
#[derive(Clone)]
pub struct Amount {
    text: Rc<Template>,
    parse: fn(&[u8]) -> Option<u64>,
}

impl Amount {
    /// What `parse` makes of `text`.
    pub fn new(text: Template, parse: fn(&[u8]) -> Option<u64>) -> Amount {
        let text = Rc::new(text);
        Amount { text, parse }
    }

    /// Its value for this exchange; 0 if that is no size, which is logged unless it is empty.
    pub fn of(&self, exchange: &Exchange) -> u64 {
        let text = self.text.expand(exchange);
        (self.parse)(&text).unwrap_or_else(|| {
            if !text.is_empty() {
                let text = String::from_utf8_lossy(&text);
                exchange.log(Level::Error, format_args!("invalid size \"{text}\""));
            }
            0
        })
    }
}
