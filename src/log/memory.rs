//! `error_log memory:SIZE`: the latest messages, kept where a debugger finds them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// A ring of bytes: what is new pushes out what is oldest.
#[derive(Debug)]
pub struct Memory {
    size: usize,
    bytes: RefCell<VecDeque<u8>>,
}

impl Memory {
    /// A ring of `size` bytes.
    pub fn new(size: usize) -> Rc<Self> {
        Rc::new(Self {
            size,
            bytes: RefCell::new(VecDeque::with_capacity(size)),
        })
    }

    /// Adds a line.
    pub fn write(&self, line: &[u8]) {
        let line = &line[line.len().saturating_sub(self.size)..];
        let mut bytes = self.bytes.borrow_mut();
        let excess = (bytes.len() + line.len()).saturating_sub(self.size);
        bytes.drain(..excess);
        bytes.extend(line);
    }

    /// What is kept, the oldest first.
    pub fn contents(&self) -> Vec<u8> {
        self.bytes.borrow().iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_bytes_are_kept() {
        let memory = Memory::new(5);
        for (line, expected) in [
            ("abc", "abc"),
            ("de", "abcde"),
            ("f", "bcdef"),
            ("123456789", "56789"),
        ] {
            memory.write(line.as_bytes());
            assert_eq!(memory.contents(), expected.as_bytes());
        }
    }
}
