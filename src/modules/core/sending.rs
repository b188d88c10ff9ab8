//! How responses go out, and what they say of the server.

use super::{Row, flag, row};
use crate::config::context::{HTTP_SERVER_LOCATION, HTTP_SERVER_LOCATION_IF};
use crate::config::{Mistake, Use, units};
use crate::exchange::{Amount, IfModifiedSince, Satisfy, ServerTokens};

/// Sending.
pub(super) const ROWS: &[Row] = &[
    flag("sendfile", HTTP_SERVER_LOCATION_IF, "off")
        .doc("Lets the kernel send files without copying them to the server first.")
        .set(|s, d| d.flag().map(|on| s.edit().sendfile = on)),
    row("sendfile_max_chunk", HTTP_SERVER_LOCATION)
        .syntax("size")
        .default("2m")
        .doc("Limits what one call to the kernel sends, so that a fast client leaves time for others.")
        .set(|s, d| d.size(0).map(|size| s.edit().sendfile_max_chunk = size)),
    row("sendfile_min_size", HTTP_SERVER_LOCATION)
        .syntax("size")
        .default("1m")
        .doc("Sends shorter files from memory the kernel shares with the server, which takes it less time than sendfile.")
        .set(|s, d| d.size(0).map(|size| s.edit().sendfile_min_size = size)),
    flag("tcp_nopush", HTTP_SERVER_LOCATION, "off")
        .doc("Sends the head of a response and the beginning of its file in the same packet.")
        .set(|s, d| d.flag().map(|on| s.edit().tcp_nopush = on)),
    flag("tcp_nodelay", HTTP_SERVER_LOCATION, "on")
        .doc("Sends small packets at once instead of waiting for more data to fill them.")
        .set(|s, d| d.flag().map(|on| s.edit().tcp_nodelay = on)),
    row("send_timeout", HTTP_SERVER_LOCATION)
        .syntax("time")
        .default("60s")
        .doc("Closes the connection when a client takes nothing of its response for so long.")
        .set(|s, d| d.duration(0).map(|time| s.edit().send_timeout = time)),
    row("limit_rate", HTTP_SERVER_LOCATION_IF)
        .syntax("rate")
        .default("0")
        .doc("Limits how many bytes a second a response goes out with; 0 is no limit.")
        .set(|s, d| {
            s.edit().limit_rate = Some(size(d)?);
            Ok(())
        }),
    row("limit_rate_after", HTTP_SERVER_LOCATION_IF)
        .syntax("size")
        .default("0")
        .doc("Sends so much of a response before its rate is limited.")
        .set(|s, d| {
            s.edit().limit_rate_after = Some(size(d)?);
            Ok(())
        }),
    flag("chunked_transfer_encoding", HTTP_SERVER_LOCATION, "on")
        .doc("Sends responses of unknown length in chunks (RFC 9112 section 7.1).")
        .set(|s, d| d.flag().map(|on| s.edit().chunked_transfer_encoding = on)),
    row("max_ranges", HTTP_SERVER_LOCATION)
        .syntax("number")
        .doc("Limits how many byte ranges a request may ask for; 0 turns ranges off.")
        .set(|s, d| {
            s.edit().max_ranges = Some(usize::try_from(d.number(0)?).unwrap_or(usize::MAX));
            Ok(())
        }),
];

/// What responses say.
pub(super) const RESPONSES: &[Row] = &[
    flag("etag", HTTP_SERVER_LOCATION, "on")
        .doc("Gives files an ETag header, made of their time and length.")
        .set(|s, d| d.flag().map(|on| s.edit().etag = on)),
    row("if_modified_since", HTTP_SERVER_LOCATION)
        .syntax("off | exact | before")
        .default("exact")
        .doc("Says how a file's time is compared with the If-Modified-Since header.")
        .set(|s, d| {
            s.edit().if_modified_since = d.one_of(
                0,
                &[
                    ("off", IfModifiedSince::Off),
                    ("exact", IfModifiedSince::Exact),
                    ("before", IfModifiedSince::Before),
                ],
            )?;
            Ok(())
        }),
    row("server_tokens", HTTP_SERVER_LOCATION)
        .syntax("on | off | build")
        .doc("Says whether the Server header and error pages tell the version.")
        .set(|s, d| {
            s.edit().server_tokens = d.one_of(
                0,
                &[
                    ("off", ServerTokens::Off),
                    ("on", ServerTokens::On),
                    ("build", ServerTokens::Build),
                ],
            )?;
            Ok(())
        }),
    flag("absolute_redirect", HTTP_SERVER_LOCATION, "on")
        .doc("Sends redirects with scheme and host instead of the path alone.")
        .set(|s, d| d.flag().map(|on| s.edit().absolute_redirect = on)),
    flag("server_name_in_redirect", HTTP_SERVER_LOCATION, "off")
        .doc("Redirects to the first server_name instead of the host the client asked for.")
        .set(|s, d| d.flag().map(|on| s.edit().server_name_in_redirect = on)),
    flag("port_in_redirect", HTTP_SERVER_LOCATION, "on")
        .doc("Names the port in redirects unless it is the scheme's own.")
        .set(|s, d| d.flag().map(|on| s.edit().port_in_redirect = on)),
    row("satisfy", HTTP_SERVER_LOCATION)
        .syntax("all | any")
        .default("all")
        .doc("Says whether a client must pass all checks of access or just one of them.")
        .set(|s, d| {
            s.edit().satisfy = d.one_of(0, &[("all", Satisfy::All), ("any", Satisfy::Any)])?;
            Ok(())
        }),
    row("auth_delay", HTTP_SERVER_LOCATION)
        .syntax("time")
        .default("0s")
        .doc(
            "Waits so long before a request is answered with 401, to make guessing passwords slow.",
        )
        .set(|s, d| d.duration(0).map(|time| s.edit().auth_delay = time)),
];

/// A size that may hold variables; one without is checked now.
fn size(d: &Use<'_>) -> Result<Amount, Mistake> {
    let template = d.template(0)?;
    if template.literal().is_some() {
        d.size(0)?;
    }
    Ok(Amount::new(template, units::size))
}
