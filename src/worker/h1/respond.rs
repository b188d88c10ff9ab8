//! Framing and sending a response.

use std::collections::VecDeque;
use std::io;

use super::Broken;
use super::head::{self, Delimiter};
use super::pace::Pace;
use super::wire::{PIECE, TURN, Wire};
use crate::event;
use crate::exchange::{Body, Exchange, FileBody, Piece, Response, ResponseStream};
use crate::files::is_settled;
use crate::http::{Method, Status, Version};
use crate::proto::h1::{chunked, response as writer};
use crate::sys::fs::pread;
use crate::worker::is_retiring;

/// Bodies up to this length are copied behind the head, so that both leave in one system call.
const COPY_LIMIT: u64 = 16 * 1024;

/// Sends the exchange's response; the last bytes may stay in the output until the next flush.
pub async fn send(wire: &Wire, exchange: &mut Exchange) -> Result<(), Broken> {
    if exchange.response().is_silent() {
        exchange.keep_alive = false;
        wire.give_up();
        return Ok(());
    }
    let body = write_head(wire, exchange);
    if !is_copied(wire, exchange, &body)? {
        send_body(wire, exchange, body).await?;
    }
    if wire.is_full() {
        wire.flush().await?;
    }
    exchange.sent.complete = true;
    Ok(())
}

/// Writes the head of the response, and gives back the body that is to follow it.
fn write_head(wire: &Wire, exchange: &mut Exchange) -> Body {
    wire.set_send_timeout(exchange.location.core.send_timeout);
    let response = exchange.response_mut();
    if response.status == Status::NO_CONTENT {
        response.clear_entity();
    }
    let body = std::mem::take(&mut response.body);
    let delimiter = delimit(exchange, &exchange.response(), &body);
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
            head::write(exchange, delimiter, output);
            exchange.sent.head = (output.len() - start) as u64;
        });
    }
    match delimiter {
        Delimiter::Nothing => Body::Empty,
        _ if exchange.request.method() == Method::Head => Body::Empty,
        _ => body,
    }
}

/// Copies a body that is short and may go out at once behind the head; says whether it did. So
/// both leave in one system call, and no future has to be made for it.
fn is_copied(wire: &Wire, exchange: &mut Exchange, body: &Body) -> Result<bool, Broken> {
    if exchange.sent.chunked {
        return Ok(false);
    }
    let length = match body {
        Body::Empty | Body::Page => return Ok(true),
        Body::Bytes(bytes) => bytes.len() as u64,
        Body::File(file) => file.length,
        Body::Pieces(_) | Body::Stream(_) => return Ok(false),
    };
    if length > COPY_LIMIT || !Pace::of(exchange).is_unlimited() {
        return Ok(false);
    }
    exchange.sent.body += length;
    match body {
        Body::File(file) => copy_file(wire, exchange, file)?,
        Body::Bytes(bytes) => wire.write(|output| output.extend_from_slice(bytes)),
        _ => {}
    }
    Ok(true)
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

async fn send_body(wire: &Wire, exchange: &mut Exchange, body: Body) -> Result<(), Broken> {
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
    wire: &Wire,
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
    wire: &Wire,
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
async fn send_piece(wire: &Wire, exchange: &mut Exchange, piece: Piece) -> Result<(), Broken> {
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

async fn send_at_once(wire: &Wire, exchange: &mut Exchange, piece: Piece) -> Result<(), Broken> {
    let length = piece.len();
    let chunked = exchange.sent.chunked && length > 0;
    if chunked {
        frame(wire, exchange, |output| {
            chunked::write_size(length as usize, output)
        });
    }
    let mut done = length;
    let sent = match piece {
        Piece::Bytes(bytes) if length <= COPY_LIMIT => {
            wire.write(|output| output.extend_from_slice(&bytes));
            Ok(())
        }
        Piece::File(file) if length <= COPY_LIMIT => copy_file(wire, exchange, &file),
        Piece::Bytes(bytes) => {
            done = 0;
            wire.send_behind(&bytes, &mut done).await
        }
        Piece::File(file) => {
            done = 0;
            send_file(wire, exchange, file, &mut done).await
        }
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

/// Sends a long range of a file; `done` counts what was sent, even if the rest can't be.
async fn send_file(
    wire: &Wire,
    exchange: &Exchange,
    mut body: FileBody,
    done: &mut u64,
) -> Result<(), Broken> {
    let core = &exchange.location.core;
    if core.sendfile {
        let range = body.offset..body.offset + body.length;
        let chunk = core.sendfile_max_chunk;
        let is_short = body.file.stat.size < core.sendfile_min_size;
        let mapping = is_short.then(|| body.file.mapping()).flatten();
        return match (mapping, body.file.fd()) {
            (Some(mapping), _) => wire.send_mapped(mapping, range, chunk, done).await,
            (None, Some(fd)) => wire.send_file(fd, range, chunk, done).await,
            (None, None) => Err(Broken),
        };
    }
    let is_long = body.length > TURN;
    while body.length > 0 {
        if is_long && done.is_multiple_of(TURN) {
            event::give_way().await;
        }
        let part = FileBody {
            length: body.length.min(PIECE),
            ..body.clone()
        };
        copy_file(wire, exchange, &part)?;
        wire.flush().await?;
        *done += part.length;
        body.offset += part.length;
        body.length -= part.length;
    }
    Ok(())
}

/// Copies a range of a file behind the output.
fn copy_file(wire: &Wire, exchange: &Exchange, body: &FileBody) -> Result<(), Broken> {
    if let Some(content) = body.file.content() {
        let range = body.offset as usize..(body.offset + body.length) as usize;
        let bytes = content.get(range).unwrap_or_default();
        wire.write(|output| output.extend_from_slice(bytes));
        return Ok(());
    }
    read_file(wire, body).map_err(|error| cut(exchange, &error))
}

/// Reads a range of a file behind the output; a small file that has not changed lately is
/// remembered.
fn read_file(wire: &Wire, body: &FileBody) -> io::Result<()> {
    let fd = body.file.fd().ok_or(io::ErrorKind::NotFound)?;
    let mut read = Ok(0);
    wire.write(|output| {
        let start = output.len();
        read = pread(fd, output, body.length as usize, body.offset);
        let is_whole =
            body.length == body.file.stat.size && output.len() - start == body.length as usize;
        if is_whole && is_settled(&body.file) {
            body.file.remember(&output[start..]);
        }
    });
    match read? as u64 == body.length {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
