//! The header of the PROXY protocol, ahead of the first request.

use super::wire::{Received, Wire};
use crate::event;
use crate::log::level::Level;
use crate::proto::proxy_protocol::{Parse, ProxyError, ProxyHeader, parse};

/// Reads the header and notes it on the connection; `false` if there is none to be had.
pub async fn read_header(wire: &Wire) -> bool {
    const DOING: &str = "while reading PROXY protocol";
    let connection = wire.connection();
    let settings = &connection.listener.default.settings;
    let deadline = event::now() + settings.client_header_timeout;
    loop {
        match wire.consume(take) {
            Ok(Some(header)) => {
                connection.set_proxy(header);
                return true;
            }
            Ok(None) => {}
            Err(error) => {
                let what = error.message();
                connection.log(Level::Error, format_args!("{what} {DOING}"));
                return false;
            }
        }
        let why = match wire.receive(deadline).await {
            Received::Bytes => continue,
            Received::End => "client closed connection",
            Received::TimedOut => "client timed out (110: Connection timed out)",
            Received::Failed => return false,
        };
        connection.log(Level::Info, format_args!("{why} {DOING}"));
        return false;
    }
}

/// The header at the start of `input`, once it is complete.
fn take(input: &[u8]) -> (usize, Result<Option<ProxyHeader>, ProxyError>) {
    match parse(input) {
        Ok(Parse::NeedMore) => (0, Ok(None)),
        Ok(Parse::Done { consumed, header }) => (consumed, Ok(Some(header.unwrap_or_default()))),
        Err(error) => (0, Err(error)),
    }
}
