//! How a request's body is delimited and whether the connection persists (RFC 9112 sections 6, 9).

use crate::http::{KnownHeader, Method, Span, Status, Version};

use super::head::RequestHead;

/// What the headers say about the message as such.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Framing {
    /// How the body is delimited.
    pub body: BodyFraming,
    /// The length the client announced, if it did.
    pub content_length: Option<u64>,
    /// The client wants the connection to persist.
    pub keep_alive: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub expect_continue: bool,
}

/// How a body is delimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyFraming {
    /// There is no body.
    #[default]
    None,
    /// The body has this many bytes.
    Length(u64),
    /// The body is in chunks.
    Chunked,
}

/// Why the headers do not describe a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramingError {
    /// HTTP/1.1 without `Host`.
    MissingHost,
    /// `Content-Length` is not a number.
    ContentLength,
    /// `Transfer-Encoding` in an HTTP/1.0 request.
    EncodingInHttp10,
    /// `Content-Length` and `Transfer-Encoding` together.
    Both,
    /// `Transfer-Encoding` is something other than `chunked`: this.
    UnknownEncoding(Span),
    /// A CONNECT request has a body.
    ConnectWithBody,
}

impl FramingError {
    /// The status the request is answered with.
    pub fn status(self) -> Status {
        match self {
            FramingError::UnknownEncoding(_) => Status::NOT_IMPLEMENTED,
            _ => Status::BAD_REQUEST,
        }
    }

    /// What nginx writes to the error log, at level `info`; `input` is the buffer that was parsed.
    pub fn message(self, input: &[u8]) -> String {
        match self {
            FramingError::MissingHost => {
                "client sent HTTP/1.1 request without \"Host\" header".into()
            }
            FramingError::ContentLength => "client sent invalid \"Content-Length\" header".into(),
            FramingError::EncodingInHttp10 => {
                "client sent HTTP/1.0 request with \"Transfer-Encoding\" header".into()
            }
            FramingError::Both => {
                "client sent \"Content-Length\" and \"Transfer-Encoding\" headers \
                                   at the same time"
                    .into()
            }
            FramingError::UnknownEncoding(value) => {
                let value = String::from_utf8_lossy(value.of(input));
                format!("client sent unknown \"Transfer-Encoding\": \"{value}\"")
            }
            FramingError::ConnectWithBody => "client sent CONNECT request with body".into(),
        }
    }
}

impl Framing {
    /// Reads the framing off a complete head; `input` is the buffer it was parsed from.
    pub fn derive(head: &RequestHead, input: &[u8]) -> Result<Framing, FramingError> {
        if head.version() > Version::Http10 && head.get(KnownHeader::Host).is_none() {
            return Err(FramingError::MissingHost);
        }
        let content_length = content_length(head, input)?;
        let body = match head.get(KnownHeader::TransferEncoding) {
            Some(encoding) => {
                check_encoding(head.version(), encoding.value, input, content_length)?;
                BodyFraming::Chunked
            }
            None => content_length.map_or(BodyFraming::None, BodyFraming::Length),
        };
        let has_body = !matches!(body, BodyFraming::None | BodyFraming::Length(0));
        if head.method() == Method::Connect && has_body {
            return Err(FramingError::ConnectWithBody);
        }
        let expect = head.value(input, KnownHeader::Expect);
        Ok(Framing {
            body,
            content_length,
            keep_alive: keep_alive(head, input),
            expect_continue: head.version() > Version::Http10
                && expect.is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue")),
        })
    }
}

fn content_length(head: &RequestHead, input: &[u8]) -> Result<Option<u64>, FramingError> {
    let Some(value) = head.value(input, KnownHeader::ContentLength) else {
        return Ok(None);
    };
    let length = value.iter().try_fold(0u64, |length, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        length.checked_mul(10)?.checked_add(digit)
    });
    match length {
        Some(length) if !value.is_empty() && length <= i64::MAX as u64 => Ok(Some(length)),
        _ => Err(FramingError::ContentLength),
    }
}

fn check_encoding(
    version: Version,
    encoding: Span,
    input: &[u8],
    content_length: Option<u64>,
) -> Result<(), FramingError> {
    if version < Version::Http11 {
        return Err(FramingError::EncodingInHttp10);
    }
    if !encoding.of(input).eq_ignore_ascii_case(b"chunked") {
        return Err(FramingError::UnknownEncoding(encoding));
    }
    if content_length.is_some() {
        return Err(FramingError::Both);
    }
    Ok(())
}

/// The last `Connection` line with either word decides, and within a line `close` wins. Like nginx
/// this looks for the words anywhere in the value.
fn keep_alive(head: &RequestHead, input: &[u8]) -> bool {
    let mut keep = head.version() > Version::Http10;
    for value in head.values(input, KnownHeader::Connection) {
        if contains_word(value, b"close") {
            keep = false;
        } else if contains_word(value, b"keep-alive") {
            keep = true;
        }
    }
    keep
}

fn contains_word(value: &[u8], word: &[u8]) -> bool {
    value
        .windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::super::head::Parse;
    use super::super::limits::HeadOptions;
    use super::*;

    /// The framing of a request with these headers, or the status and the log message.
    fn framing(line: &str, headers: &str) -> Result<Framing, (u16, String)> {
        let input = format!("{line}\n{headers}\n").into_bytes();
        let mut head = RequestHead::new();
        let outcome = head.parse(&input, &HeadOptions::default());
        assert!(matches!(outcome, Parse::Done { .. }), "{outcome:?}");
        let framing = Framing::derive(&head, &input);
        framing.map_err(|error| (error.status().0, error.message(&input)))
    }

    #[test]
    fn bodies() {
        let cases = [
            ("", BodyFraming::None),
            ("Content-Length: 0\n", BodyFraming::Length(0)),
            (
                "content-length: 9223372036854775807\n",
                BodyFraming::Length(i64::MAX as u64),
            ),
            ("Transfer-Encoding: Chunked\n", BodyFraming::Chunked),
        ];
        for (headers, body) in cases {
            let got = framing("GET / HTTP/1.1", &format!("Host: a\n{headers}"));
            assert_eq!(got.map(|framing| framing.body), Ok(body), "{headers}");
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let v11 = "GET / HTTP/1.1";
        let cases = [
            (
                v11,
                "",
                400,
                "client sent HTTP/1.1 request without \"Host\" header",
            ),
            (
                v11,
                "Host: a\nContent-Length:\n",
                400,
                "client sent invalid \"Content-Length\" header",
            ),
            (
                v11,
                "Host: a\nContent-Length: +1\n",
                400,
                "client sent invalid \"Content-Length\" header",
            ),
            (
                v11,
                "Host: a\nContent-Length: 1, 1\n",
                400,
                "client sent invalid \"Content-Length\" header",
            ),
            (
                v11,
                "Host: a\nContent-Length: 9223372036854775808\n",
                400,
                "client sent invalid \"Content-Length\" header",
            ),
            (
                v11,
                "Host: a\nTransfer-Encoding: gzip, chunked\n",
                501,
                "client sent unknown \"Transfer-Encoding\": \"gzip, chunked\"",
            ),
            (
                v11,
                "Host: a\nContent-Length: 1\nTransfer-Encoding: chunked\n",
                400,
                "client sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time",
            ),
            (
                "GET / HTTP/1.0",
                "Transfer-Encoding: chunked\n",
                400,
                "client sent HTTP/1.0 request with \"Transfer-Encoding\" header",
            ),
            (
                "CONNECT a:1 HTTP/1.1",
                "Host: a\nContent-Length: 1\n",
                400,
                "client sent CONNECT request with body",
            ),
        ];
        for (line, headers, status, message) in cases {
            assert_eq!(
                framing(line, headers),
                Err((status, message.to_owned())),
                "{headers}"
            );
        }
    }

    #[test]
    fn persistence() {
        let cases = [
            ("1.1", "", true),
            ("1.0", "", false),
            ("1.1", "Connection: Close\n", false),
            ("1.0", "Connection: Keep-Alive\n", true),
            ("1.1", "Connection: upgrade, close\n", false),
            ("1.1", "Connection: keep-alive, close\n", false),
            ("1.1", "Connection: close\nConnection: keep-alive\n", true),
            ("1.0", "Connection: keep-alive\nConnection: upgrade\n", true),
        ];
        for (version, headers, expected) in cases {
            let got = framing(
                &format!("GET / HTTP/{version}"),
                &format!("Host: a\n{headers}"),
            );
            assert_eq!(
                got.map(|framing| framing.keep_alive),
                Ok(expected),
                "{version} {headers}"
            );
        }
    }

    #[test]
    fn expectations() {
        let expects = |line: &str, value: &str| {
            let framing = framing(line, &format!("Host: a\nExpect: {value}\n"));
            framing.map(|framing| framing.expect_continue)
        };
        assert_eq!(expects("PUT / HTTP/1.1", "100-Continue"), Ok(true));
        assert_eq!(expects("PUT / HTTP/1.1", "tea"), Ok(false));
        assert_eq!(expects("PUT / HTTP/1.0", "100-continue"), Ok(false));
    }
}
