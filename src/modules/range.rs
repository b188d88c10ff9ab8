//! Requests for parts of a response (RFC 9110 section 14).

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::ops::Range;
use std::rc::Rc;

use crate::config::{Directive, Module};
use crate::exchange::{
    Body, Exchange, FileBody, Filter, LocalBoxFuture, Location, Piece, Response, ResponseStream,
};
use crate::http::conditional::{Validators, if_range_holds};
use crate::http::range::{self, Ranges};
use crate::http::{KnownHeader, Status, Text, Version};

/// Cuts bodies to what was asked for; always there. `max_ranges` is among the core's directives.
#[derive(Clone, Default)]
pub struct RangeFilter;

impl Module for RangeFilter {
    type Settings = Self;
    const NAME: &'static str = "range";
    const DIRECTIVES: &'static [Directive<Self>] = &[];

    fn install(_: &Rc<Self>, location: &mut Location) {
        if location.core.max_ranges != Some(0) {
            location.filters.push(Rc::new(RangeFilter));
        }
    }
}

impl Filter for RangeFilter {
    fn filter(&self, exchange: &Exchange, response: &mut Response) {
        let Some(length) = divisible_length(exchange, response) else {
            return;
        };
        match wanted(exchange, response, length) {
            Ranges::Ignore => response.accepts_ranges = true,
            Ranges::Unsatisfiable => {
                // The page that is sent instead is not coded as the file is.
                response.headers.remove(b"Content-Encoding");
                response
                    .headers
                    .set("Content-Range", range::unsatisfied(length));
                response.status = Status::RANGE_NOT_SATISFIABLE;
                response.body = Body::Page;
            }
            Ranges::Partial(ranges) => match &*ranges {
                [one] => *response = single(std::mem::take(response), one, length),
                // A stream can't go back for another part.
                _ if matches!(response.body, Body::Stream(_)) => {}
                several => *response = multipart(std::mem::take(response), several, length),
            },
        }
    }
}

/// The length of the response's body, if parts of it may be served.
fn divisible_length(exchange: &Exchange, response: &Response) -> Option<u64> {
    let allowed = response.ranges && response.status == Status::OK;
    if !allowed || exchange.request.version() < Version::Http10 {
        return None;
    }
    response.body.len()
}

fn wanted(exchange: &Exchange, response: &Response, length: u64) -> Ranges {
    let request = &exchange.request;
    let Some(header) = request.known(KnownHeader::Range) else {
        return Ranges::Ignore;
    };
    let found = Validators {
        etag: response.entity.etag.as_deref(),
        last_modified: response.entity.last_modified,
        date: None,
    };
    let condition = request.known(KnownHeader::IfRange);
    if condition.is_some_and(|condition| !if_range_holds(condition, &found)) {
        return Ranges::Ignore;
    }
    range::parse(header, length, exchange.location.core.max_ranges)
}

fn single(mut response: Response, range: &Range<u64>, length: u64) -> Response {
    response
        .headers
        .set("Content-Range", range::content_range(range, length));
    response.body = match response.body {
        Body::Stream(stream) => Body::Stream(Box::new(Window {
            stream,
            skip: range.start,
            left: range.end - range.start,
        })),
        body => match into_pieces(body) {
            Pieces::One(piece) => into_body(cut(&piece, range)),
            Pieces::Several(pieces) => Body::Pieces(slice(&pieces, range).collect()),
        },
    };
    response.status = Status::PARTIAL_CONTENT;
    response
}

/// A stretch of a stream.
struct Window {
    stream: Box<dyn ResponseStream>,
    /// Bytes before it, still to come.
    skip: u64,
    /// Bytes of it, still to come.
    left: u64,
}

impl ResponseStream for Window {
    fn next(&mut self) -> LocalBoxFuture<'_, Option<io::Result<Piece>>> {
        Box::pin(async move {
            while self.left > 0 {
                let piece = match self.stream.next().await? {
                    Ok(piece) => piece,
                    Err(error) => return Some(Err(error)),
                };
                let before = self.skip.min(piece.len());
                self.skip -= before;
                let part = piece.part(before, self.left);
                self.left -= part.len();
                if !part.is_empty() {
                    return Some(Ok(part));
                }
            }
            None
        })
    }

    fn remaining(&self) -> Option<u64> {
        Some(self.left)
    }
}

/// One part a range, each with its own head (RFC 9110 section 14.6).
fn multipart(mut response: Response, ranges: &[Range<u64>], length: u64) -> Response {
    let boundary = new_boundary();
    let head = part_head(&response, &boundary);
    let pieces = match into_pieces(std::mem::take(&mut response.body)) {
        Pieces::One(piece) => VecDeque::from([piece]),
        Pieces::Several(pieces) => pieces,
    };
    let mut parts = VecDeque::with_capacity(2 * ranges.len() + 1);
    for range in ranges {
        let numbers = range::content_range(range, length);
        let head = [&*head, b"Content-Range: ", numbers.as_bytes(), b"\r\n\r\n"].concat();
        parts.push_back(Piece::Bytes(head.into()));
        parts.extend(slice(&pieces, range));
    }
    parts.push_back(Piece::Bytes(format!("\r\n--{boundary}--\r\n").into()));
    response.entity.content_type =
        Some(format!("multipart/byteranges; boundary={boundary}").into());
    response.entity.charset = None;
    response.headers.remove(b"Content-Range");
    response.status = Status::PARTIAL_CONTENT;
    response.body = Body::Pieces(parts);
    response
}

/// The head of a part, but for its `Content-Range`.
fn part_head(response: &Response, boundary: &str) -> Vec<u8> {
    let mut head = format!("\r\n--{boundary}\r\n").into_bytes();
    if let Some(content_type) = &response.entity.content_type {
        head.extend_from_slice(b"Content-Type: ");
        head.extend_from_slice(content_type);
        if let Some(charset) = &response.entity.charset {
            head.extend_from_slice(b"; charset=");
            head.extend_from_slice(charset);
        }
        head.extend_from_slice(b"\r\n");
    }
    head
}

/// A delimiter that nobody can have put into a body: twenty digits of a keyed hash.
fn new_boundary() -> String {
    format!("{:020}", RandomState::new().hash_one(()))
}

/// A body in memory or in files.
enum Pieces {
    One(Piece),
    Several(VecDeque<Piece>),
}

fn into_pieces(body: Body) -> Pieces {
    match body {
        Body::Bytes(bytes) => Pieces::One(Piece::Bytes(bytes)),
        Body::File(file) => Pieces::One(Piece::File(file)),
        Body::Pieces(pieces) => Pieces::Several(pieces),
        Body::Empty | Body::Page | Body::Stream(_) => Pieces::One(Piece::Bytes(Text::EMPTY)),
    }
}

fn into_body(piece: Piece) -> Body {
    match piece {
        Piece::Bytes(bytes) => Body::Bytes(bytes),
        Piece::File(file) => Body::File(file),
    }
}

/// The parts of the pieces that lie in the range.
fn slice<'a>(
    pieces: &'a VecDeque<Piece>,
    range: &'a Range<u64>,
) -> impl Iterator<Item = Piece> + 'a {
    let mut start = 0;
    pieces.iter().filter_map(move |piece| {
        let from = range.start.max(start) - start;
        start += piece.len();
        let to = (range.end.min(start) + piece.len()).checked_sub(start)?;
        (from < to).then(|| cut(piece, &(from..to)))
    })
}

/// A stretch of a piece, which must lie inside it.
fn cut(piece: &Piece, range: &Range<u64>) -> Piece {
    match piece {
        Piece::File(file) => {
            let length = range.end - range.start;
            Piece::File(FileBody {
                file: Rc::clone(&file.file),
                offset: file.offset + range.start,
                length,
            })
        }
        Piece::Bytes(Text::Static(bytes)) => Piece::Bytes(Text::Static(inside(bytes, range))),
        Piece::Bytes(bytes) => Piece::Bytes(inside(bytes, range).to_vec().into()),
    }
}

fn inside<'a>(bytes: &'a [u8], range: &Range<u64>) -> &'a [u8] {
    bytes
        .get(range.start as usize..range.end as usize)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::tests::trial::{self, Site, field, status};

    fn text(pieces: impl IntoIterator<Item = Piece>) -> Vec<u8> {
        let bytes = pieces.into_iter().flat_map(|piece| match piece {
            Piece::Bytes(bytes) => bytes.to_vec(),
            Piece::File(_) => panic!("no file was put in"),
        });
        bytes.collect()
    }

    fn letters() -> VecDeque<Piece> {
        let pieces: [Text; 4] = ["abc".into(), "".into(), vec![b'd'].into(), "efgh".into()];
        pieces.into_iter().map(Piece::Bytes).collect()
    }

    #[test]
    fn pieces_are_cut_where_the_range_begins_and_ends() {
        let whole = b"abcdefgh";
        for start in 0..8 {
            for end in start + 1..=8 {
                let cut = text(slice(&letters(), &(start..end)));
                assert_eq!(cut, &whole[start as usize..end as usize], "{start}..{end}");
            }
        }
    }

    #[test]
    fn a_single_range_keeps_the_content_type() {
        let response = Response::bytes(Status::OK, "text/plain", "abcdefgh");
        let part = single(response, &(2..4), 8);
        assert_eq!(part.status, Status::PARTIAL_CONTENT);
        assert_eq!(
            part.headers.get(b"Content-Range"),
            Some(&b"bytes 2-3/8"[..])
        );
        assert_eq!(part.entity.content_type, Some("text/plain".into()));
        assert!(matches!(part.body, Body::Bytes(bytes) if bytes == "cd"));
    }

    #[test]
    fn several_ranges_become_parts_with_heads() {
        let mut response = Response::bytes(Status::OK, "text/plain", "abcdefgh");
        response.entity.charset = Some("utf-8".into());
        let parts = multipart(response, &[0..1, 6..8], 8);
        let content_type = parts.entity.content_type.clone().unwrap();
        let content_type = std::str::from_utf8(&content_type).unwrap();
        let boundary = content_type
            .strip_prefix("multipart/byteranges; boundary=")
            .unwrap();
        assert!(boundary.len() == 20 && boundary.bytes().all(|byte| byte.is_ascii_digit()));
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes "
        );
        let expected = format!("{head}0-0/8\r\n\r\na{head}6-7/8\r\n\r\ngh\r\n--{boundary}--\r\n");
        let Body::Pieces(pieces) = parts.body else {
            panic!("no parts")
        };
        assert_eq!(String::from_utf8(text(pieces)).unwrap(), expected);
        assert_eq!(
            (parts.status, parts.entity.charset.clone()),
            (Status::PARTIAL_CONTENT, None)
        );
    }

    #[test]
    fn no_two_boundaries_are_the_same() {
        assert_ne!(new_boundary(), new_boundary());
    }

    #[test]
    fn requests_for_ranges_of_a_file() {
        let site = Site::new(
            "add_header X y; location /none { max_ranges 0; } location /one { max_ranges 1; }",
        );
        for name in ["a", "none", "one"] {
            site.write(name, "abcdefgh");
        }
        let cases = [
            ("/a", "bytes=0-2", 206, "abc", Some("bytes 0-2/8")),
            ("/a", "bytes=-3", 206, "fgh", Some("bytes 5-7/8")),
            ("/a", "bytes=9-", 416, "", Some("bytes */8")),
            ("/a", "lines=1-2", 200, "abcdefgh", None),
            ("/none", "bytes=0-2", 200, "abcdefgh", None),
            ("/one", "bytes=0-0,2-2", 200, "abcdefgh", None),
            ("/missing", "bytes=0-2", 404, "", None),
        ];
        for (target, range, expected, body, content_range) in cases {
            let response = site.get(target, &[&format!("Range: {range}")]);
            assert_eq!(status(&response), expected, "{target} {range}");
            assert_eq!(
                field(&response, "Content-Range"),
                content_range,
                "{target} {range}"
            );
            assert!(
                expected >= 400 || trial::text(&response) == body,
                "{target} {range}"
            );
            let offered = expected == 200 && target != "/none";
            assert_eq!(
                field(&response, "Accept-Ranges"),
                offered.then_some("bytes"),
                "{target} {range}"
            );
            let added = (expected != 404).then_some("y");
            assert_eq!(field(&response, "X"), added, "{target} {range}");
        }
    }

    #[test]
    fn if_range_must_hold() {
        let site = Site::new("");
        site.write("a", "abcdefgh");
        let etag = site.get("/a", &[]).entity.etag.clone().unwrap();
        let etag = String::from_utf8(etag.to_vec()).unwrap();
        for (condition, expected) in [(etag.as_str(), 206), ("\"x\"", 200), ("yesterday", 200)] {
            let response = site.get(
                "/a",
                &["Range: bytes=0-0", &format!("If-Range: {condition}")],
            );
            assert_eq!(status(&response), expected, "{condition}");
        }
    }
}
