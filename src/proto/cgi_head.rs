//! The head of a CGI script's output (RFC 3875 section 6): header fields up to an empty line,
//! among them `Status` and `Location`, or a status line where the script speaks HTTP itself (NPH).

use std::fmt;

use super::h1::field::{self, FieldLine};
use crate::http::{Headers, Status, Text};

/// What a script may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Refuse lines that are no proper header fields; otherwise pass on what can be.
    pub strict: bool,
    /// Most bytes of a head, its empty line included.
    pub limit: usize,
}

/// What a script said before its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CgiHead {
    /// `Status`, or that of the status line.
    pub status: Option<Status>,
    /// The status and what the script calls it, if it does: `404 Nowhere`.
    pub status_text: Option<Vec<u8>>,
    /// `Location`.
    pub location: Option<Vec<u8>>,
    /// `Content-Type`.
    pub content_type: Option<Vec<u8>>,
    /// `Content-Length`.
    pub content_length: Option<u64>,
    /// It began with a status line.
    pub nph: bool,
    /// The body is in the chunked coding, which only a script that speaks HTTP itself may use.
    pub chunked: bool,
    /// All other fields in order.
    pub headers: Headers,
}

impl CgiHead {
    /// The path the server is to answer with instead: a `Location` on this server without a
    /// status of its own (RFC 3875 section 6.2.2).
    pub fn local_redirect(&self) -> Option<&[u8]> {
        let location = self.location.as_deref()?;
        let local = location.first() == Some(&b'/') && location.get(1) != Some(&b'/');
        let silent = !self.nph && matches!(self.status, None | Some(Status::OK));
        (local && silent).then_some(location)
    }

    /// The status to answer with: a redirect if there is only a `Location` (section 6.2.3).
    pub fn final_status(&self) -> Status {
        match (self.status, &self.location) {
            (Some(status), _) => status,
            (None, Some(_)) => Status::MOVED_TEMPORARILY,
            (None, None) => Status::OK,
        }
    }
}

/// Why a head is no head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// It does not end within the limit.
    TooLarge,
    /// A line is no header field.
    BadLine(Vec<u8>),
    /// A field with a value that makes no sense: `Status`, `Content-Length`.
    BadValue(Vec<u8>),
    /// A field that only the server may set.
    HopByHop(Vec<u8>),
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, line) = match self {
            HeadError::TooLarge => return f.write_str("too big header"),
            HeadError::BadLine(line) => ("invalid header", line),
            HeadError::BadValue(line) => ("invalid value in header", line),
            HeadError::HopByHop(line) => ("hop-by-hop header", line),
        };
        write!(
            f,
            "{what} \"{}\"",
            String::from_utf8_lossy(line).escape_debug()
        )
    }
}

/// What there is of a head so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parse {
    /// Its end has not come yet.
    Incomplete,
    /// All of it, and how many bytes it took.
    Done(Box<CgiHead>, usize),
}

/// Finds a head's end in output that keeps growing.
#[derive(Clone, Debug, Default)]
pub struct HeadParser {
    /// Where the first line starts whose end has not been seen.
    line: usize,
}

impl HeadParser {
    /// Looks at all the output there is; `output` must begin with what earlier calls saw.
    ///
    /// # Errors
    /// See [`HeadError`].
    pub fn parse(&mut self, output: &[u8], rules: Rules) -> Result<Parse, HeadError> {
        while let Some(length) = memchr::memchr(b'\n', &output[self.line..]) {
            let line = &output[self.line..self.line + length];
            let start = self.line;
            self.line += length + 1;
            if self.line > rules.limit {
                return Err(HeadError::TooLarge);
            }
            if matches!(line, b"" | b"\r") {
                let head = read(&output[..start], rules.strict)?;
                return Ok(Parse::Done(Box::new(head), self.line));
            }
        }
        if output.len() >= rules.limit {
            return Err(HeadError::TooLarge);
        }
        Ok(Parse::Incomplete)
    }
}

/// Fields that belong to one connection and are the server's business (RFC 9110 section 7.6.1).
const HOP_BY_HOP: [&str; 8] = [
    "Connection",
    "Keep-Alive",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "HTTP2-Settings",
];

/// Reads the lines of a whole head.
fn read(mut lines: &[u8], strict: bool) -> Result<CgiHead, HeadError> {
    let mut head = CgiHead::default();
    if lines.starts_with(b"HTTP/") {
        let (line, rest) = split_line(lines);
        let status = line.splitn(2, |byte| *byte == b' ').nth(1);
        let understood = status.and_then(|status| head.take_status(status));
        understood.ok_or_else(|| HeadError::BadLine(line.to_vec()))?;
        head.nph = true;
        lines = rest;
    }
    while !lines.is_empty() {
        let (line, rest) = split_line(lines);
        let whole = &lines[..lines.len() - rest.len()];
        lines = rest;
        match parse_line(line, whole, strict) {
            Some((name, value)) => head.take(name, value, line)?,
            None if strict => return Err(HeadError::BadLine(line.to_vec())),
            None => {}
        }
    }
    Ok(head)
}

/// The first line without its end, and what follows.
fn split_line(lines: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b'\n', lines).map_or(lines.len(), |at| at + 1);
    let (line, rest) = lines.split_at(end);
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    (line.strip_suffix(b"\r").unwrap_or(line), rest)
}

fn final_status(code: &[u8]) -> Option<Status> {
    Status::from_bytes(code).filter(|status| !status.is_informational())
}

/// Name and value of a line; `None` if they cannot be told, or not so strictly.
fn parse_line<'a>(line: &'a [u8], whole: &'a [u8], strict: bool) -> Option<(&'a [u8], &'a [u8])> {
    let FieldLine::Field {
        name, value, valid, ..
    } = field::parse(whole, true)
    else {
        return None;
    };
    let has_colon = line.get(name.end as usize) == Some(&b':');
    (has_colon && (valid || !strict)).then(|| (name.of(whole), value.of(whole).trim_ascii()))
}

impl CgiHead {
    /// `200 OK`; `None` if that is no status to answer with.
    fn take_status(&mut self, value: &[u8]) -> Option<()> {
        let (code, reason) = value.split_at(value.len().min(3));
        self.status = Some(final_status(code)?);
        self.status_text = match reason.split_first() {
            None => None,
            Some((b' ', phrase)) => is_phrase(phrase).then(|| value.to_vec()),
            Some(_) => return None,
        };
        Some(())
    }

    fn take(&mut self, name: &[u8], value: &[u8], line: &[u8]) -> Result<(), HeadError> {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        let bad = || HeadError::BadValue(line.to_vec());
        if HOP_BY_HOP.iter().any(|other| is(other)) {
            // What an NPH script says of its connection is not about ours; how it frames its
            // body is.
            if !self.nph {
                return Err(HeadError::HopByHop(line.to_vec()));
            }
            if is("Transfer-Encoding") {
                let chunked = value.eq_ignore_ascii_case(b"chunked") && !self.chunked;
                self.chunked = chunked.then_some(true).ok_or_else(bad)?;
            }
            return Ok(());
        }
        if is("Status") {
            self.take_status(value).ok_or_else(bad)?;
        } else if is("Content-Length") {
            let length = std::str::from_utf8(value)
                .ok()
                .filter(|text| is_digits(text));
            let length = length.and_then(|text| text.parse().ok()).ok_or_else(bad)?;
            if self.content_length.is_some_and(|other| other != length) {
                return Err(bad());
            }
            self.content_length = Some(length);
        } else if is("Content-Type") {
            self.content_type = Some(value.to_vec());
        } else if is("Location") {
            self.location = Some(value.to_vec()).filter(|location| !location.is_empty());
        } else {
            self.headers
                .append(Text::Owned(name.to_vec()), Text::Owned(value.to_vec()));
        }
        Ok(())
    }
}

/// Whether a status line can end so (RFC 9112 section 4).
fn is_phrase(text: &[u8]) -> bool {
    let control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    !text.trim_ascii().is_empty() && !text.iter().any(control)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULES: Rules = Rules {
        strict: true,
        limit: 256,
    };

    fn parse(output: &[u8], rules: Rules) -> Result<Parse, HeadError> {
        HeadParser::default().parse(output, rules)
    }

    #[track_caller]
    fn head(output: &str) -> CgiHead {
        match parse(output.as_bytes(), RULES) {
            Ok(Parse::Done(head, used)) => {
                assert_eq!(used, output.len());
                *head
            }
            other => panic!("{other:?} for {output:?}"),
        }
    }

    #[test]
    fn statuses_and_redirects() {
        let cases = [
            ("\n", 200, None),
            ("\r\n", 200, None),
            ("Content-Type: text/plain\n\n", 200, None),
            ("Status: 404 Nowhere\r\n\r\n", 404, None),
            ("status:299\n\n", 299, None),
            ("Location: http://a/b\n\n", 302, None),
            ("Location: //a/b\n\n", 302, None),
            ("Location: x.html\n\n", 302, None),
            ("Location: /x?y\n\n", 302, Some("/x?y")),
            ("Status: 200\nLocation: /x\n\n", 200, Some("/x")),
            ("Status: 303 See Other\nLocation: /x\n\n", 303, None),
            ("HTTP/1.0 200 OK\nLocation: /x\n\n", 200, None),
            ("HTTP/1.1 404\nConnection: close\n\n", 404, None),
            ("Location:\n\n", 200, None),
        ];
        for (output, status, local) in cases {
            let head = head(output);
            assert_eq!(head.final_status(), Status(status), "{output:?}");
            assert_eq!(
                head.local_redirect(),
                local.map(str::as_bytes),
                "{output:?}"
            );
        }
    }

    #[test]
    fn scripts_may_have_their_own_words() {
        let cases = [
            ("Status: 299 Odd one\n\n", Some("299 Odd one"), false),
            ("Status: 299\n\n", None, false),
            ("Status: 299 \n\n", None, false),
            ("HTTP/1.1 404 Nowhere\r\n\r\n", Some("404 Nowhere"), false),
            ("HTTP/1.1 200 \nTransfer-Encoding: Chunked\n\n", None, true),
        ];
        for (output, text, chunked) in cases {
            let head = head(output);
            let expected = text.map(|text| text.as_bytes().to_vec());
            assert_eq!(
                (head.status_text, head.chunked),
                (expected, chunked),
                "{output:?}"
            );
        }
    }

    #[test]
    fn fields_keep_their_order_and_number() {
        let head = head(
            "Set-Cookie: a=1\nContent-Type:text/html\nX_y: 1\nSet-Cookie:  b=2 \nContent-Length: 7\n\n",
        );
        let fields: Vec<_> = head
            .headers
            .iter()
            .map(|f| (f.name.clone(), f.value.clone()))
            .collect();
        let expected = [("Set-Cookie", "a=1"), ("X_y", "1"), ("Set-Cookie", "b=2")];
        assert_eq!(
            fields,
            expected.map(|(n, v)| (Text::from(n), Text::from(v)))
        );
        assert_eq!(head.content_type.as_deref(), Some(&b"text/html"[..]));
        assert_eq!(head.content_length, Some(7));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cases = [
            ("hello\n\n", "invalid header \"hello\""),
            ("A B: c\n\n", "invalid header \"A B: c\""),
            (" A: c\n\n", "invalid header \" A: c\""),
            ("A.B: c\n\n", "invalid header \"A.B: c\""),
            ("A: b\0\n\n", "invalid header \"A: b\\0\""),
            ("HTTP/1.1 OK\n\n", "invalid header \"HTTP/1.1 OK\""),
            ("Status: 20\n\n", "invalid value in header \"Status: 20\""),
            ("Status: 100\n\n", "invalid value in header \"Status: 100\""),
            (
                "Content-Length: +1\n\n",
                "invalid value in header \"Content-Length: +1\"",
            ),
            (
                "Content-Length: 1\nContent-Length: 2\n\n",
                "invalid value in header \"Content-Length: 2\"",
            ),
            (
                "connection: close\n\n",
                "hop-by-hop header \"connection: close\"",
            ),
            (
                "Transfer-Encoding: chunked\n\n",
                "hop-by-hop header \"Transfer-Encoding: chunked\"",
            ),
            (
                "HTTP/1.1 200\nTransfer-Encoding: gzip, chunked\n\n",
                "invalid value in header \"Transfer-Encoding: gzip, chunked\"",
            ),
            (
                "Status: 2000\n\n",
                "invalid value in header \"Status: 2000\"",
            ),
            (
                "Status: 200 a\rb\n\n",
                "invalid header \"Status: 200 a\\rb\"",
            ),
        ];
        for (output, message) in cases {
            let error = parse(output.as_bytes(), RULES).unwrap_err();
            assert_eq!(error.to_string(), message, "{output:?}");
        }
    }

    #[test]
    fn leniency_passes_on_what_it_can() {
        let rules = Rules {
            strict: false,
            ..RULES
        };
        let parsed = parse(b"A.B: c\nhello\nA B: c\nD: e\n\nbody", rules);
        let Ok(Parse::Done(head, 26)) = parsed else {
            panic!("{parsed:?}")
        };
        let names: Vec<_> = head
            .headers
            .iter()
            .map(|field| field.name.clone())
            .collect();
        assert_eq!(names, ["A.B", "D"].map(Text::from));
    }

    #[test]
    fn a_head_has_a_limit() {
        let long = |length: usize| format!("A: {}\n\n", "x".repeat(length - 5)).into_bytes();
        assert!(matches!(parse(&long(256), RULES), Ok(Parse::Done(_, 256))));
        assert_eq!(parse(&long(257), RULES), Err(HeadError::TooLarge));
        assert_eq!(parse(&[b'x'; 255], RULES), Ok(Parse::Incomplete));
        assert_eq!(parse(&[b'x'; 256], RULES), Err(HeadError::TooLarge));
    }

    proptest! {
        #[test]
        fn pieces_give_what_the_whole_gives(text in "[A:\r\n 1s]{0,30}\n\n[a\n]{0,9}", step in 1usize..9) {
            let output = text.as_bytes();
            let expected = parse(output, RULES);
            let mut parser = HeadParser::default();
            let mut got = Ok(Parse::Incomplete);
            for end in (step..output.len()).step_by(step).chain([output.len()]) {
                got = parser.parse(&output[..end], RULES);
                if got != Ok(Parse::Incomplete) {
                    break;
                }
            }
            prop_assert_eq!(got, expected);
        }
    }
}
