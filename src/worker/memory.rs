//! The memory a connection is lent while it is busy, so that idle ones hold none.

use std::rc::Rc;

use super::h1::{Buffers, LastSite};
use crate::exchange::{Exchange, Request};

/// A request with a head, path or arguments larger than this is not kept.
const LARGEST_HEAD: usize = 8 * 1024;

/// What bursts and their requests are made of; a driver lends it to one after the other.
#[derive(Default)]
pub struct Memory {
    /// For what is read and written.
    pub buffers: Rc<Buffers>,
    /// For the decoded path of a request.
    path: Vec<u8>,
    /// For its arguments.
    args: Vec<u8>,
    /// What the last request said of its host.
    pub last_site: LastSite,
    request: Option<Box<Request>>,
}

impl Memory {
    /// An empty request.
    pub fn take_request(&mut self) -> Box<Request> {
        self.request.take().unwrap_or_default()
    }

    /// Lends the exchange what its path and arguments are to be written to.
    pub fn lend_uri(&mut self, exchange: &mut Exchange) {
        exchange.path = std::mem::take(&mut self.path);
        exchange.args = std::mem::take(&mut self.args);
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

    /// Makes the buffers ready for the next burst. Whoever still has them keeps them.
    pub fn clear_buffers(&mut self) {
        match Rc::get_mut(&mut self.buffers) {
            Some(buffers) => buffers.clear(),
            None => self.buffers = Rc::default(),
        }
    }
}

/// The memory of `bytes`, unless it is too much to be kept.
fn emptied(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.capacity() > LARGEST_HEAD {
        return Vec::new();
    }
    bytes.clear();
    bytes
}
