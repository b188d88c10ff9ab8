//! The header of the PROXY protocol, ahead of the first request.

use super::wire::{Received, Wire};
use crate::event;
use crate::exchange::VirtualHost;
use crate::proto::proxy_protocol::{Parse, ProxyError, ProxyHeader, parse};

/// Reads the header and notes it on the connection; `false` if there is none to be had.
pub async fn read_header(wire: &Wire, server: &VirtualHost) -> bool {
    let deadline = event::now() + server.settings.client_header_timeout;
    let log = &server.base.core.error_log;
    let number = Some(wire.connection().number);
    loop {
        match wire.consume(take) {
            Ok(Some(header)) => {
                wire.connection().set_proxy(header);
                return true;
            }
            Ok(None) => {}
            Err(error) => {
                log.log(
                    crate::log::level::Level::Error,
                    number,
                    format_args!("{} while reading PROXY protocol", error.message()),
                );
                return false;
            }
        }
        if wire.receive(deadline).await != Received::Bytes {
            return false;
        }
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
