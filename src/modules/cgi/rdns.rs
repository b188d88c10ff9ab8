//! `cgi_rdns`: the client's name for `REMOTE_HOST`, asked of the system's resolver by a thread
//! beside the loop.

use std::io;
use std::net::IpAddr;

use crate::event::{Work, offload};
use crate::exchange::Exchange;
use crate::http::Status;
use crate::log::errno::Errno;
use crate::log::level::Level;
use crate::sys::resolve::{host_addresses, host_name};

/// Whether and how to ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rdns {
    /// At all.
    pub on: bool,
    /// Whether the name must lead back to the address.
    pub double: bool,
    /// Whether requests without a name are refused.
    pub required: bool,
}

/// The client's name.
///
/// # Errors
/// The status for a client without one, where it is required.
pub async fn remote_host(exchange: &Exchange, rdns: Rdns) -> Result<Option<String>, Status> {
    let Some(ip) = exchange.client().ip().filter(|_| rdns.on) else {
        return Ok(None);
    };
    let found = offload(Work::Resolve, move || look_up(ip, rdns.double)).await;
    let result = found.and_then(|found| found);
    if !rdns.required {
        return Ok(result.ok().flatten());
    }
    result
        .and_then(|name| name.ok_or_else(|| io::ErrorKind::NotFound.into()))
        .map(Some)
        .map_err(|error| {
            exchange.log(
                Level::Error,
                format_args!("no name for {ip} (cgi_rdns) {}", Errno(&error)),
            );
            status_of(&error)
        })
}

fn look_up(ip: IpAddr, double: bool) -> io::Result<Option<String>> {
    let name = host_name(ip)?;
    Ok(name.filter(|name| !double || leads_to(name, ip)))
}

fn leads_to(name: &str, ip: IpAddr) -> bool {
    host_addresses(name).is_ok_and(|addresses| addresses.contains(&ip))
}

fn status_of(error: &io::Error) -> Status {
    match error.kind() {
        io::ErrorKind::NotFound => Status::FORBIDDEN,
        io::ErrorKind::TimedOut => Status::SERVICE_UNAVAILABLE,
        _ => Status::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_have_statuses() {
        let cases = [
            (io::ErrorKind::NotFound, 403),
            (io::ErrorKind::TimedOut, 503),
            (io::ErrorKind::Other, 500),
        ];
        for (kind, status) in cases {
            assert_eq!(status_of(&kind.into()), Status(status));
        }
    }

    #[test]
    fn a_name_leads_back_or_not() {
        assert!(leads_to("127.0.0.1", IpAddr::from([127, 0, 0, 1])));
        assert!(!leads_to("127.0.0.1", IpAddr::from([127, 0, 0, 2])));
    }
}
