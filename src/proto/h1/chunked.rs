//! The chunked transfer coding (RFC 9112 section 7.1), decoded as it arrives.

use std::ops::Range;

use crate::http::hex;

/// How many bytes the size and extensions of one chunk may take.
const MAX_CHUNK_HEAD: usize = 16 * 1024;

/// How many bytes all trailers may take.
const MAX_TRAILERS: usize = 64 * 1024;

/// Undoes the chunked coding. Extensions and trailers are dropped.
///
/// Line ends are CR LF throughout: a bare line feed is refused, as it is by nginx, because it is
/// what request smuggling lives on.
#[derive(Clone, Debug, Default)]
pub struct Chunked {
    state: State,
    /// What is left of the chunk; while its size is read, the size so far.
    size: u64,
    /// Bytes of the current chunk head or of the trailers so far.
    overhead: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Start,
    Size,
    Extension,
    HeadReturn,
    Data,
    AfterData,
    DataReturn,
    TrailerStart,
    Trailer,
    TrailerReturn,
    LastReturn,
    Done,
}

/// What a step of decoding gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// These bytes of the input are body; they end where the step ended.
    Data(Range<usize>),
    /// All of the input is used up and more must come.
    NeedMore,
    /// The body is complete.
    End,
}

/// The coding is broken (or its overhead beyond limits): answer 400 and close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkedError;

impl ChunkedError {
    /// What nginx writes to the error log.
    pub fn message(self) -> &'static str {
        "client sent invalid chunked body"
    }
}

impl Chunked {
    /// A decoder at the start of a body.
    pub fn new() -> Chunked {
        Chunked::default()
    }

    /// Whether the last chunk and the trailers have been seen.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// How many bytes must still come at the least, for sizing a read.
    pub fn missing(&self) -> u64 {
        match self.state {
            State::Data => self.size + 7,
            State::Done => 0,
            _ => 1,
        }
    }

    /// Decodes up to the end of the first stretch of data, of the body, or of the input; gives how
    /// many bytes are dealt with (go on behind them) and what they were.
    pub fn decode(&mut self, input: &[u8]) -> Result<(usize, Event), ChunkedError> {
        let mut at = 0;
        loop {
            if self.state == State::Done {
                return Ok((at, Event::End));
            }
            let Some(&byte) = input.get(at) else {
                return Ok((at, Event::NeedMore));
            };
            if self.state == State::Data {
                let length = self.size.min((input.len() - at) as u64);
                self.size -= length;
                if self.size == 0 {
                    self.state = State::AfterData;
                }
                let end = at + length as usize;
                return Ok((end, Event::Data(at..end)));
            }
            self.state = self.following(byte)?;
            at += 1;
        }
    }

    /// The state after one byte that is not data.
    fn following(&mut self, byte: u8) -> Result<State, ChunkedError> {
        self.count_overhead()?;
        Ok(match (self.state, byte) {
            (State::Start, _) => {
                self.size = hex_digit(byte).ok_or(ChunkedError)?;
                State::Size
            }
            (State::Size | State::Extension, b'\r') => State::HeadReturn,
            (State::Size, b';' | b' ' | b'\t') => State::Extension,
            (State::Size, _) => {
                let digit = hex_digit(byte).ok_or(ChunkedError)?;
                if self.size > i64::MAX as u64 / 16 {
                    return Err(ChunkedError);
                }
                self.size = self.size * 16 + digit;
                State::Size
            }
            (State::HeadReturn, b'\n') => self.after_head()?,
            (State::AfterData, b'\r') => State::DataReturn,
            (State::DataReturn, b'\n') => State::Start,
            (State::TrailerStart, b'\r') => State::LastReturn,
            (State::Trailer, b'\r') => State::TrailerReturn,
            (State::TrailerReturn, b'\n') => State::TrailerStart,
            (State::LastReturn, b'\n') => State::Done,
            (State::Extension, other) if other != b'\n' => State::Extension,
            (State::TrailerStart | State::Trailer, other) if other != b'\n' => State::Trailer,
            _ => return Err(ChunkedError),
        })
    }

    fn after_head(&mut self) -> Result<State, ChunkedError> {
        self.overhead = 0;
        match self.size {
            0 => Ok(State::TrailerStart),
            size if size > i64::MAX as u64 - 9 => Err(ChunkedError),
            _ => Ok(State::Data),
        }
    }

    fn count_overhead(&mut self) -> Result<(), ChunkedError> {
        let most = match self.state {
            State::TrailerStart | State::Trailer | State::TrailerReturn | State::LastReturn => {
                MAX_TRAILERS
            }
            _ => MAX_CHUNK_HEAD,
        };
        self.overhead += 1;
        if self.overhead > most {
            Err(ChunkedError)
        } else {
            Ok(())
        }
    }
}

fn hex_digit(byte: u8) -> Option<u64> {
    (byte as char).to_digit(16).map(u64::from)
}

/// What ends a body: the last chunk, without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// What stands behind the data of each chunk.
pub const CHUNK_END: &[u8] = b"\r\n";

/// Appends the line before a chunk of this many bytes, which must not be zero.
pub fn write_size(size: usize, out: &mut Vec<u8>) {
    hex::append_number(size as u64, out);
    out.extend(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The body, and how many bytes were used, or `None` for "more must come".
    type Outcome = Result<(Vec<u8>, Option<usize>), ChunkedError>;

    fn decode(input: &[u8], step: usize) -> Outcome {
        let mut decoder = Chunked::new();
        let (mut body, mut used) = (Vec::new(), 0);
        for piece in input.chunks(step) {
            let mut at = 0;
            loop {
                let rest = &piece[at..];
                let (consumed, event) = decoder.decode(rest)?;
                at += consumed;
                match event {
                    Event::Data(range) => body.extend(&rest[range]),
                    Event::NeedMore => break,
                    Event::End => return Ok((body, Some(used + at))),
                }
            }
            used += at;
        }
        Ok((body, None))
    }

    #[test]
    fn good_bodies() {
        let cases = [
            ("0\r\n\r\n", ""),
            ("5\r\nhello\r\n0\r\n\r\n", "hello"),
            ("1\r\na\r\n2\r\nbc\r\n000\r\n\r\n", "abc"),
            ("A;x=y\r\n0123456789\r\n0 ;z\r\n\r\n", "0123456789"),
            (
                "a \t\r\n0123456789\r\n0\r\nTrailer: a\r\nB: c\r\n\r\n",
                "0123456789",
            ),
        ];
        for (input, body) in cases {
            let expected = Ok((body.as_bytes().to_vec(), Some(input.len())));
            let with_more = format!("{input}GET /");
            assert_eq!(
                decode(with_more.as_bytes(), usize::MAX),
                expected,
                "{input:?}"
            );
        }
    }

    #[test]
    fn bad_bodies() {
        for input in [
            "\r\n",
            "g\r\n",
            "-1\r\n",
            "0x1\r\n",
            "1\na\r\n",
            "1\r\nab",
            "1\r\na\n",
            "1\r\r\n",
            "1;a\nb",
            "0\n",
            "0\r\n\n",
            "0\r\nA: b\n",
            "0\r\n\r\r",
            "8000000000000000\r\n",
            "7fffffffffffffff\r\n",
            "10000000000000000\r\n",
        ] {
            assert_eq!(
                decode(input.as_bytes(), usize::MAX),
                Err(ChunkedError),
                "{input:?}"
            );
        }
    }

    #[test]
    fn overhead_is_limited() {
        let endless = |start: &str| decode(start.as_bytes(), usize::MAX);
        assert_eq!(endless(&"0".repeat(MAX_CHUNK_HEAD + 1)), Err(ChunkedError));
        assert_eq!(
            endless(&format!("1;{}", "x".repeat(MAX_CHUNK_HEAD))),
            Err(ChunkedError)
        );
        assert_eq!(
            endless(&format!("0\r\n{}", "A: b\r\n".repeat(MAX_TRAILERS / 6 + 1))),
            Err(ChunkedError)
        );
        let trailers = "A: b\r\n".repeat(MAX_TRAILERS / 6 - 1);
        assert!(endless(&format!("0\r\n{trailers}\r\n")).is_ok());
        let many = "1\r\na\r\n".repeat(MAX_CHUNK_HEAD);
        assert_eq!(
            endless(&many).map(|(body, _)| body.len()),
            Ok(MAX_CHUNK_HEAD)
        );
    }

    #[test]
    fn chunk_heads() {
        for (size, text) in [
            (1, "1\r\n"),
            (15, "f\r\n"),
            (16, "10\r\n"),
            (0x1234, "1234\r\n"),
        ] {
            let mut out = Vec::new();
            write_size(size, &mut out);
            assert_eq!(out, text.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_result(
            input in "([0-9a]{1,2}(;x)?\r\n|[a-z]{1,4}|\r\n|0\r\n){0,12}", step in 1usize..9
        ) {
            prop_assert_eq!(decode(input.as_bytes(), step), decode(input.as_bytes(), usize::MAX));
        }

        #[test]
        fn decoding_undoes_encoding(chunks: Vec<Vec<u8>>, step in 1usize..99) {
            let mut encoded = Vec::new();
            for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
                write_size(chunk.len(), &mut encoded);
                encoded.extend(chunk);
                encoded.extend(CHUNK_END);
            }
            encoded.extend(LAST_CHUNK);
            prop_assert_eq!(decode(&encoded, step), Ok((chunks.concat(), Some(encoded.len()))));
        }

        #[test]
        fn any_bytes_are_survived(input: Vec<u8>, step in 1usize..99) {
            let _ = decode(&input, step);
        }
    }
}
