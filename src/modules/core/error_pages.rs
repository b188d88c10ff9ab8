//! What stands in for a response with an error status, and what of errors is logged.

use super::{Row, Settings, flag, row};
use crate::config::context::{HTTP_SERVER_LOCATION, HTTP_SERVER_LOCATION_IF};
use crate::config::units;
use crate::config::{Mistake, Outcome, Use};
use crate::exchange::{ErrorPage, Template};
use crate::http::Status;

pub(super) const ROWS: &[Row] = &[
    row("error_page", HTTP_SERVER_LOCATION_IF)
        .syntax("code ... [=[response]] uri")
        .at_least(2)
        .doc("Answers what would be one of these statuses with another URI, and with its status if asked.")
        .append(|s| s.edit().error_pages = [].into(), error_page),
    flag("recursive_error_pages", HTTP_SERVER_LOCATION, "off")
        .doc("Lets an error page have error pages in turn.")
        .set(|s, d| d.flag().map(|on| s.edit().recursive_error_pages = on)),
    row("post_action", HTTP_SERVER_LOCATION_IF)
        .syntax("uri")
        .doc("Goes to the URI or named location once the response was sent; its answer is not.")
        .set(|s, d| {
            s.edit().post_action = Some(d.arg(0).into());
            Ok(())
        }),
    flag("log_not_found", HTTP_SERVER_LOCATION, "on")
        .doc("Reports files that are not found in the error log.")
        .set(|s, d| d.flag().map(|on| s.edit().log_not_found = on)),
    flag("log_subrequest", HTTP_SERVER_LOCATION, "off")
        .doc("Logs requests that the server makes to itself.")
        .set(|s, d| d.flag().map(|on| s.edit().log_subrequest = on)),
];

fn error_page(settings: &mut Settings, d: &mut Use<'_>) -> Outcome {
    let last = d.count() - 1;
    let overwrite = overwrite(d, last - 1)?;
    let codes = if overwrite.is_some() { last - 1 } else { last };
    let (target, args) = target(d, last)?;
    let mut pages = settings.core.error_pages.to_vec();
    for i in 0..codes {
        let status = status(d, i)?;
        pages.push(ErrorPage {
            statuses: vec![status],
            overwrite: overwrite.or_else(|| implied(status)),
            target: target.clone(),
            args: args.clone(),
        });
    }
    settings.edit().error_pages = pages.into();
    Ok(())
}

/// `=` or `=code` before the URI; the codes come first.
fn overwrite(d: &Use<'_>, i: usize) -> Result<Option<Option<Status>>, Mistake> {
    let Some(code) = d.parameter(i, "=") else {
        return Ok(None);
    };
    let invalid = || d.mistake(i, format!("invalid value \"{}\"", d.lossy(i)));
    if i == 0 {
        return Err(invalid());
    }
    match units::number(code) {
        _ if code.is_empty() => Ok(Some(None)),
        Some(0) => Ok(Some(None)),
        Some(code) => {
            let status = u16::try_from(code).ok().and_then(Status::from_u16);
            status.map(|status| Some(Some(status))).ok_or_else(invalid)
        }
        None => Err(invalid()),
    }
}

/// What goes out instead of nginx's own statuses unless something else is asked for.
fn implied(status: Status) -> Option<Option<Status>> {
    let outside = status.on_the_wire();
    (outside != status).then_some(Some(outside))
}

fn status(d: &Use<'_>, i: usize) -> Result<Status, Mistake> {
    let code = units::number(d.arg(i)).filter(|code| *code != 499);
    let code = code.ok_or_else(|| d.mistake(i, format!("invalid value \"{}\"", d.lossy(i))))?;
    match code {
        300..=599 => Ok(Status(code as u16)),
        _ => {
            let message = format!("value \"{}\" must be between 300 and 599", d.lossy(i));
            Err(d.mistake(i, message))
        }
    }
}

/// The URI, and the arguments of one that is a plain path.
fn target(d: &Use<'_>, i: usize) -> Result<(Template, Vec<u8>), Mistake> {
    let target = d.template(i)?;
    let plain = target.literal().filter(|text| text.first() == Some(&b'/'));
    let Some((path, args)) = plain.and_then(|text| {
        let question_mark = memchr::memchr(b'?', text)?;
        Some((&text[..question_mark], &text[question_mark + 1..]))
    }) else {
        return Ok((target, Vec::new()));
    };
    Ok((Template::text(path), args.to_vec()))
}
