//! Memory a worker lends to busy connections, so that idle ones hold none: buffers and requests.

use std::cell::RefCell;

use crate::exchange::Request;
use crate::net::buffer::Buffer;

/// How many buffers are kept when nobody needs them.
const KEPT: usize = 64;

/// A buffer that has grown beyond this is not kept.
const LARGEST_KEPT: usize = 128 * 1024;

/// A request with a head larger than this is not kept.
const LARGEST_HEAD: usize = 8 * 1024;

/// What is to spare.
#[derive(Default)]
pub struct Pool {
    inputs: Vec<Buffer>,
    outputs: Vec<Buffer>,
    // Lent as they are, in their boxes.
    #[allow(clippy::vec_box)]
    requests: Vec<Box<Request>>,
}

thread_local!(static POOL: RefCell<Pool> = RefCell::default());

/// Hands this worker's pool to `use_pool`.
pub fn with_pool<R>(use_pool: impl FnOnce(&mut Pool) -> R) -> R {
    POOL.with_borrow_mut(use_pool)
}

impl Pool {
    /// An empty input buffer.
    pub fn take_input(&mut self) -> Buffer {
        self.inputs.pop().unwrap_or_default()
    }

    /// An empty output buffer.
    pub fn take_output(&mut self) -> Buffer {
        self.outputs.pop().unwrap_or_default()
    }

    /// An empty request.
    pub fn take_request(&mut self) -> Box<Request> {
        self.requests.pop().unwrap_or_default()
    }

    /// Takes a request back, emptied.
    pub fn keep_request(&mut self, mut request: Box<Request>) {
        if self.requests.len() < KEPT && request.bytes.capacity() <= LARGEST_HEAD {
            request.clear();
            self.requests.push(request);
        }
    }

    /// Takes both back, emptied.
    pub fn give_back(&mut self, mut input: Buffer, mut output: Buffer) {
        if self.inputs.len() < KEPT && input.capacity() <= LARGEST_KEPT {
            input.clear();
            self.inputs.push(input);
        }
        if self.outputs.len() < KEPT && output.capacity() <= LARGEST_KEPT {
            output.clear();
            self.outputs.push(output);
        }
    }
}
