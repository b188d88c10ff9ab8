//! The memory a connection is lent while it is busy, so that idle ones hold none.

use crate::exchange::Request;
use crate::net::buffer::Buffer;

/// A buffer that has grown beyond this is not kept.
const LARGEST_BUFFER: usize = 128 * 1024;

/// A request with a head, path or arguments larger than this is not kept.
const LARGEST_HEAD: usize = 8 * 1024;

/// What bursts and their requests are made of; a driver lends it to one after the other.
#[derive(Default)]
pub struct Memory {
    /// For what is read.
    pub input: Buffer,
    /// For what is written.
    pub output: Buffer,
    /// For the decoded path of a request.
    pub path: Vec<u8>,
    /// For its arguments.
    pub args: Vec<u8>,
    request: Option<Box<Request>>,
}

impl Memory {
    /// An empty request.
    pub fn take_request(&mut self) -> Box<Request> {
        self.request.take().unwrap_or_default()
    }

    /// Takes a request back, emptied.
    pub fn keep_request(&mut self, mut request: Box<Request>) {
        if request.bytes.capacity() <= LARGEST_HEAD {
            request.clear();
            self.request = Some(request);
        }
    }

    /// Takes path and arguments of a request back, emptied.
    pub fn keep_uri(&mut self, path: Vec<u8>, args: Vec<u8>) {
        self.path = emptied(path);
        self.args = emptied(args);
    }

    /// Takes the buffers back, emptied.
    pub fn keep_buffers(&mut self, input: &mut Buffer, output: &mut Buffer) {
        self.input = emptied_buffer(input);
        self.output = emptied_buffer(output);
    }
}

fn emptied_buffer(buffer: &mut Buffer) -> Buffer {
    let mut buffer = std::mem::take(buffer);
    if buffer.capacity() > LARGEST_BUFFER {
        return Buffer::default();
    }
    buffer.clear();
    buffer
}

/// The memory of `bytes`, unless it is too much to be kept.
fn emptied(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.capacity() > LARGEST_HEAD {
        return Vec::new();
    }
    bytes.clear();
    bytes
}
