//! How long connections stay: between requests, and while they close.

use super::{Row, flag, row};
use crate::config::context::HTTP_SERVER_LOCATION;
use crate::exchange::{KeepaliveDisable, LingeringClose};

/// Bits of `keepalive_disable`.
const MSIE6: u32 = 1;
const SAFARI: u32 = 2;
const NONE: u32 = 4;

pub(super) const ROWS: &[Row] = &[
    row("keepalive_timeout", HTTP_SERVER_LOCATION)
        .syntax("timeout [header_timeout]")
        .default("75s")
        .between(1, 2)
        .doc("Keeps idle connections open for so long, and tells clients so if asked; 0 closes at once.")
        .set(|s, d| {
            s.edit().keepalive_timeout = d.duration(0)?;
            if d.count() == 2 {
                s.edit().keepalive_header = Some(d.time_secs(1)?).filter(|seconds| *seconds > 0);
            }
            Ok(())
        }),
    row("keepalive_min_timeout", HTTP_SERVER_LOCATION)
        .syntax("timeout")
        .default("0")
        .doc("Keeps idle connections open for so long even when the server shuts down.")
        .set(|s, d| d.duration(0).map(|time| s.edit().keepalive_min_timeout = time)),
    row("keepalive_requests", HTTP_SERVER_LOCATION)
        .syntax("number")
        .default("1000")
        .doc("Closes a connection after so many requests.")
        .set(|s, d| d.number(0).map(|number| s.edit().keepalive_requests = number)),
    row("keepalive_time", HTTP_SERVER_LOCATION)
        .syntax("time")
        .default("1h")
        .doc("Closes a connection after the request during which it has become this old.")
        .set(|s, d| d.duration(0).map(|time| s.edit().keepalive_time = time)),
    row("keepalive_disable", HTTP_SERVER_LOCATION)
        .syntax("none | browser ...")
        .default("msie6")
        .between(1, 2)
        .doc("Closes connections of browsers that cannot keep them: msie6 after a POST, safari on macOS.")
        .append(
            |s| s.edit().keepalive_disable = KeepaliveDisable { msie6: false, safari: false },
            |s, d| {
                let bits = d.bits_from(0, &[("none", NONE), ("msie6", MSIE6), ("safari", SAFARI)])?;
                let disable = &mut s.edit().keepalive_disable;
                disable.msie6 |= bits & MSIE6 != 0;
                disable.safari |= bits & SAFARI != 0;
                Ok(())
            },
        ),
    row("lingering_close", HTTP_SERVER_LOCATION)
        .syntax("off | on | always")
        .default("on")
        .doc("Reads on before it closes, so that a client that still sends gets its response.")
        .set(|s, d| {
            s.edit().lingering_close = d.one_of(
                0,
                &[
                    ("off", LingeringClose::Off),
                    ("on", LingeringClose::On),
                    ("always", LingeringClose::Always),
                ],
            )?;
            Ok(())
        }),
    row("lingering_time", HTTP_SERVER_LOCATION)
        .syntax("time")
        .default("30s")
        .doc("Limits how long lingering_close reads on in all.")
        .set(|s, d| d.duration(0).map(|time| s.edit().lingering_time = time)),
    row("lingering_timeout", HTTP_SERVER_LOCATION)
        .syntax("time")
        .default("5s")
        .doc("Ends lingering_close when the client sends nothing for so long.")
        .set(|s, d| d.duration(0).map(|time| s.edit().lingering_timeout = time)),
    flag("reset_timedout_connection", HTTP_SERVER_LOCATION, "off")
        .doc("Resets connections that timed out, so that the kernel forgets them at once.")
        .set(|s, d| d.flag().map(|on| s.edit().reset_timedout_connection = on)),
];
