//! The request line (RFC 9112 section 3), as strict and as lenient as nginx.

use crate::http::{Method, Span, Version, word};

/// The parts of a request line; spans count from the start of the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestLine {
    /// The whole line without its end (`$request`).
    pub text: Span,
    /// The method, if it is one with a name.
    pub method: Method,
    /// The method as it was sent (`$request_method`).
    pub method_text: Span,
    /// The scheme of an absolute-form target, else empty.
    pub scheme: Span,
    /// `host[:port]` of an absolute-form or authority-form target, else empty. Where there is a
    /// scheme, an empty host is an error that host validation reports.
    pub host: Span,
    /// Path and arguments (`$request_uri`): starts with `/`, or with `?` behind a bare host.
    pub target: Span,
    /// The version as it was sent (`$server_protocol`); empty for HTTP/0.9.
    pub protocol: Span,
    /// The version.
    pub version: Version,
}

/// Why a request line is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineError {
    /// The method has a byte other than `A` to `Z`, `_` and `-`.
    Method,
    /// Anything else is wrong.
    Request,
    /// The major version is 2 or more.
    Version,
    /// HTTP/0.9 knows only GET.
    Http09Method,
}

impl RequestLine {
    /// The same line seen from a buffer in which it begins `distance` bytes later.
    pub fn shifted(self, distance: usize) -> RequestLine {
        RequestLine {
            text: self.text.shifted(distance),
            method_text: self.method_text.shifted(distance),
            scheme: self.scheme.shifted(distance),
            host: self.host.shifted(distance),
            target: self.target.shifted(distance),
            protocol: self.protocol.shifted(distance),
            ..self
        }
    }
}

/// How far a line was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineResult {
    /// So far nothing is wrong; the line has no end yet.
    Partial,
    /// The line, and how many bytes it takes with its end.
    Done(RequestLine, usize),
    /// What is wrong, and at which byte it showed.
    Invalid(LineError, usize),
}

/// Parses the request line at the start of `input`.
pub fn parse(input: &[u8]) -> LineResult {
    let mut scanner = Scanner {
        input,
        at: 0,
        line: RequestLine::default(),
    };
    match scanner.run() {
        Ok(()) => LineResult::Done(scanner.line, scanner.at),
        Err(Stop::Partial) => LineResult::Partial,
        Err(Stop::Invalid(error)) => LineResult::Invalid(error, scanner.at),
    }
}

/// The method of a line whose rest is wrong, and as it was sent.
pub fn method(input: &[u8]) -> (Method, Span) {
    let mut scanner = Scanner {
        input,
        at: 0,
        line: RequestLine::default(),
    };
    // Without a method, both keep their defaults.
    let _ = scanner.method();
    (scanner.line.method, scanner.line.method_text)
}

/// Why scanning does not go on.
enum Stop {
    Partial,
    Invalid(LineError),
}

impl From<LineError> for Stop {
    fn from(error: LineError) -> Stop {
        Stop::Invalid(error)
    }
}

type Step<T = ()> = Result<T, Stop>;

struct Scanner<'a> {
    input: &'a [u8],
    at: usize,
    line: RequestLine,
}

impl Scanner<'_> {
    fn run(&mut self) -> Step {
        self.method()?;
        self.skip_spaces()?;
        match self.peek()? {
            _ if self.line.method == Method::Connect => self.authority()?,
            b'/' => self.path()?,
            byte if byte.is_ascii_alphabetic() => self.absolute_form()?,
            _ => return Err(LineError::Request.into()),
        }
        self.skip_spaces()?;
        match self.peek()? {
            b'\r' | b'\n' => self.line.version = Version::Http09,
            _ => self.protocol()?,
        }
        self.end_of_line()?;
        if self.line.version == Version::Http09 && self.line.method != Method::Get {
            return Err(LineError::Http09Method.into());
        }
        Ok(())
    }

    fn peek(&self) -> Step<u8> {
        self.input.get(self.at).copied().ok_or(Stop::Partial)
    }

    fn next(&mut self) -> Step<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    /// Steps over one byte that must be there.
    fn step_over(&mut self, wanted: u8) -> Step {
        if self.peek()? != wanted {
            return Err(LineError::Request.into());
        }
        self.at += 1;
        Ok(())
    }

    /// Steps over bytes as long as they are wanted; gives the first that is not.
    fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) -> Step<u8> {
        let mut at = self.at;
        while let Some(&byte) = self.input.get(at)
            && wanted(byte)
        {
            at += 1;
        }
        self.at = at;
        self.peek()
    }

    fn skip_spaces(&mut self) -> Step<u8> {
        self.skip_while(|byte| byte == b' ')
    }

    fn span_from(&self, start: usize) -> Span {
        Span::new(start, self.at)
    }

    fn method(&mut self) -> Step {
        // Nearly all requests say this, and it is one comparison.
        if self.input.starts_with(b"GET ") {
            self.line.method = Method::Get;
            self.at = b"GET".len();
            self.line.method_text = self.span_from(0);
            return Ok(());
        }
        let stop = self.skip_while(|byte| byte.is_ascii_uppercase() || matches!(byte, b'_' | b'-'));
        if stop? != b' ' || self.at == 0 {
            return Err(LineError::Method.into());
        }
        self.line.method_text = self.span_from(0);
        self.line.method = Method::from_bytes(&self.input[..self.at]);
        Ok(())
    }

    /// The path and arguments: up to a space or the end of the line, without control bytes.
    fn path(&mut self) -> Step {
        let start = self.at;
        self.at += target_length(&self.input[start..]);
        let stop = self.peek()?;
        if !matches!(stop, b' ' | b'\r' | b'\n') {
            return Err(LineError::Request.into());
        }
        self.line.target = self.span_from(start);
        Ok(())
    }

    /// `scheme://host[:port]` and then a path, arguments, or nothing, which means `/`.
    fn absolute_form(&mut self) -> Step {
        let start = self.at;
        self.skip_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))?;
        self.line.scheme = self.span_from(start);
        self.step_over(b':')?;
        self.step_over(b'/')?;
        self.step_over(b'/')?;
        let slash = self.at - 2;
        match self.host_and_port()? {
            b'/' | b'?' => self.path(),
            b' ' => {
                self.line.target = Span::new(slash, slash + 1);
                Ok(())
            }
            _ => Err(LineError::Request.into()),
        }
    }

    /// The `host:port` of a CONNECT request, whose path is `/` (the one of `HTTP/1.1`).
    fn authority(&mut self) -> Step {
        let stop = self.host_and_port()?;
        let has_port = self.input[..self.at].last().is_some_and(u8::is_ascii_digit)
            && self.line.host.of(self.input).contains(&b':');
        if stop != b' ' || !has_port {
            return Err(LineError::Request.into());
        }
        Ok(())
    }

    fn host_and_port(&mut self) -> Step<u8> {
        let start = self.at;
        let mut stop = self.peek()?;
        if stop == b'[' {
            self.at += 1;
            self.skip_while(is_ip_literal)?;
            self.step_over(b']')?;
            stop = self.peek()?;
        } else {
            stop = self
                .skip_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))?;
        }
        if stop == b':' {
            self.at += 1;
            stop = self.skip_while(|byte| byte.is_ascii_digit())?;
        }
        self.line.host = self.span_from(start);
        Ok(stop)
    }

    fn protocol(&mut self) -> Step {
        let start = self.at;
        // So does this.
        self.line.version = if self.input[start..].starts_with(b"HTTP/1.1\r") {
            self.at += b"HTTP/1.1".len();
            Version::Http11
        } else {
            self.version()?
        };
        if self.line.method == Method::Connect {
            self.line.target = Span::new(start + 4, start + 5);
        }
        // What follows the number up to the end of the line counts as part of it, as in nginx.
        self.skip_spaces()?;
        self.line.protocol = self.span_from(start);
        Ok(())
    }

    fn version(&mut self) -> Step<Version> {
        for &wanted in b"HTTP/" {
            self.step_over(wanted)?;
        }
        Ok(match self.version_number()? {
            0 => Version::Http10,
            _ => Version::Http11,
        })
    }

    /// The digits and the dot of `HTTP/1.x`; gives `x`.
    fn version_number(&mut self) -> Step<u16> {
        match self.peek()? {
            b'1' => self.at += 1,
            b'2'..=b'9' => return Err(LineError::Version.into()),
            _ => return Err(LineError::Request.into()),
        }
        if self.peek()?.is_ascii_digit() {
            return Err(LineError::Version.into());
        }
        self.step_over(b'.')?;
        if !self.peek()?.is_ascii_digit() {
            return Err(LineError::Request.into());
        }
        let mut minor = 0;
        while self.peek()?.is_ascii_digit() {
            if minor > 99 {
                return Err(LineError::Request.into());
            }
            minor = minor * 10 + u16::from(self.next()? - b'0');
        }
        Ok(minor)
    }

    fn end_of_line(&mut self) -> Step {
        self.line.text = self.span_from(0);
        if self.peek()? == b'\r' {
            self.at += 1;
        }
        self.step_over(b'\n')
    }
}

/// How many bytes at the start may stand in a path or its arguments: neither spaces nor control
/// bytes.
fn target_length(input: &[u8]) -> usize {
    let end = word::position(
        input,
        |word| word.below(b'!').or(word.equal(0x7f)),
        |byte| byte < b'!' || byte == 0x7f,
    );
    end.unwrap_or(input.len())
}

/// The bytes nginx takes between the brackets of an IP literal.
fn is_ip_literal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b":-._~!$&'()*+,;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_good_lines() {
        // line, method, scheme, host, target, protocol
        let cases = [
            ("GET / HTTP/1.1\r\n", "GET", "", "", "/", "HTTP/1.1"),
            ("GET /a?b HTTP/1.0\n", "GET", "", "", "/a?b", "HTTP/1.0"),
            (
                "M-SEARCH  /  HTTP/1.1 \r\n",
                "M-SEARCH",
                "",
                "",
                "/",
                "HTTP/1.1 ",
            ),
            ("GET /\r\n", "GET", "", "", "/", ""),
            ("GET / \n", "GET", "", "", "/", ""),
            (
                "GET http://a.b:80/c HTTP/1.1\n",
                "GET",
                "http",
                "a.b:80",
                "/c",
                "HTTP/1.1",
            ),
            (
                "GET http://a HTTP/1.1\n",
                "GET",
                "http",
                "a",
                "/",
                "HTTP/1.1",
            ),
            (
                "GET https://[::1]:8?x HTTP/1.1\n",
                "GET",
                "https",
                "[::1]:8",
                "?x",
                "HTTP/1.1",
            ),
            (
                "GET http://a: HTTP/1.1\n",
                "GET",
                "http",
                "a:",
                "/",
                "HTTP/1.1",
            ),
            (
                "CONNECT a:443 HTTP/1.1\r\n",
                "CONNECT",
                "",
                "a:443",
                "/",
                "HTTP/1.1",
            ),
            (
                "CONNECT [::1]:1 HTTP/1.1\r\n",
                "CONNECT",
                "",
                "[::1]:1",
                "/",
                "HTTP/1.1",
            ),
            (
                "GET /\u{fc}\" HTTP/1.1\n",
                "GET",
                "",
                "",
                "/\u{fc}\"",
                "HTTP/1.1",
            ),
        ];
        for (text, method, scheme, host, target, protocol) in cases {
            let LineResult::Done(line, length) = parse(text.as_bytes()) else {
                panic!("refused: {text}");
            };
            let parts = [
                line.method_text,
                line.scheme,
                line.host,
                line.target,
                line.protocol,
            ]
            .map(|span| String::from_utf8_lossy(span.of(text.as_bytes())));
            assert_eq!(parts, [method, scheme, host, target, protocol], "{text}");
            assert_eq!(
                line.text.of(text.as_bytes()),
                text.trim_end_matches(['\r', '\n']).as_bytes()
            );
            assert_eq!(length, text.len());
        }
    }

    #[test]
    fn versions() {
        let version = |text: &str| match parse(format!("GET / {text}\n").as_bytes()) {
            LineResult::Done(line, _) => Ok(line.version),
            LineResult::Invalid(error, _) => Err(error),
            LineResult::Partial => panic!("{text}"),
        };
        let cases = [
            ("", Ok(Version::Http09)),
            ("HTTP/1.0", Ok(Version::Http10)),
            ("HTTP/1.1", Ok(Version::Http11)),
            ("HTTP/1.01", Ok(Version::Http11)),
            ("HTTP/1.9", Ok(Version::Http11)),
            ("HTTP/1.999", Ok(Version::Http11)),
            ("HTTP/1.1000", Err(LineError::Request)),
            ("HTTP/2.0", Err(LineError::Version)),
            ("HTTP/11.0", Err(LineError::Version)),
            ("HTTP/0.9", Err(LineError::Request)),
            ("HTTP/1", Err(LineError::Request)),
            ("HTTP/1.", Err(LineError::Request)),
            ("HTTP/1.1a", Err(LineError::Request)),
            ("HTTP/1.1 a", Err(LineError::Request)),
            ("http/1.1", Err(LineError::Request)),
            ("HTTQ/1.1", Err(LineError::Request)),
        ];
        for (text, expected) in cases {
            assert_eq!(version(text), expected, "{text}");
        }
    }

    #[test]
    fn bad_lines_are_refused_at_the_first_wrong_byte() {
        let cases = [
            ("get / HTTP/1.1\n", LineError::Method, 0),
            (" GET / HTTP/1.1\n", LineError::Method, 0),
            ("GE:T / HTTP/1.1\n", LineError::Method, 2),
            ("GET\n", LineError::Method, 3),
            ("\x16\x03\x01", LineError::Method, 0),
            ("GET *", LineError::Request, 4),
            ("GET \n", LineError::Request, 4),
            ("GET /\t", LineError::Request, 5),
            ("GET /a\0", LineError::Request, 6),
            ("GET /a\x7f", LineError::Request, 6),
            ("GET / /", LineError::Request, 6),
            ("GET /\rX", LineError::Request, 6),
            ("GET / HTTP/1.1\rX", LineError::Request, 15),
            ("GET ht/", LineError::Request, 6),
            ("GET http:a", LineError::Request, 9),
            ("GET http://a_b/", LineError::Request, 12),
            ("GET http://a\n", LineError::Request, 12),
            ("GET http://a:b", LineError::Request, 13),
            ("GET http://[a/", LineError::Request, 13),
            ("CONNECT a HTTP/1.1\n", LineError::Request, 9),
            ("CONNECT /a HTTP/1.1\n", LineError::Request, 8),
            ("CONNECT a: HTTP/1.1\n", LineError::Request, 10),
            ("POST /\n", LineError::Http09Method, 7),
        ];
        for (text, error, at) in cases {
            assert_eq!(
                parse(text.as_bytes()),
                LineResult::Invalid(error, at),
                "{text:?}"
            );
        }
    }

    #[test]
    fn every_beginning_of_a_good_line_is_partial() {
        for text in [
            "GET /a HTTP/1.1\r\n",
            "GET http://[::1]:80/ HTTP/1.0\r\n",
            "CONNECT a:1 HTTP/1.1\r\n",
        ] {
            for end in 0..text.len() {
                assert_eq!(
                    parse(&text.as_bytes()[..end]),
                    LineResult::Partial,
                    "{text:?} {end}"
                );
            }
        }
    }
}
