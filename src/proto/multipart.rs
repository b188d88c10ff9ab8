//! `multipart/form-data` (RFC 7578, RFC 2046 section 5.1), decoded as it arrives.

use memchr::memmem;

/// How many spaces may follow a boundary on its line (RFC 2046 calls them transport padding).
const MAX_PADDING: u8 = 64;

/// The longest boundary (RFC 2046 section 5.1.1).
const MAX_BOUNDARY: usize = 70;

/// Cuts a form into its parts. What it gives depends on the bytes alone, never on how they
/// happened to be split on their way.
pub struct Multipart {
    /// A line end, two dashes and the boundary: what ends a part.
    delimiter: Vec<u8>,
    /// The most bytes one part's header may take (`upload_max_part_header_len`).
    max_header: usize,
    state: State,
    header: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In front of the first boundary, with so many bytes of the delimiter seen.
    Preamble(usize),
    /// In a part's content, likewise.
    Content(usize),
    /// Behind a boundary: nothing but padding so far.
    Behind(u8),
    /// Behind a boundary and one dash.
    Dash,
    /// Behind a boundary and a carriage return.
    Return,
    Header,
    Epilogue,
}

/// What a step of decoding gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A part begins.
    Part(PartHead),
    /// Content of the current part.
    Data(&'a [u8]),
    /// The current part is whole.
    EndOfPart,
    /// All of the input is used up, and more must come.
    NeedMore,
    /// The last boundary was seen; whatever follows means nothing.
    End,
}

/// What the header of a part says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartHead {
    /// The field's name.
    pub name: Vec<u8>,
    /// The name of the file, if it is one.
    pub file_name: Option<Vec<u8>>,
    /// The file's media type.
    pub content_type: Option<Vec<u8>>,
}

/// Why a form can't be read; all of them are answered with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MultipartError {
    /// Something other than a line end follows a boundary.
    Boundary,
    /// A part's header is longer than allowed.
    HeaderTooLong,
    /// A part's header is malformed, or says nothing of a form's field.
    Header,
}

impl MultipartError {
    /// What is written to the error log.
    pub fn message(self) -> &'static str {
        match self {
            MultipartError::Boundary => "client sent an invalid boundary in a form",
            MultipartError::HeaderTooLong => {
                "client sent a form with a part header longer than \"upload_max_part_header_len\""
            }
            MultipartError::Header => "client sent a form with an invalid part header",
        }
    }
}

impl Multipart {
    /// A decoder for a body with this `Content-Type`; `None` unless that is a form with a boundary.
    pub fn new(content_type: &[u8], max_header: usize) -> Option<Multipart> {
        let boundary = boundary(content_type)?;
        Some(Multipart {
            delimiter: [b"\r\n--", &*boundary].concat(),
            max_header,
            // The first boundary needs no line end in front of it.
            state: State::Preamble(2),
            header: Vec::new(),
        })
    }

    /// Whether the last boundary has been seen: a body that ends before it was cut short.
    pub fn is_done(&self) -> bool {
        self.state == State::Epilogue
    }

    /// Decodes up to the next event; gives how many bytes of `input` are dealt with (go on behind
    /// them) and what they were.
    ///
    /// # Errors
    /// See [`MultipartError`].
    pub fn decode<'a>(&'a mut self, input: &'a [u8]) -> Result<(usize, Event<'a>), MultipartError> {
        let mut at = 0;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            match self.state {
                State::Epilogue => return Ok((input.len(), Event::End)),
                _ if rest.is_empty() => return Ok((at, Event::NeedMore)),
                State::Preamble(seen) => at += self.preamble(rest, seen),
                State::Content(seen) => return Ok(self.content(input, at, seen)),
                State::Behind(_) | State::Dash | State::Return => {
                    at += 1;
                    self.behind_boundary(rest[0])?;
                }
                State::Header => {
                    let (used, part) = self.header(rest)?;
                    at += used;
                    if let Some(part) = part {
                        return Ok((at, Event::Part(part)));
                    }
                }
            }
        }
    }

    /// Skips what stands in front of the first boundary.
    fn preamble(&mut self, rest: &[u8], seen: usize) -> usize {
        let found = self.find(rest, seen);
        self.state = match found.seen {
            None => State::Behind(0),
            Some(seen) => State::Preamble(seen),
        };
        found.data + found.delimiter
    }

    /// The next stretch of content, or its end.
    fn content<'a>(&'a mut self, input: &'a [u8], at: usize, seen: usize) -> (usize, Event<'a>) {
        let rest = input.get(at..).unwrap_or_default();
        let found = self.find(rest, seen);
        if found.held > 0 {
            // Bytes that looked like the beginning of a delimiter were content after all.
            self.state = State::Content(0);
            return (at, Event::Data(&self.delimiter[..found.held]));
        }
        if found.data > 0 {
            self.state = State::Content(0);
            return (at + found.data, Event::Data(&rest[..found.data]));
        }
        match found.seen {
            None => {
                self.state = State::Behind(0);
                (at + found.delimiter, Event::EndOfPart)
            }
            Some(seen) => {
                self.state = State::Content(seen);
                (at + found.delimiter, Event::NeedMore)
            }
        }
    }

    /// Looks for the delimiter in `rest`, of which `seen` bytes were at the end of what came before.
    ///
    /// A boundary has no carriage return in it, so a delimiter never begins inside another's
    /// beginning: after a mismatch there is nothing to go back to.
    fn find(&self, rest: &[u8], seen: usize) -> Found {
        let missing = &self.delimiter[seen..];
        let common = missing.iter().zip(rest).take_while(|(a, b)| a == b).count();
        if common == missing.len() {
            return Found::delimiter(0, common, None);
        }
        if common == rest.len() {
            return Found::delimiter(0, common, Some(seen + common));
        }
        if seen > 0 {
            return Found {
                held: seen,
                data: 0,
                delimiter: 0,
                seen: Some(0),
            };
        }
        if let Some(data) = memmem::find(rest, &self.delimiter) {
            return Found::delimiter(data, self.delimiter.len(), None);
        }
        let tail = rest.len().saturating_sub(self.delimiter.len() - 1);
        let begun = memchr::memrchr(b'\r', &rest[tail..])
            .map(|position| tail + position)
            .filter(|&position| self.delimiter.starts_with(&rest[position..]));
        match begun {
            Some(data) => Found::delimiter(data, rest.len() - data, Some(rest.len() - data)),
            None => Found::delimiter(rest.len(), 0, Some(0)),
        }
    }

    /// One byte of the boundary's line.
    fn behind_boundary(&mut self, byte: u8) -> Result<(), MultipartError> {
        self.state = match (self.state, byte) {
            (State::Behind(0), b'-') => State::Dash,
            (State::Behind(padding), b' ' | b'\t') if padding < MAX_PADDING => {
                State::Behind(padding + 1)
            }
            (State::Behind(_), b'\r') => State::Return,
            (State::Dash, b'-') => State::Epilogue,
            (State::Return, b'\n') => {
                self.header.clear();
                State::Header
            }
            _ => return Err(MultipartError::Boundary),
        };
        Ok(())
    }

    /// Collects a part's header; gives the bytes used and, once it is whole, what it says.
    fn header(&mut self, rest: &[u8]) -> Result<(usize, Option<PartHead>), MultipartError> {
        // Line by line: the end of the header is an empty line.
        let (used, whole_line) = match memchr::memchr(b'\n', rest) {
            Some(end) => (end + 1, true),
            None => (rest.len(), false),
        };
        if self.header.len() + used > self.max_header {
            return Err(MultipartError::HeaderTooLong);
        }
        self.header.extend_from_slice(&rest[..used]);
        if !whole_line || !(self.header == b"\r\n" || self.header.ends_with(b"\r\n\r\n")) {
            return Ok((used, None));
        }
        let head = PartHead::parse(&self.header)?;
        self.state = State::Content(0);
        Ok((used, Some(head)))
    }
}

/// Where the delimiter is, or may be beginning.
struct Found {
    /// So many bytes of the delimiter that were held back are content.
    held: usize,
    /// So many bytes of the input are content.
    data: usize,
    /// So many bytes behind them are the delimiter's.
    delimiter: usize,
    /// How much of the delimiter is seen then; `None`: all.
    seen: Option<usize>,
}

impl Found {
    fn delimiter(data: usize, delimiter: usize, seen: Option<usize>) -> Found {
        Found {
            held: 0,
            data,
            delimiter,
            seen,
        }
    }
}

impl PartHead {
    fn parse(header: &[u8]) -> Result<PartHead, MultipartError> {
        let mut head = None;
        let mut content_type = None;
        for line in header.split(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            let colon = memchr::memchr(b':', line).ok_or(MultipartError::Header)?;
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            if name.eq_ignore_ascii_case(b"Content-Disposition") {
                head = Some(PartHead::of_disposition(value).ok_or(MultipartError::Header)?);
            } else if name.eq_ignore_ascii_case(b"Content-Type") {
                content_type = Some(value.to_vec());
            }
        }
        let mut head = head.ok_or(MultipartError::Header)?;
        head.content_type = content_type;
        Ok(head)
    }

    fn of_disposition(value: &[u8]) -> Option<PartHead> {
        let mut parameters = Parameters::new(value);
        if !parameters.kind().eq_ignore_ascii_case(b"form-data") {
            return None;
        }
        let (mut name, mut file_name) = (None, None);
        for (key, value) in parameters {
            if key.eq_ignore_ascii_case(b"name") {
                name = Some(undo_form_escapes(&value));
            } else if key.eq_ignore_ascii_case(b"filename") {
                file_name = Some(undo_form_escapes(&value));
            }
        }
        Some(PartHead {
            name: name?,
            file_name,
            content_type: None,
        })
    }
}

/// Browsers write a quote and line ends in a name as `%22`, `%0D` and `%0A`, and nothing else so.
fn undo_form_escapes(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&byte, behind)) = rest.split_first() {
        let escaped = match behind.get(..2).map(|hex| [hex[0], hex[1] & !0x20]) {
            Some([b'2', _]) if behind.starts_with(b"22") => Some(b'"'),
            Some([b'0', b'D']) => Some(b'\r'),
            Some([b'0', b'A']) => Some(b'\n'),
            _ => None,
        };
        match escaped.filter(|_| byte == b'%') {
            Some(meant) => {
                out.push(meant);
                rest = &behind[2..];
            }
            None => {
                out.push(byte);
                rest = behind;
            }
        }
    }
    out
}

/// The boundary parameter of a form's media type.
pub fn boundary(content_type: &[u8]) -> Option<Vec<u8>> {
    let mut parameters = Parameters::new(content_type);
    if !parameters
        .kind()
        .eq_ignore_ascii_case(b"multipart/form-data")
    {
        return None;
    }
    let (_, boundary) = parameters.find(|(name, _)| name.eq_ignore_ascii_case(b"boundary"))?;
    let valid = (1..=MAX_BOUNDARY).contains(&boundary.len())
        && boundary.iter().all(|byte| (b' '..0x7f).contains(byte));
    valid.then_some(boundary)
}

/// The parameters of a field value such as `form-data; name="a"`: names and unquoted values.
pub struct Parameters<'a> {
    rest: &'a [u8],
}

impl<'a> Parameters<'a> {
    /// The parameters of `value`, in order; what they qualify comes first ([`Parameters::kind`]).
    pub fn new(value: &'a [u8]) -> Parameters<'a> {
        Parameters { rest: value }
    }

    /// What stands in front of the first parameter. To be asked for before the parameters.
    pub fn kind(&mut self) -> &'a [u8] {
        let end = memchr::memchr(b';', self.rest).unwrap_or(self.rest.len());
        let (kind, rest) = self.rest.split_at(end);
        self.rest = rest;
        kind.trim_ascii()
    }

    /// A quoted value and what follows it. A backslash escapes a quote only: old browsers send
    /// paths with plain backslashes in them.
    fn quoted(text: &'a [u8]) -> (Vec<u8>, &'a [u8]) {
        let mut value = Vec::new();
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            match byte {
                b'"' => return (value, &text[at + 1..]),
                b'\\' if text.get(at + 1) == Some(&b'"') && text[at + 2..].contains(&b'"') => {
                    value.push(b'"');
                    at += 1;
                }
                _ => value.push(byte),
            }
            at += 1;
        }
        (value, b"")
    }
}

impl<'a> Iterator for Parameters<'a> {
    type Item = (&'a [u8], Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.rest = self.rest.trim_ascii_start();
            let rest = self.rest.strip_prefix(b";").unwrap_or(self.rest);
            let rest = rest.trim_ascii_start();
            if rest.is_empty() {
                self.rest = rest;
                return None;
            }
            let end = memchr::memchr2(b'=', b';', rest).unwrap_or(rest.len());
            let name = rest[..end].trim_ascii();
            if rest.get(end) != Some(&b'=') {
                self.rest = &rest[end..];
                continue;
            }
            let value = rest[end + 1..].trim_ascii_start();
            if let Some(text) = value.strip_prefix(b"\"") {
                let (value, rest) = Self::quoted(text);
                self.rest = rest;
                return Some((name, value));
            }
            let end = memchr::memchr(b';', value).unwrap_or(value.len());
            self.rest = &value[end..];
            return Some((name, value[..end].trim_ascii().to_vec()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TYPE: &[u8] = b"multipart/form-data; boundary=AaB";

    /// The parts of a form that comes in pieces of `step` bytes, and whether it was whole.
    type Parts = Vec<(PartHead, Vec<u8>)>;

    fn parts(input: &[u8], step: usize) -> Result<(Parts, bool), MultipartError> {
        let mut decoder = Multipart::new(TYPE, 200).unwrap();
        let mut parts: Parts = Vec::new();
        for piece in input.chunks(step) {
            let mut rest = piece;
            loop {
                let (used, event) = decoder.decode(rest)?;
                match event {
                    Event::Part(head) => parts.push((head, Vec::new())),
                    Event::Data(data) => parts.last_mut().unwrap().1.extend_from_slice(data),
                    Event::EndOfPart => {}
                    Event::NeedMore => break,
                    Event::End => return Ok((parts, true)),
                }
                rest = &rest[used..];
            }
        }
        Ok((parts, decoder.is_done()))
    }

    fn shown(input: &str) -> String {
        match parts(input.as_bytes(), usize::MAX) {
            Err(error) => format!("{error:?}"),
            Ok((parts, whole)) => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let mut shown = String::new();
                for (head, data) in parts {
                    let file = head.file_name.as_deref().map(text);
                    let file = file.map_or(String::new(), |name| format!("({name})"));
                    shown += &format!("{}{file}={} ", text(&head.name), text(&data));
                }
                shown + if whole { "." } else { "…" }
            }
        }
    }

    #[test]
    fn forms() {
        let field = |disposition: &str, rest: &str| {
            format!("--AaB\r\nContent-Disposition: {disposition}\r\n{rest}--AaB--\r\n")
        };
        for (input, expected) in [
            (field("form-data; name=a", "\r\nx\r\n"), "a=x ."),
            (field("form-data; name=\"a b\"", "\r\n\r\n"), "a b= ."),
            (
                field("form-data; name=a; filename=\"f\"", "X: y\r\n\r\n-\r\n"),
                "a(f)=- .",
            ),
            (
                field("FORM-DATA;filename=f ; name = a", "\r\n\r\n\r\n"),
                "a(f)=\r\n .",
            ),
            (
                field("form-data; name=a; filename=\"\"", "\r\nx\r\n"),
                "a()=x .",
            ),
            (
                field(r#"form-data; name="%22%0d%0A%41""#, "\r\n\r\n"),
                "\"\r\n%41= .",
            ),
            (field(r#"form-data; name="a\"b""#, "\r\n\r\n"), "a\"b= ."),
            (
                field(r#"form-data; name=a; filename="C:\x\y""#, "\r\n\r\n"),
                r"a(C:\x\y)= .",
            ),
            (
                field("form-data; name=a", "\r\n--Aa\r\n--A\r\r\n\n\r\n"),
                "a=--Aa\r\n--A\r\r\n\n .",
            ),
            (
                "junk\r\n--AaB \t\r\nContent-Disposition:form-data;name=a\r\n\r\n1\r\n--AaB--"
                    .into(),
                "a=1 .",
            ),
            ("--AaB--".into(), "."),
            ("--AaB".into(), "…"),
            (
                "--AaB\r\nContent-Disposition: form-data; name=a\r\n\r\n12\r\n--Aa".into(),
                "a=12 …",
            ),
            ("--AaBx".into(), "Boundary"),
            ("--AaB\rx".into(), "Boundary"),
            ("--AaB\r\n\r\n".into(), "Header"),
            (field("attachment; name=a", "\r\n\r\n"), "Header"),
            (field("form-data; filename=a", "\r\n\r\n"), "Header"),
            (field("form-data; name=a", "no colon\r\n\r\n"), "Header"),
            (
                field(&format!("form-data; name={}", "a".repeat(200)), "\r\n\r\n"),
                "HeaderTooLong",
            ),
        ] {
            assert_eq!(shown(&input), expected, "{input}");
        }
    }

    #[test]
    fn boundaries() {
        for (content_type, expected) in [
            ("multipart/form-data; boundary=x", Some("x")),
            (
                "Multipart/Form-Data ;charset=utf-8; BOUNDARY=\"a b\"",
                Some("a b"),
            ),
            ("multipart/form-data; boundary=", None),
            ("multipart/form-data; boundary=\"a\rb\"", None),
            ("multipart/form-data", None),
            ("multipart/mixed; boundary=x", None),
            ("", None),
        ] {
            let found = boundary(content_type.as_bytes());
            assert_eq!(
                found.as_deref(),
                expected.map(str::as_bytes),
                "{content_type}"
            );
        }
        assert!(
            boundary(format!("multipart/form-data;boundary={}", "x".repeat(71)).as_bytes())
                .is_none()
        );
    }

    /// Content that often looks like a boundary.
    fn content() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            "\r", "\n", "\r\n", "-", "--", "\r\n--Aa", "\r\n--", "AaC", "x"
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn every_split_gives_the_same_files(
            contents in prop::collection::vec(content(), 0..4),
            step in 1_usize..80,
            cut in 0_usize..400,
        ) {
            let mut input = Vec::new();
            for content in &contents {
                input.extend_from_slice(b"--AaB\r\nContent-Disposition: form-data; name=n; filename=f\r\n\r\n");
                input.extend_from_slice(content);
                input.extend_from_slice(b"\r\n");
            }
            input.extend_from_slice(b"--AaB--\r\nepilogue");
            let (found, whole) = parts(&input, step).unwrap();
            let found: Vec<_> = found.into_iter().map(|(_, data)| data).collect();
            prop_assert_eq!(&found, &contents);
            prop_assert!(whole);
            let cut = &input[..cut.min(input.len())];
            prop_assert_eq!(parts(cut, step), parts(cut, usize::MAX));
        }

        #[test]
        fn any_bytes_are_survived(input: Vec<u8>, step in 1_usize..20) {
            prop_assert_eq!(parts(&input, step), parts(&input, usize::MAX));
        }
    }
}
