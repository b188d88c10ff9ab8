//! From what a script says to a response.

use super::running::{Failure, Running};
use super::script_log::ScriptLog;
use super::stream::{BAD_CODING, Output, fill, note, premature};
use super::{Reply, refuse_body};
use crate::exchange::{Body, Exchange, Response, Target};
use crate::http::uri::parse_unsafe;
use crate::http::{Method, Status, Text, date};
use crate::log::level::Level;
use crate::proto::cgi_head::{CgiHead, HeadParser, Parse, Rules};
use crate::sys::process::Exit;

/// Reads the head of the script's output and makes a response of it.
///
/// # Errors
/// The status to answer with; the log says why.
pub async fn answer(exchange: &mut Exchange, mut running: Running) -> Result<Reply, Status> {
    let mut output = Vec::new();
    let head = match read_head(&mut running, &mut output).await {
        Ok(head) => head,
        Err(trouble) => {
            take_body_back(exchange, &mut running);
            return unheard(exchange, running, trouble).await;
        }
    };
    settle_body(exchange, &mut running);
    running.set_answered();
    if let Some(uri) = head.local_redirect() {
        let result = redirect(exchange, &running.log, uri);
        running.let_go();
        return result;
    }
    if intercepts(exchange, &running, head.final_status()) {
        return Ok(intercepted(*head, running));
    }
    respond(exchange, *head, running, output).await
}

/// Why there is no head.
enum Trouble {
    Failed(Failure),
    Wrong(String),
    /// The output ended before.
    Ended,
}

/// Reads the head; what follows it stays in `output`.
async fn read_head(running: &mut Running, output: &mut Vec<u8>) -> Result<Box<CgiHead>, Trouble> {
    if running.settings().body_only {
        return Ok(Box::default());
    }
    let rules = Rules {
        strict: running.settings().strict,
        limit: running.settings().buffer_size,
    };
    let mut parser = HeadParser::default();
    loop {
        if running.read(output).await.map_err(Trouble::Failed)? == 0 {
            return Err(Trouble::Ended);
        }
        match parser.parse(output, rules) {
            Ok(Parse::Incomplete) => {}
            Ok(Parse::Done(head, length)) => {
                output.drain(..length);
                return Ok(head);
            }
            Err(error) => return Err(Trouble::Wrong(error.to_string())),
        }
    }
}

/// What the client is told when a script says nothing that makes a response.
async fn unheard(
    exchange: &Exchange,
    mut running: Running,
    trouble: Trouble,
) -> Result<Reply, Status> {
    match trouble {
        Trouble::Failed(failure) => refuse(exchange, &running.log, &failure),
        Trouble::Wrong(why) => {
            let message = format_args!("the script's answer: {why}");
            running.log.log(Level::Error, message);
            Err(Status::INTERNAL_SERVER_ERROR)
        }
        Trouble::Ended => match running.finish().await {
            Ok(exit) => Err(headless(&running.log, exit)),
            Err(failure) => refuse(exchange, &running.log, &failure),
        },
    }
}

/// A body of which the script had nothing may still serve an error page; one it began is lost.
fn take_body_back(exchange: &mut Exchange, running: &mut Running) {
    match running.input.take_body() {
        Some(body) if body.taken() == 0 => exchange.body = body,
        Some(_) => exchange.keep_alive = false,
        None => {}
    }
}

/// What the client is told when a script could not be heard out.
fn refuse(exchange: &Exchange, log: &ScriptLog, failure: &Failure) -> Result<Reply, Status> {
    match failure {
        Failure::TimedOut(directive) => {
            let message = format_args!("the script did not answer in time ({directive})");
            log.log(Level::Error, message);
            Err(Status::GATEWAY_TIME_OUT)
        }
        Failure::ClientGone => {
            let message = format_args!("client prematurely closed connection, the script is ended");
            log.log(Level::Info, message);
            Ok(Reply::Response(Response::new(
                Status::CLIENT_CLOSED_REQUEST,
            )))
        }
        Failure::Body(error) => Err(refuse_body(exchange, error)),
        Failure::Coding => {
            log.log(Level::Error, format_args!("{BAD_CODING}"));
            Err(Status::BAD_GATEWAY)
        }
        Failure::Read(error) => {
            let message = format_args!("reading from the script failed: {error}");
            log.log(Level::Error, message);
            Err(Status::INTERNAL_SERVER_ERROR)
        }
    }
}

/// The script's output ended before its head was complete.
fn headless(log: &ScriptLog, exit: Option<Exit>) -> Status {
    let (why, status) = match exit {
        Some(Exit::Signal { signal, .. }) => {
            (format!("it died of signal {signal}"), Status::BAD_GATEWAY)
        }
        // What shells say of a command they could not find, or not run.
        Some(Exit::Code(127)) => ("it exited with code 127".into(), Status::NOT_FOUND),
        Some(Exit::Code(126)) => ("it exited with code 126".into(), Status::FORBIDDEN),
        Some(Exit::Code(code)) => (
            format!("it exited with code {code}"),
            Status::INTERNAL_SERVER_ERROR,
        ),
        None => ("it closed its output".into(), Status::INTERNAL_SERVER_ERROR),
    };
    let message = format_args!("the script's header does not exist or does not end: {why}");
    log.log(Level::Error, message);
    status
}

/// The body is either over, or it is being passed on, or the script did not want it.
fn settle_body(exchange: &mut Exchange, running: &mut Running) {
    if !exchange.body.is_pending() {
        return;
    }
    if running.input.is_done() {
        exchange.body = running.input.take_body().unwrap_or_default();
    } else {
        exchange.keep_alive = false;
    }
}

/// A local redirect: another page of this server, as if it had been asked for.
fn redirect(exchange: &mut Exchange, log: &ScriptLog, uri: &[u8]) -> Result<Reply, Status> {
    let Some((path, args)) = parse_unsafe(uri) else {
        let uri = String::from_utf8_lossy(uri);
        let message = format_args!("unsafe Location \"{uri}\" of a script");
        log.log(Level::Error, message);
        return Err(Status::INTERNAL_SERVER_ERROR);
    };
    if exchange.method != Method::Head {
        exchange.method = Method::Get;
    }
    let target = Target::Uri {
        path: path.into_owned(),
        args: args.to_vec(),
    };
    Ok(Reply::Elsewhere(target))
}

/// Whether `cgi_intercept_errors` and an `error_page` replace what the script says.
fn intercepts(exchange: &Exchange, running: &Running, status: Status) -> bool {
    let pages = &exchange.location.core.error_pages;
    running.settings().intercept_errors
        && status.as_u16() >= 300
        && pages.iter().any(|page| page.statuses.contains(&status))
}

fn intercepted(head: CgiHead, running: Running) -> Reply {
    let mut response = Response::page(head.final_status());
    response.location = head.location.map(Text::Owned);
    let name = b"WWW-Authenticate";
    for value in head.headers.get_all(name) {
        let value = Text::Owned(value.to_vec());
        response.headers.append("WWW-Authenticate", value);
    }
    running.let_go();
    Reply::Response(response)
}

/// The script's own answer, with a length if it is there already.
async fn respond(
    exchange: &mut Exchange,
    head: CgiHead,
    mut running: Running,
    mut output: Vec<u8>,
) -> Result<Reply, Status> {
    let left = head.content_length.filter(|_| !head.chunked);
    if head.chunked
        && let Err(failure) = running.set_chunked(&mut output)
    {
        return refuse(exchange, &running.log, &failure);
    }
    let unbuffered = head.nph || exchange.method == Method::Head;
    let mut response = response(head, &running);
    let ended = match unbuffered {
        true => false,
        false => match fill(&mut running, &mut output).await {
            Ok(ended) => ended,
            Err(failure) => return refuse(exchange, &running.log, &failure),
        },
    };
    settle_body(exchange, &mut running);
    if !ended {
        response.body = Body::Stream(Box::new(Output::new(running, output, left)));
        return Ok(Reply::Response(response));
    }
    let exit = match running.finish().await {
        Ok(exit) => exit,
        Err(failure) => return refuse(exchange, &running.log, &failure),
    };
    note(&running.log, exit);
    let short = left.is_some_and(|left| left > output.len() as u64);
    if let Some(error) = premature(exit, short) {
        running.log.log(Level::Error, format_args!("{error}"));
        return Err(Status::BAD_GATEWAY);
    }
    if let Some(left) = left {
        output.truncate(usize::try_from(left).unwrap_or(usize::MAX));
    }
    response.body = Body::Bytes(Text::Owned(output));
    Ok(Reply::Response(response))
}

fn response(head: CgiHead, running: &Running) -> Response {
    let mut response = Response {
        status: head.final_status(),
        location: head.location.map(Text::Owned),
        ..Response::default()
    };
    if let Some(text) = head.status_text {
        response.rare.status_text = Some(text.into());
    }
    let content_type = head.content_type.map(Text::Owned);
    response.set_field(&"Content-Type".into(), content_type);
    for field in &head.headers {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name.as_bytes());
        if is("X-Accel-Charset") && !field.value.is_empty() {
            response.rare.override_charset = Some(field.value[..].into());
        }
        if running.settings().hides(&field.name) {
            continue;
        }
        if is("ETag") {
            response.entity.etag = Some(field.value.clone());
        } else if let Some(time) = date::parse(&field.value).filter(|_| is("Last-Modified")) {
            response.entity.last_modified = Some(time);
        } else {
            response
                .headers
                .append(field.name.clone(), field.value.clone());
        }
    }
    response
}
