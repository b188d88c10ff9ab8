//! The head of a request (RFC 9112 section 2.1): request line and headers, parsed as they arrive.

use crate::http::{KnownHeader, Method, Span, Status, Version};

use super::field::{self, FieldLine};
use super::limits::{Budget, HeadOptions};
use super::request_line::{self, LineError, LineResult, RequestLine};

/// A request head: spans into the buffer it was read into, reusable for the next request.
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    /// The request line.
    pub line: RequestLine,
    /// The headers in the order they came.
    pub headers: Vec<Header>,
    /// Header lines left out because of their names (`ignore_invalid_headers`), for the log.
    pub ignored: Vec<Span>,
    first: FirstOfKind,
    progress: Progress,
}

/// One header; spans count from the start of the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The name as it was sent.
    pub name: Span,
    /// The value without surrounding spaces.
    pub value: Span,
    /// Which header it is, if the server knows it.
    pub known: KnownHeader,
}

impl Header {
    /// `name: value` for the log.
    fn text(&self, input: &[u8]) -> String {
        let [name, value] =
            [self.name, self.value].map(|span| String::from_utf8_lossy(span.of(input)));
        format!("{name}: {value}")
    }
}

/// The outcome of looking at what has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parse {
    /// All is well so far; the rest has not arrived.
    Incomplete,
    /// The head is complete.
    Done {
        /// Where it ends; the body begins there.
        consumed: usize,
    },
    /// The head is refused; the connection cannot go on after the answer.
    Error(HeadError),
}

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// The request line is wrong.
    Line(LineError),
    /// The request line does not fit in a buffer.
    UriTooLong,
    /// A byte stands where it may not; the span is the line up to that byte.
    InvalidHeader(Span),
    /// A header line does not fit in a buffer, or all lines not in all buffers.
    HeaderTooLong(Span),
    /// There are more header lines than `max_headers`.
    TooManyHeaders,
    /// A header that may come only once came again: this one, after that one.
    Duplicate(Header, Header),
}

impl HeadError {
    /// The status the request is answered with.
    pub fn status(&self) -> Status {
        match self {
            HeadError::Line(LineError::Version) => Status::VERSION_NOT_SUPPORTED,
            HeadError::Line(_) | HeadError::InvalidHeader(_) | HeadError::Duplicate(..) => {
                Status::BAD_REQUEST
            }
            HeadError::UriTooLong => Status::REQUEST_URI_TOO_LARGE,
            HeadError::HeaderTooLong(_) | HeadError::TooManyHeaders => {
                Status::REQUEST_HEADER_TOO_LARGE
            }
        }
    }

    /// Whether the header lines are too long or too many.
    pub fn is_of_size(&self) -> bool {
        matches!(
            self,
            HeadError::HeaderTooLong(_) | HeadError::TooManyHeaders
        )
    }

    /// What nginx writes to the error log, at level `info`; `input` is the buffer that was parsed.
    pub fn message(&self, input: &[u8]) -> String {
        /// The longest piece of a line that is worth logging.
        const EXCERPT: usize = 1748;
        match *self {
            HeadError::Line(LineError::Method) => "client sent invalid method".into(),
            HeadError::Line(LineError::Request) => "client sent invalid request".into(),
            HeadError::Line(LineError::Version) => "client sent invalid version".into(),
            HeadError::Line(LineError::Http09Method) => {
                "client sent invalid method in HTTP/0.9 request".into()
            }
            HeadError::UriTooLong => "client sent too long URI".into(),
            HeadError::InvalidHeader(line) => {
                let wrong = input.get(line.end as usize).copied().unwrap_or(0);
                let line = String::from_utf8_lossy(line.of(input));
                format!("client sent invalid header line: \"{line}\\x{wrong:02x}...\"")
            }
            HeadError::HeaderTooLong(line) => {
                let line = line.of(input);
                let line = String::from_utf8_lossy(&line[..line.len().min(EXCERPT)]);
                format!("client sent too long header line: \"{line}...\"")
            }
            HeadError::TooManyHeaders => "client sent too many header lines".into(),
            HeadError::Duplicate(header, previous) => {
                let what = match header.known {
                    KnownHeader::Host => "host header",
                    _ => "header line",
                };
                let [header, previous] = [header, previous].map(|header| header.text(input));
                format!(
                    "client sent duplicate {what}: \"{header}\", previous value: \"{previous}\""
                )
            }
        }
    }
}

/// For each known header the number of its first occurrence, counted from one; zero is none.
#[derive(Clone, Debug)]
struct FirstOfKind([u16; KnownHeader::COUNT]);

impl Default for FirstOfKind {
    fn default() -> FirstOfKind {
        FirstOfKind([0; KnownHeader::COUNT])
    }
}

/// Where the next call has to go on.
#[derive(Clone, Debug, Default)]
struct Progress {
    stage: Stage,
    /// Start of the line that is not complete.
    at: usize,
    budget: Budget,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    BeforeLine,
    Headers,
    Done,
}

impl RequestHead {
    /// An empty head, ready to parse.
    pub fn new() -> RequestHead {
        RequestHead::default()
    }

    /// Forgets everything but the memory, ready for the next request.
    pub fn clear(&mut self) {
        self.line = RequestLine::default();
        self.headers.clear();
        self.ignored.clear();
        self.first = FirstOfKind::default();
        self.progress = Progress::default();
    }

    /// Parses what has arrived of the head.
    ///
    /// `input` starts at the first byte of the request (empty lines before it included). After
    /// `Incomplete`, call again with the same bytes and more; complete lines are not looked at
    /// again. The result does not depend on how the bytes were cut.
    pub fn parse(&mut self, input: &[u8], options: &HeadOptions) -> Parse {
        match self.advance(input, options) {
            Ok(true) => Parse::Done {
                consumed: self.progress.at,
            },
            Ok(false) => Parse::Incomplete,
            Err(error) => Parse::Error(error),
        }
    }

    /// Takes all lines that are there; says whether the head is complete.
    fn advance(&mut self, input: &[u8], options: &HeadOptions) -> Result<bool, HeadError> {
        if self.progress.stage == Stage::BeforeLine {
            self.progress.budget = Budget::new(options);
            if !self.request_line(input, options)? {
                return Ok(false);
            }
        }
        while self.progress.stage == Stage::Headers {
            if !self.header_line(input, options)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The first header of this kind.
    pub fn get(&self, known: KnownHeader) -> Option<&Header> {
        let number = *self.first.0.get(known as usize)?;
        self.headers.get(usize::from(number).checked_sub(1)?)
    }

    /// The value of the first header of this kind; `input` is the buffer that was parsed.
    pub fn value<'a>(&self, input: &'a [u8], known: KnownHeader) -> Option<&'a [u8]> {
        self.get(known).map(|header| header.value.of(input))
    }

    /// The values of all headers of this kind, in order.
    pub fn values<'a>(
        &'a self,
        input: &'a [u8],
        known: KnownHeader,
    ) -> impl Iterator<Item = &'a [u8]> {
        let first = self.first.0.get(known as usize).copied().unwrap_or(0);
        let skipped = if first == 0 {
            self.headers.len()
        } else {
            usize::from(first) - 1
        };
        let same = move |header: &&Header| header.known == known;
        self.headers[skipped..]
            .iter()
            .filter(same)
            .map(|header| header.value.of(input))
    }

    /// The value of the first header with this name, in any letter case.
    pub fn value_by_name<'a>(&self, input: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
        let mut headers = self.headers.iter();
        let header = headers.find(|header| header.name.of(input).eq_ignore_ascii_case(name));
        header.map(|header| header.value.of(input))
    }

    /// The method, if it is one with a name.
    pub fn method(&self) -> Method {
        self.line.method
    }

    /// The version of the request.
    pub fn version(&self) -> Version {
        self.line.version
    }

    /// Takes the request line; says whether it was complete.
    fn request_line(&mut self, input: &[u8], options: &HeadOptions) -> Result<bool, HeadError> {
        let rest = input.get(self.progress.at..).unwrap_or_default();
        let blank = rest
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        self.progress.at += blank;
        if self.progress.at > options.max_head_size() {
            // nginx drops empty lines for as long as its timeout lets it; we keep our buffer small.
            return Err(HeadError::Line(LineError::Request));
        }
        let start = self.progress.at;
        let rest = &rest[blank..];
        let error = match request_line::parse(rest) {
            LineResult::Done(line, length) if self.take(length, options) => {
                self.line = line.shifted(start);
                let has_headers = line.version > Version::Http09;
                self.progress.stage = if has_headers {
                    Stage::Headers
                } else {
                    Stage::Done
                };
                return Ok(true);
            }
            LineResult::Partial if self.fits(rest.len() + 1, options) => return Ok(false),
            LineResult::Invalid(error, at) if self.fits(at + 1, options) => HeadError::Line(error),
            _ => HeadError::UriTooLong,
        };
        let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        self.line.text = Span::new(start, start + end);
        // The refusal of a HEAD request has no body either.
        let (method, text) = request_line::method(rest);
        self.line.method = method;
        self.line.method_text = text.shifted(start);
        if error == HeadError::Line(LineError::Http09Method) {
            self.line.version = Version::Http09;
        }
        Err(error)
    }

    /// Takes one header line; says whether it was complete.
    fn header_line(&mut self, input: &[u8], options: &HeadOptions) -> Result<bool, HeadError> {
        let start = self.progress.at;
        let rest = input.get(start..).unwrap_or_default();
        match field::parse(rest, options.underscores_in_headers) {
            FieldLine::End(length) if self.take(length, options) => {
                self.progress.stage = Stage::Done;
                Ok(true)
            }
            FieldLine::Field {
                name,
                known,
                value,
                valid,
                length,
            } if self.take(length, options) => {
                if valid || !options.ignore_invalid_headers {
                    let (name, value) = (name.shifted(start), value.shifted(start));
                    self.push(Header { name, value, known }, options)?;
                } else {
                    self.ignored.push(
                        Span {
                            end: value.end,
                            ..name
                        }
                        .shifted(start),
                    );
                }
                Ok(true)
            }
            FieldLine::Partial if self.fits(rest.len() + 1, options) => Ok(false),
            FieldLine::Invalid(at) if self.fits(at + 1, options) => {
                Err(HeadError::InvalidHeader(Span::new(start, start + at)))
            }
            _ => Err(HeadError::HeaderTooLong(Span::new(start, input.len()))),
        }
    }

    fn push(&mut self, header: Header, options: &HeadOptions) -> Result<(), HeadError> {
        let most = options.max_headers.min(u16::MAX as usize);
        if self.headers.len() >= most {
            return Err(HeadError::TooManyHeaders);
        }
        if header.known.is_unique()
            && let Some(&previous) = self.get(header.known)
        {
            return Err(HeadError::Duplicate(header, previous));
        }
        self.add(header);
        Ok(())
    }

    /// Adds a header behind the others.
    pub fn add(&mut self, header: Header) {
        self.headers.push(header);
        if let Some(first @ 0) = self.first.0.get_mut(header.known as usize) {
            *first = self.headers.len() as u16;
        }
    }

    /// Keeps the headers for which `keep` says so.
    pub fn retain(&mut self, keep: impl FnMut(&Header) -> bool) {
        let mut all = std::mem::take(&mut self.headers);
        all.retain(keep);
        self.first = FirstOfKind::default();
        for header in all {
            self.add(header);
        }
    }

    /// Whether a line of this length would still fit.
    fn fits(&self, length: usize, options: &HeadOptions) -> bool {
        self.progress.budget.after(length, options).is_some()
    }

    /// Steps over a complete line, if it fits.
    fn take(&mut self, length: usize, options: &HeadOptions) -> bool {
        let Some(after) = self.progress.budget.after(length, options) else {
            return false;
        };
        self.progress.budget = after;
        self.progress.at += length;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(input: &[u8], options: &HeadOptions) -> (Parse, RequestHead) {
        let mut head = RequestHead::new();
        (head.parse(input, options), head)
    }

    fn error(input: &str, options: &HeadOptions) -> (u16, String) {
        let input = input.as_bytes();
        match parse(input, options).0 {
            Parse::Error(error) => (error.status().0, error.message(input)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_whole_request() {
        let input =
            b"\r\n\nPOST /a?b HTTP/1.1\r\nHost: x\r\nCookie: a\r\nX-Y: z\r\ncookie: b\r\n\r\nbody";
        let (outcome, head) = parse(input, &HeadOptions::default());
        assert_eq!(
            outcome,
            Parse::Done {
                consumed: input.len() - 4
            }
        );
        assert_eq!(head.method(), Method::Post);
        assert_eq!(head.line.target.of(input), b"/a?b");
        assert_eq!(head.value(input, KnownHeader::Host), Some(&b"x"[..]));
        assert_eq!(head.value(input, KnownHeader::Range), None);
        assert_eq!(head.get(KnownHeader::Other), None);
        let cookies: Vec<_> = head.values(input, KnownHeader::Cookie).collect();
        assert_eq!(cookies, [b"a", b"b"]);
        assert_eq!(head.value_by_name(input, b"x-y"), Some(&b"z"[..]));
        assert_eq!(head.headers.len(), 4);
    }

    #[test]
    fn http_0_9_has_no_headers() {
        let (outcome, head) = parse(b"GET /\r\nHost: x\r\n", &HeadOptions::default());
        assert_eq!(outcome, Parse::Done { consumed: 7 });
        assert_eq!(head.version(), Version::Http09);
    }

    #[test]
    fn odd_headers_are_left_out_or_kept() {
        let input = b"GET / HTTP/1.1\nA_b: c\nA.b: c\nD: e\n\n";
        let mut options = HeadOptions::default();
        let (_, head) = parse(input, &options);
        let ignored: Vec<_> = head.ignored.iter().map(|line| line.of(input)).collect();
        assert_eq!(ignored, [b"A_b: c", b"A.b: c"]);
        assert_eq!(head.headers.len(), 1);
        options.underscores_in_headers = true;
        assert_eq!(parse(input, &options).1.headers.len(), 2);
        options.ignore_invalid_headers = false;
        assert_eq!(parse(input, &options).1.headers.len(), 3);
    }

    #[test]
    fn errors_have_nginx_status_and_words() {
        let options = HeadOptions {
            buffer_size: 20,
            large_buffers: 2,
            large_buffer_size: 40,
            max_headers: 2,
            ..HeadOptions::default()
        };
        let long = "x".repeat(40);
        let cases = [
            ("get /\n".into(), 400, "client sent invalid method".into()),
            (
                "GET / HTTP/2.0\n".into(),
                505,
                "client sent invalid version".into(),
            ),
            (
                format!("GET /{long}"),
                414,
                "client sent too long URI".into(),
            ),
            (
                "GET / HTTP/1.1\nA b: c\n".into(),
                400,
                "client sent invalid header line: \"A\\x20...\"".into(),
            ),
            (
                format!("GET / HTTP/1.1\nA: {long}"),
                494,
                format!("client sent too long header line: \"A: {long}...\""),
            ),
            (
                "GET / HTTP/1.1\nA: b\nA: b\nA: b\n".into(),
                494,
                "client sent too many header lines".into(),
            ),
            (
                "POST /\n".into(),
                400,
                "client sent invalid method in HTTP/0.9 request".into(),
            ),
        ];
        for (input, status, message) in cases {
            assert_eq!(error(&input, &options), (status, message), "{input:?}");
        }
    }

    #[test]
    fn a_line_may_fill_its_buffer_to_the_last_byte() {
        let options = HeadOptions {
            large_buffer_size: 2000,
            ..HeadOptions::default()
        };
        let line = |length: usize| {
            format!(
                "GET /{} HTTP/1.1\n",
                "x".repeat(length - "GET / HTTP/1.1\n".len())
            )
        };
        assert_eq!(parse(line(2000).as_bytes(), &options).0, Parse::Incomplete);
        assert_eq!(error(&line(2001), &options).0, 414);
    }

    #[test]
    fn the_method_of_a_wrong_line_is_known() {
        for (line, method) in [
            ("HEAD /a HTTP/1.x\n", Method::Head),
            ("HEAD /a HTTP/2.0\n", Method::Head),
            ("head /a HTTP/1.1\n", Method::default()),
        ] {
            let (outcome, head) = parse(line.as_bytes(), &HeadOptions::default());
            assert!(matches!(outcome, Parse::Error(_)), "{line}");
            assert_eq!(head.method(), method, "{line}");
        }
    }

    #[test]
    fn empty_lines_before_the_request_are_limited() {
        let options = HeadOptions::default();
        let flood = "\r\n".repeat(options.max_head_size());
        assert_eq!(error(&flood, &options).0, 400);
    }

    /// Pieces that make up mostly good, sometimes bad heads.
    fn head_like() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just("GET / HTTP/1.1\r\n"),
            Just("POST /a?b HTTP/1.0\n"),
            Just("GET http://a:1?b HTTP/1.1\r\n"),
            Just("Host: a\r\n"),
            Just("A_b: c\n"),
            Just("Content-Length: 3\r\n"),
            Just("X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n"),
            Just("\r\n"),
            Just("\n"),
            Just("\r"),
            Just(" a"),
            Just("\0"),
            Just("GET /\n"),
        ];
        proptest::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_result(input in head_like(), step in 1usize..9) {
            let options = HeadOptions {
                buffer_size: 30,
                large_buffers: 2,
                large_buffer_size: 40,
                max_headers: 4,
                ..HeadOptions::default()
            };
            let (whole, whole_head) = parse(&input, &options);
            let mut head = RequestHead::new();
            let mut outcome = Parse::Incomplete;
            for end in (step..input.len()).step_by(step).chain([input.len()]) {
                outcome = head.parse(&input[..end], &options);
                if outcome != Parse::Incomplete {
                    break;
                }
            }
            // An error shows as soon as its byte is there; only its excerpt knows how much was.
            match (whole, outcome) {
                (Parse::Error(a), Parse::Error(b)) => prop_assert_eq!(a.status(), b.status()),
                (a, b) => {
                    prop_assert_eq!(a, b);
                    prop_assert_eq!(&whole_head.headers, &head.headers);
                    prop_assert_eq!(whole_head.line, head.line);
                }
            }
        }

        #[test]
        fn any_bytes_are_survived(input: Vec<u8>) {
            parse(&input, &HeadOptions::default());
        }
    }
}
