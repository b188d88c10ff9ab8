//! Byte buffers that lose their front in constant time.

use std::ops::Deref;

/// Bytes that come in at the end and leave at the front.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    /// How many bytes at the front have left.
    start: usize,
}

impl Buffer {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn memory_is_used_again() {
        let mut buffer = Buffer {
            bytes: Vec::with_capacity(100),
            start: 0,
        };
        for _ in 0..1000 {
            buffer.tail().extend_from_slice(&[1; 30]);
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
                buffer.tail().extend_from_slice(&bytes);
                model.extend(&bytes);
                buffer.consume(count);
                model.drain(..count.min(model.len()));
                prop_assert_eq!(&*buffer, &model[..]);
            }
        }
    }
}
