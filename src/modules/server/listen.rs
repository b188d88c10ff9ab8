//! `listen`: an address, and how its socket is opened.

use super::{Row, ServerBlock};
use crate::config::context::SERVER;
use crate::config::units;
use crate::config::{Mistake, Outcome, Use, directive};
use crate::net::address::listen_addresses;
use crate::net::listen::{KeepAlive, ListenOptions};

/// Parameters that a socket for datagrams has no use for, in the order nginx looks for them.
const NOT_WITH_QUIC: [&str; 8] = [
    "fastopen",
    "backlog",
    "deferred",
    "multipath",
    "ssl",
    "http2",
    "so_keepalive",
    "proxy_protocol",
];

pub(super) const ROW: Row = directive("listen")
    .syntax(
        "address[:port] | port | unix:path [default_server] [ssl] [http2 | quic] \
         [proxy_protocol] [setfib=number] [fastopen=number] [backlog=number] [rcvbuf=size] \
         [sndbuf=size] [accept_filter=filter] [deferred] [bind] [ipv6only=on|off] [reuseport] \
         [multipath] [so_keepalive=on|off|[keepidle]:[keepintvl]:[keepcnt]]",
    )
    .default("*:80 | *:8000")
    .contexts(SERVER)
    .at_least(1)
    .doc("Names an address the server answers at, and how its socket is opened.")
    .repeat(listen);

fn listen(server: &mut ServerBlock, d: &mut Use<'_>) -> Outcome {
    let addresses = listen_addresses(d.arg(0)).map_err(|fault| {
        let message = format!("{fault} in \"{}\" of the \"listen\" directive", d.lossy(0));
        d.mistake(0, message)
    })?;
    let mut parameters = None;
    for address in addresses {
        let mut options = ListenOptions::new(address);
        let options = match &parameters {
            // Read once, so that what is to be said of them is said once.
            None => {
                (1..d.count()).try_for_each(|i| parameter(&mut options, d, i))?;
                check_quic(&options, d)?;
                parameters.insert(options).clone()
            }
            Some(known) => ListenOptions {
                address: options.address,
                ..ListenOptions::clone(known)
            },
        };
        server.listens.push((options, d.span()));
    }
    Ok(())
}

fn parameter(options: &mut ListenOptions, d: &Use<'_>, i: usize) -> Outcome {
    match d.arg(i) {
        b"default_server" | b"default" => options.default_server = true,
        b"ssl" => options.ssl = true,
        b"quic" => options.quic = true,
        b"proxy_protocol" => options.proxy_protocol = true,
        b"http2" => {
            d.warn(
                i,
                "the \"listen ... http2\" directive is deprecated, use the \"http2\" directive instead",
            );
            options.http2 = true;
        }
        filter if filter.starts_with(b"accept_filter=") => {
            let filter = d.lossy(i);
            d.warn(
                i,
                format!("accept filters \"{filter}\" are not supported on this platform, ignored"),
            );
        }
        _ => {
            socket_parameter(options, d, i)?;
            (options.set, options.bind) = (true, true);
        }
    }
    Ok(())
}

/// A parameter of the socket itself, of which an address has one.
fn socket_parameter(options: &mut ListenOptions, d: &Use<'_>, i: usize) -> Outcome {
    match d.arg(i) {
        b"bind" => {}
        b"deferred" => options.deferred = true,
        b"reuseport" => options.reuseport = true,
        b"multipath" => d.warn(i, "multipath is not supported on this platform, ignored"),
        _ => return valued_parameter(options, d, i),
    }
    Ok(())
}

fn valued_parameter(options: &mut ListenOptions, d: &Use<'_>, i: usize) -> Outcome {
    let Some((name, value)) = d.key_value(i) else {
        return Err(d.invalid_parameter(i));
    };
    let invalid = |name: &str| d.mistake(i, format!("invalid {name} \"{}\"", d.lossy(i)));
    let number = |name| int(units::number(value)).ok_or_else(|| invalid(name));
    let size = |name| int(units::size(value)).ok_or_else(|| invalid(name));
    match name {
        b"backlog" => {
            options.backlog = int(units::number(value))
                .filter(|n| *n > 0)
                .ok_or_else(|| invalid("backlog"))?;
        }
        b"rcvbuf" => options.rcvbuf = Some(size("rcvbuf")?),
        b"sndbuf" => options.sndbuf = Some(size("sndbuf")?),
        b"fastopen" => options.fastopen = Some(number("fastopen")?),
        b"setfib" => options.setfib = Some(number("setfib")?),
        b"ipv6only" if value.starts_with(b"o") => {
            options.ipv6only = match value {
                b"on" => true,
                b"off" => false,
                _ => {
                    let value = String::from_utf8_lossy(value);
                    return Err(d.mistake(i, format!("invalid ipv6only flags \"{value}\"")));
                }
            }
        }
        b"so_keepalive" => options.so_keepalive = Some(keep_alive(d, i, value)?),
        _ => return Err(d.invalid_parameter(i)),
    }
    Ok(())
}

fn int(number: Option<u64>) -> Option<i32> {
    number.and_then(|number| i32::try_from(number).ok())
}

/// `on`, `off` or `idle:interval:count`, of which at least one is given and not zero.
fn keep_alive(d: &Use<'_>, i: usize, value: &[u8]) -> Result<KeepAlive, Mistake> {
    let parts = match value {
        b"on" => Some([None; 3]),
        b"off" => return Ok(KeepAlive::Off),
        _ => keep_alive_parts(value),
    };
    let Some([idle, interval, count]) = parts else {
        let value = String::from_utf8_lossy(value);
        return Err(d.mistake(i, format!("invalid so_keepalive value: \"{value}\"")));
    };
    Ok(KeepAlive::On {
        idle,
        interval,
        count,
    })
}

fn keep_alive_parts(value: &[u8]) -> Option<[Option<i32>; 3]> {
    let mut parts = [None; 3];
    let readers = [units::time_secs, units::time_secs, units::number];
    let texts = value.splitn(3, |&byte| byte == b':');
    for ((part, text), read) in parts.iter_mut().zip(texts).zip(readers) {
        if !text.is_empty() {
            *part = Some(int(read(text))?).filter(|number| *number > 0);
        }
    }
    parts.iter().any(Option::is_some).then_some(parts)
}

fn check_quic(options: &ListenOptions, d: &Use<'_>) -> Outcome {
    let named = |name: &&str, i: &usize| {
        let rest = d.parameter(*i, name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"="))
    };
    let mut misplaced = NOT_WITH_QUIC.iter().filter_map(|name| {
        let i = (1..d.count()).find(|i| named(name, i))?;
        Some((name, i))
    });
    match misplaced.next().filter(|_| options.quic) {
        Some((name, i)) => Err(d.complaint(
            i,
            &format!("\"{name}\" parameter is incompatible with \"quic\""),
        )),
        None => Ok(()),
    }
}
