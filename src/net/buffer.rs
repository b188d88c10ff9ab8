//! Byte buffers that lose their front in constant time, and a pool of them, so that a connection
//! holds memory only while something is partial.

use std::cell::RefCell;
use std::ops::Deref;

/// Bytes that come in at the end and leave at the front.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    /// How many bytes at the front have left.
    start: usize,
}

impl Buffer {
    /// An empty buffer with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(capacity),
            start: 0,
        }
    }

    /// Drops the first `count` bytes, or all if there are fewer.
    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.bytes.len());
        if self.start == self.bytes.len() {
            self.clear();
        }
    }

    /// Drops all bytes and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }

    /// Appends `bytes`.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.tail().extend_from_slice(bytes);
    }

    /// How many bytes may still come in before `high_water` are waiting. A reader that asks for
    /// no more than that pushes back on a peer who sends faster than anyone takes.
    pub fn room(&self, high_water: usize) -> usize {
        high_water.saturating_sub(self.len())
    }

    /// The memory to append to, for `recv` and encoders. What stands in it must stay.
    ///
    /// Bytes that have left are squeezed out once they are as many as those that wait: each byte
    /// is moved at most once for each that left, so consuming stays cheap.
    pub fn tail(&mut self) -> &mut Vec<u8> {
        if self.start > 0 && self.start >= self.len() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        &mut self.bytes
    }

    /// How many bytes of memory it holds.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// Buffers that nobody uses at the moment.
#[derive(Debug)]
pub struct BufferPool {
    /// The memory a buffer of this pool holds, in bytes.
    size: usize,
    /// How many idle buffers are kept; more are given back to the system.
    max_idle: usize,
    idle: RefCell<Vec<Buffer>>,
}

impl BufferPool {
    /// A pool of buffers of `size` bytes that keeps at most `max_idle` of them.
    pub fn new(size: usize, max_idle: usize) -> Self {
        Self {
            size,
            max_idle,
            idle: RefCell::new(Vec::new()),
        }
    }

    /// An empty buffer.
    pub fn take(&self) -> Buffer {
        let idle = self.idle.borrow_mut().pop();
        idle.unwrap_or_else(|| Buffer::with_capacity(self.size))
    }

    /// Takes a buffer back; what it holds is lost. One that has grown is not kept.
    pub fn give_back(&self, mut buffer: Buffer) {
        let mut idle = self.idle.borrow_mut();
        if buffer.capacity() == self.size && idle.len() < self.max_idle {
            buffer.clear();
            idle.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pool_hands_buffers_out_again() {
        let pool = BufferPool::new(64, 1);
        let mut first = pool.take();
        assert_eq!(first.capacity(), 64);
        first.extend_from_slice(b"left over");
        let memory = first.as_ptr();
        pool.give_back(first);
        pool.give_back(Buffer::with_capacity(64));
        let again = pool.take();
        assert!(again.is_empty());
        assert_eq!(again.bytes.as_ptr(), memory, "the one kept, and only that");
        let mut grown = again;
        grown.extend_from_slice(&[0; 65]);
        pool.give_back(grown);
        assert_eq!(pool.take().capacity(), 64);
    }

    #[test]
    fn there_is_room_up_to_the_mark() {
        let mut buffer = Buffer::default();
        buffer.extend_from_slice(b"12345");
        buffer.consume(2);
        assert_eq!((buffer.room(4), buffer.room(3), buffer.room(1)), (1, 0, 0));
    }

    #[test]
    fn memory_is_used_again() {
        let mut buffer = Buffer::with_capacity(100);
        for _ in 0..1000 {
            buffer.extend_from_slice(&[1; 30]);
            buffer.consume(25);
            let waiting = buffer.len();
            buffer.consume(waiting.saturating_sub(10));
        }
        assert_eq!(buffer.capacity(), 100);
    }

    proptest! {
        #[test]
        fn behaves_as_a_queue(steps in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..40), 0usize..60), 0..30)) {
            let mut buffer = Buffer::default();
            let mut model: Vec<u8> = Vec::new();
            for (bytes, count) in steps {
                buffer.extend_from_slice(&bytes);
                model.extend(&bytes);
                buffer.consume(count);
                model.drain(..count.min(model.len()));
                prop_assert_eq!(&*buffer, &model[..]);
            }
        }
    }
}
