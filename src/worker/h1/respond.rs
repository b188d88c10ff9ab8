//! Framing and sending a response.

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use super::Broken;
use super::head::{self, Delimiter};
use super::pace::Pace;
use super::wire::Wire;
use crate::event;
use crate::exchange::{Body, Exchange, FileBody, Piece, Response, ResponseStream};
use crate::files::is_settled;
use crate::http::{Method, Status, Version};
use crate::proto::h1::{chunked, response as writer};
use crate::sys::fs::pread;
use crate::worker::is_retiring;

/// Bodies up to this length are copied behind the head, so that both leave in one system call.
const COPY_LIMIT: u64 = 16 * 1024;

/// How much of a file is read at once where sendfile is off.
const READ_SIZE: u64 = 64 * 1024;

/// Sends `response` for `exchange`; the last bytes may stay in the output until the next flush.
pub async fn send(
    wire: &Rc<Wire>,
    exchange: &mut Exchange,
    mut response: Response,
) -> Result<(), Broken> {
    if response.is_silent() {
        exchange.keep_alive = false;
        wire.give_up();
        exchange.set_response(response);
        return Ok(());
    }
    wire.set_send_timeout(exchange.location.core.send_timeout);
    if response.status == Status::NO_CONTENT {
        response.clear_entity();
    }
    head::make_absolute(exchange, &mut response);
    let body = std::mem::take(&mut response.body);
    let delimiter = delimit(exchange, &response, &body);
    if delimiter == Delimiter::Close || is_retiring() {
        exchange.keep_alive = false;
    }
    exchange.sent.chunked = delimiter == Delimiter::Chunked;
    if let Delimiter::Length(length) = delimiter {
        exchange.sent.length = Some(length);
    }
    if exchange.request.version() != Version::Http09 {
        wire.write(|output| {
            let start = output.len();
            head::write(exchange, &response, delimiter, output);
            exchange.sent.head = (output.len() - start) as u64;
        });
    }
    exchange.set_response(response);
    if exchange.request.method() != Method::Head && delimiter != Delimiter::Nothing {
        send_body(wire, exchange, body).await?;
    }
    exchange.sent.complete = true;
    Ok(())
}

/// How the end of the body will be known.
fn delimit(exchange: &Exchange, response: &Response, body: &Body) -> Delimiter {
    if response.status.is_bodyless() {
        return Delimiter::Nothing;
    }
    let head_only = exchange.request.method() == Method::Head;
    let can_chunk = !head_only
        && exchange.request.version() >= Version::Http11
        && exchange.location.core.chunked_transfer_encoding;
    match body.len() {
        Some(_) if can_chunk && !response.rare.trailers.is_empty() => Delimiter::Chunked,
        Some(length) => Delimiter::Length(length),
        None if head_only => Delimiter::Nothing,
        None if can_chunk => Delimiter::Chunked,
        None => Delimiter::Close,
    }
}

async fn send_body(wire: &Rc<Wire>, exchange: &mut Exchange, body: Body) -> Result<(), Broken> {
    match body {
        Body::Empty | Body::Page => {}
        Body::Bytes(bytes) => send_piece(wire, exchange, Piece::Bytes(bytes)).await?,
        Body::File(file) => send_piece(wire, exchange, Piece::File(file)).await?,
        Body::Pieces(pieces) => send_pieces(wire, exchange, pieces).await?,
        Body::Stream(stream) => send_stream(wire, exchange, stream).await?,
    }
    if exchange.sent.chunked {
        end_chunks(wire, exchange);
    }
    Ok(())
}

async fn send_pieces(
    wire: &Rc<Wire>,
    exchange: &mut Exchange,
    pieces: VecDeque<Piece>,
) -> Result<(), Broken> {
    for piece in pieces {
        send_piece(wire, exchange, piece).await?;
    }
    Ok(())
}

/// Sends what a stream brings; output goes out before the stream makes us wait.
async fn send_stream(
    wire: &Rc<Wire>,
    exchange: &mut Exchange,
    mut stream: Box<dyn ResponseStream>,
) -> Result<(), Broken> {
    loop {
        let mut next = stream.next();
        let ready = super::poll_once(next.as_mut()).await;
        let item = match ready {
            Some(item) => item,
            None => {
                wire.flush().await?;
                next.await
            }
        };
        match item {
            None => return Ok(()),
            Some(Ok(piece)) => send_piece(wire, exchange, piece).await?,
            Some(Err(error)) => return Err(cut(exchange, &error)),
        }
    }
}

/// Writes the last chunk and the fields behind it.
fn end_chunks(wire: &Wire, exchange: &mut Exchange) {
    let templates = exchange.response().rare.trailers.clone();
    for (name, value) in templates {
        // A trailer may refer to those before it.
        let value = value.expand(exchange).into_owned();
        if !value.is_empty() {
            exchange.sent.trailers.append(name, value);
        }
    }
    let trailers = std::mem::take(&mut exchange.sent.trailers);
    frame(wire, exchange, |output| {
        output.extend_from_slice(b"0\r\n");
        writer::fields(&trailers, output);
        writer::end(output);
    });
    exchange.sent.trailers = trailers;
}

/// Writes framing, which counts as part of the body.
fn frame(wire: &Wire, exchange: &mut Exchange, append: impl FnOnce(&mut Vec<u8>)) {
    wire.write(|output| {
        let start = output.len();
        append(output);
        exchange.sent.body += (output.len() - start) as u64;
    });
}

fn cut(exchange: &Exchange, error: &io::Error) -> Broken {
    exchange.log(
        crate::log::level::Level::Error,
        format_args!("the response was cut short: {error}"),
    );
    Broken
}

/// Sends a piece, as fast as `limit_rate` lets it go.
async fn send_piece(wire: &Rc<Wire>, exchange: &mut Exchange, piece: Piece) -> Result<(), Broken> {
    let pace = Pace::of(exchange);
    if pace.is_unlimited() {
        return send_at_once(wire, exchange, piece).await;
    }
    let mut done = 0;
    while done < piece.len() {
        match pace.allowance(exchange) {
            Ok(most) => {
                let part = piece.part(done, most);
                done += part.len();
                send_at_once(wire, exchange, part).await?;
                wire.flush().await?;
                if done < piece.len() {
                    event::sleep(pace.time_for(exchange, most)).await;
                }
            }
            Err(wait) => {
                wire.flush().await?;
                event::sleep(wait).await;
            }
        }
    }
    Ok(())
}

async fn send_at_once(
    wire: &Rc<Wire>,
    exchange: &mut Exchange,
    piece: Piece,
) -> Result<(), Broken> {
    let length = piece.len();
    let chunked = exchange.sent.chunked && length > 0;
    if chunked {
        frame(wire, exchange, |output| {
            chunked::write_size(length as usize, output)
        });
    }
    let mut done = 0;
    let sent = match piece {
        Piece::Bytes(bytes) if length <= COPY_LIMIT => {
            wire.write(|output| output.extend_from_slice(&bytes));
            done = length;
            Ok(())
        }
        Piece::Bytes(bytes) => wire.send_behind(&bytes, &mut done).await,
        Piece::File(file) => send_file(wire, exchange, &file, &mut done).await,
    };
    exchange.sent.body += done;
    sent?;
    if chunked {
        frame(wire, exchange, |output| {
            output.extend_from_slice(chunked::CHUNK_END)
        });
    }
    if wire.is_full() {
        wire.flush().await?;
    }
    Ok(())
}

/// Sends a range of a file; `done` counts what was sent, even if the rest can't be.
async fn send_file(
    wire: &Rc<Wire>,
    exchange: &Exchange,
    body: &FileBody,
    done: &mut u64,
) -> Result<(), Broken> {
    if let Some(content) = body.file.content() {
        let range = body.offset as usize..(body.offset + body.length) as usize;
        let bytes = content.get(range).unwrap_or_default();
        wire.write(|output| output.extend_from_slice(bytes));
        *done = body.length;
        return Ok(());
    }
    let Some(fd) = body.file.fd() else {
        return Err(Broken);
    };
    if body.length <= COPY_LIMIT {
        *done = body.length;
        return copy_file(wire, exchange, body);
    }
    let core = &exchange.location.core;
    if core.sendfile {
        let range = body.offset..body.offset + body.length;
        let chunk = core.sendfile_max_chunk;
        let is_short = body.file.stat.size < core.sendfile_min_size;
        let mapping = is_short.then(|| body.file.mapping()).flatten();
        return match mapping {
            Some(mapping) => wire.send_mapped(mapping, range, chunk, done).await,
            None => wire.send_file(fd, range, chunk, done).await,
        };
    }
    let mut rest = body.clone();
    while rest.length > 0 {
        let part = FileBody {
            length: rest.length.min(READ_SIZE),
            ..rest.clone()
        };
        copy_file(wire, exchange, &part)?;
        wire.flush().await?;
        *done += part.length;
        rest.offset += part.length;
        rest.length -= part.length;
    }
    Ok(())
}

/// Copies a range of a file behind the output; small files that have not changed lately are remembered.
fn copy_file(wire: &Wire, exchange: &Exchange, body: &FileBody) -> Result<(), Broken> {
    let Some(fd) = body.file.fd() else {
        return Err(Broken);
    };
    let mut result = Ok(0);
    wire.write(|output| {
        let start = output.len();
        result = pread(fd, output, body.length as usize, body.offset);
        if body.length == body.file.stat.size
            && matches!(result, Ok(read) if read as u64 == body.length)
            && is_settled(&body.file)
        {
            body.file.remember(&output[start..]);
        }
    });
    match result {
        Ok(read) if read as u64 == body.length => Ok(()),
        Ok(_) => Err(cut(exchange, &io::ErrorKind::UnexpectedEof.into())),
        Err(error) => Err(cut(exchange, &error)),
    }
}
