//! Bodies of responses: nothing, bytes, a range of a file, several pieces, or a stream.

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use super::LocalBoxFuture;
use crate::files::OpenFile;
use crate::http::Text;

/// A range of a file; goes out by sendfile or from memory, as the protocol decides.
#[derive(Clone)]
pub struct FileBody {
    /// The open file.
    pub file: Rc<OpenFile>,
    /// Where the range starts, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub length: u64,
}

/// A piece of a body.
pub enum Piece {
    /// Bytes.
    Bytes(Text),
    /// A range of a file.
    File(FileBody),
}

impl Piece {
    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::File(file) => file.length,
        }
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// At most `length` bytes of it, from `offset` on.
    pub fn part(&self, offset: u64, length: u64) -> Piece {
        let offset = offset.min(self.len());
        let length = length.min(self.len() - offset);
        match self {
            // Its length fits in memory.
            Piece::Bytes(bytes) => {
                let range = offset as usize..(offset + length) as usize;
                Piece::Bytes(bytes[range].to_vec().into())
            }
            Piece::File(file) => Piece::File(FileBody {
                offset: file.offset + offset,
                length,
                ..file.clone()
            }),
        }
    }
}

/// A body whose pieces become available one after the other.
pub trait ResponseStream {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// Whatever kept the rest from being had; the connection is then closed, so that the
    /// client sees the body was cut.
    fn next(&mut self) -> LocalBoxFuture<'_, Option<io::Result<Piece>>>;

    /// The bytes still to come, if that is known.
    fn remaining(&self) -> Option<u64> {
        None
    }

    /// Whether what it brings is meant to reach the client at once, so that filters hold as little
    /// of it back as they can (`proxy_buffering off`).
    fn is_unbuffered(&self) -> bool {
        false
    }
}

/// The body of a response.
#[derive(Default)]
pub enum Body {
    /// No body.
    #[default]
    Empty,
    /// The page for the response's status: `error_page`'s or the built-in one.
    Page,
    /// Bytes in memory.
    Bytes(Text),
    /// A range of a file.
    File(FileBody),
    /// Several pieces, such as the parts of `multipart/byteranges`.
    Pieces(VecDeque<Piece>),
    /// Whatever the stream brings.
    Stream(Box<dyn ResponseStream>),
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Body {
        Body::Bytes(bytes.into())
    }
}

impl Body {
    /// The length in bytes, if it is known.
    pub fn len(&self) -> Option<u64> {
        match self {
            Body::Empty | Body::Page => Some(0),
            Body::Bytes(bytes) => Some(bytes.len() as u64),
            Body::File(file) => Some(file.length),
            Body::Pieces(pieces) => Some(pieces.iter().map(Piece::len).sum()),
            Body::Stream(stream) => stream.remaining(),
        }
    }

    /// Whether it is known to have no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }
}
