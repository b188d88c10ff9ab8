//! Bodies that are turned into others on their way: what compresses, replaces and recodes is a
//! [`Transform`], which never waits and never sees where the bytes come from.

use std::collections::VecDeque;
use std::io;

use super::{Body, FileBody, LocalBoxFuture, Piece, ResponseStream};
use crate::event;
use crate::http::Text;
use crate::sys::fs::pread;

/// How much of a file is read at once.
const READ_SIZE: u64 = 32 * 1024;

/// How much of files is read before others get their turn: what is made of it may take long.
const TURN: u64 = 4 * READ_SIZE;

/// Turns bytes into others, as they come.
pub trait Transform {
    /// Takes a part of `input`, at least one byte, and appends what comes of it to `out`; returns
    /// how much it took. One that bounds its output takes less than all.
    ///
    /// # Errors
    /// The input is malformed.
    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> io::Result<usize>;

    /// Appends what can be told of the input so far, for a body whose bytes must not be held back.
    ///
    /// # Errors
    /// As [`Transform::feed`].
    fn flush(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let _ = out;
        Ok(())
    }

    /// Whether the output is as long as the input.
    fn keeps_length(&self) -> bool {
        false
    }

    /// Appends the rest, for the input has ended.
    ///
    /// # Errors
    /// The input is incomplete.
    fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()>;
}

impl Body {
    /// The body that `transform` makes of this one, bit by bit.
    pub fn transformed(self, transform: impl Transform + 'static) -> Body {
        Body::Stream(Box::new(Transformed {
            source: BodyReader::new(self),
            input: Text::EMPTY,
            taken: 0,
            ended: false,
            transform,
        }))
    }
}

impl Body {
    /// All of these, one after the other.
    pub fn chain(bodies: impl IntoIterator<Item = Body>) -> Body {
        let mut rest: VecDeque<Body> = bodies.into_iter().collect();
        let first = BodyReader::new(rest.pop_front().unwrap_or_default());
        Body::Stream(Box::new(Chain { first, rest }))
    }
}

/// Any body, read as bytes.
pub struct BodyReader {
    body: Body,
    /// How much of files was read since others had their turn.
    read: u64,
}

impl BodyReader {
    /// A reader of all of `body`.
    pub fn new(body: Body) -> BodyReader {
        BodyReader { body, read: 0 }
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// A file can't be read or has become shorter, or the body's stream broke.
    pub async fn next(&mut self) -> Option<io::Result<Text>> {
        if self.read >= TURN {
            self.read = 0;
            event::give_way().await;
        }
        let piece = match &mut self.body {
            Body::Stream(stream) => match stream.next().await? {
                Ok(Piece::Bytes(bytes)) => return Some(Ok(bytes)),
                Ok(Piece::File(file)) if file.length <= READ_SIZE => Piece::File(file),
                Ok(large) => return self.open_up(large).await,
                Err(error) => return Some(Err(error)),
            },
            _ => self.pop()?,
        };
        match piece {
            Piece::Bytes(bytes) => Some(Ok(bytes)),
            Piece::File(file) => Some(self.read(file)),
        }
    }

    /// What was not read yet.
    pub fn into_body(self) -> Body {
        self.body
    }

    /// Whether its bytes should not be held back.
    pub fn is_unbuffered(&self) -> bool {
        matches!(&self.body, Body::Stream(stream) if stream.is_unbuffered())
    }

    /// Has a large file that a stream brought read part by part.
    async fn open_up(&mut self, large: Piece) -> Option<io::Result<Text>> {
        let rest = std::mem::take(&mut self.body);
        self.body = Body::chain([Body::Pieces(split(large)), rest]);
        Box::pin(self.next()).await
    }

    /// Takes the first piece of a body that is no stream.
    fn pop(&mut self) -> Option<Piece> {
        let (piece, rest) = match std::mem::take(&mut self.body) {
            Body::Empty | Body::Page | Body::Stream(_) => return None,
            Body::Bytes(bytes) => (Piece::Bytes(bytes), Body::Empty),
            Body::File(file) => (Piece::File(file), Body::Empty),
            Body::Pieces(mut pieces) => (pieces.pop_front()?, Body::Pieces(pieces)),
        };
        self.body = rest;
        Some(piece)
    }

    /// Reads the beginning of `file` and keeps the rest of it for later.
    fn read(&mut self, mut file: FileBody) -> io::Result<Text> {
        if let Some(content) = file.file.content() {
            let all = file.offset == 0 && file.length == content.len() as u64;
            let range = file.offset as usize..(file.offset + file.length) as usize;
            let part = content.get(range).ok_or(io::ErrorKind::UnexpectedEof)?;
            return Ok(match all {
                true => Text::Shared(content.clone()),
                false => Text::Owned(part.to_vec()),
            });
        }
        let length = file.length.min(READ_SIZE);
        let mut bytes = Vec::with_capacity(length as usize);
        let fd = file.file.fd().ok_or(io::ErrorKind::NotFound)?;
        if pread(fd, &mut bytes, length as usize, file.offset)? as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read += length;
        file.offset += length;
        file.length -= length;
        if file.length > 0 {
            self.body = match std::mem::take(&mut self.body) {
                Body::Pieces(mut pieces) => {
                    pieces.push_front(Piece::File(file));
                    Body::Pieces(pieces)
                }
                _ => Body::File(file),
            };
        }
        Ok(bytes.into())
    }
}

/// A piece in parts that are read at once.
fn split(piece: Piece) -> VecDeque<Piece> {
    let mut parts = VecDeque::new();
    match piece {
        Piece::Bytes(_) => parts.push_back(piece),
        Piece::File(mut file) => {
            while file.length > 0 {
                let length = file.length.min(READ_SIZE);
                let part = FileBody {
                    length,
                    ..file.clone()
                };
                parts.push_back(Piece::File(part));
                file.offset += length;
                file.length -= length;
            }
        }
    }
    parts
}

/// Bodies one after the other.
struct Chain {
    first: BodyReader,
    rest: VecDeque<Body>,
}

impl ResponseStream for Chain {
    fn next(&mut self) -> LocalBoxFuture<'_, Option<io::Result<Piece>>> {
        Box::pin(async move {
            loop {
                if let Some(bytes) = self.first.next().await {
                    return Some(bytes.map(Piece::Bytes));
                }
                self.first = BodyReader::new(self.rest.pop_front()?);
            }
        })
    }

    fn is_unbuffered(&self) -> bool {
        self.first.is_unbuffered()
    }
}

struct Transformed<T> {
    source: BodyReader,
    /// What is being fed.
    input: Text,
    /// How much of it was taken.
    taken: usize,
    ended: bool,
    transform: T,
}

impl<T: Transform> Transformed<T> {
    async fn advance(&mut self) -> io::Result<Option<Piece>> {
        let mut out = Vec::new();
        while out.is_empty() && !self.ended {
            if self.taken < self.input.len() {
                self.feed(&mut out)?;
                continue;
            }
            match self.source.next().await {
                Some(input) => (self.input, self.taken) = (input?, 0),
                None => {
                    self.ended = true;
                    self.transform.finish(&mut out)?;
                }
            }
        }
        Ok((!out.is_empty()).then(|| Piece::Bytes(out.into())))
    }

    fn feed(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.taken += self.transform.feed(&self.input[self.taken..], out)?;
        if self.taken == self.input.len() && self.source.is_unbuffered() {
            self.transform.flush(out)?;
        }
        Ok(())
    }
}

impl<T: Transform> ResponseStream for Transformed<T> {
    fn next(&mut self) -> LocalBoxFuture<'_, Option<io::Result<Piece>>> {
        Box::pin(async move { self.advance().await.transpose() })
    }

    fn remaining(&self) -> Option<u64> {
        let known = self
            .source
            .body
            .len()
            .filter(|_| self.transform.keeps_length())?;
        Some(known + (self.input.len() - self.taken) as u64)
    }

    fn is_unbuffered(&self) -> bool {
        self.source.is_unbuffered()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{CacheSettings, FileCache, Symlinks, Want};
    use std::cell::Cell;
    use std::io::Write;
    use std::os::unix::ffi::OsStrExt;
    use std::rc::Rc;

    fn file_of(length: u64) -> FileBody {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&vec![b'x'; length as usize]).unwrap();
        let path = file.path().as_os_str().as_bytes();
        let cache = FileCache::new(CacheSettings::default());
        let found = cache.look_up(path, Want::Open, Symlinks::default());
        FileBody {
            file: found.unwrap(),
            offset: 0,
            length,
        }
    }

    /// How often another task has its turn while a file of that length is read.
    fn interruptions(length: u64) -> u32 {
        let mut reader = BodyReader::new(Body::File(file_of(length)));
        let turns = Rc::new(Cell::new(0));
        event::block_on(async move {
            let count = Rc::clone(&turns);
            event::spawn(async move {
                loop {
                    count.set(count.get() + 1);
                    event::yield_now().await;
                }
            });
            let mut read = 0;
            while let Some(bytes) = reader.next().await {
                read += bytes.unwrap().len() as u64;
            }
            assert_eq!(read, length);
            turns.get()
        })
        .unwrap()
    }

    #[test]
    fn reading_a_long_file_lets_others_have_their_turn() {
        assert_eq!(interruptions(READ_SIZE), 0);
        assert!(interruptions(8 * TURN) >= 7);
    }
}
