//! How much shorter a body became.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use super::Coding;
use crate::exchange::{Exchange, Transform};

/// The lengths of a body before and after, as far as it came.
pub(super) type Lengths = Rc<Cell<(u64, u64)>>;

/// A transform whose input and output are counted.
pub(super) struct Counted<T> {
    inner: T,
    lengths: Lengths,
}

impl<T: Transform> Counted<T> {
    pub(super) fn new(inner: T, lengths: Lengths) -> Counted<T> {
        Counted { inner, lengths }
    }

    fn add(&self, input: usize, output: usize) {
        let (before, after) = self.lengths.get();
        self.lengths
            .set((before + input as u64, after + output as u64));
    }
}

impl<T: Transform> Transform for Counted<T> {
    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
        let start = out.len();
        let taken = self.inner.feed(input, out)?;
        self.add(taken, out.len() - start);
        Ok(taken)
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let start = out.len();
        self.inner.flush(out)?;
        self.add(0, out.len() - start);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let start = out.len();
        self.inner.finish(out)?;
        self.add(0, out.len() - start);
        Ok(())
    }
}

/// Appends how many times shorter `coding` has made the body: to three decimals for zstd, rounded
/// to two for the others.
pub(super) fn ratio(coding: Coding, exchange: &Exchange, out: &mut Vec<u8>) -> Option<()> {
    let response = exchange.response();
    let (before, after) = response.rare.compressed.as_ref()?.get();
    let own = response.headers.get(b"Content-Encoding") == Some(coding.name().as_bytes());
    if !own || after == 0 {
        return None;
    }
    let text = match coding {
        Coding::Zstd => in_thousandths(before, after),
        Coding::Gzip | Coding::Brotli => in_hundredths(before, after),
    };
    out.extend_from_slice(text.as_bytes());
    Some(())
}

fn in_thousandths(before: u64, after: u64) -> String {
    let thousandths = before * 1000 / after;
    format!("{}.{:03}", thousandths / 1000, thousandths % 1000)
}

fn in_hundredths(before: u64, after: u64) -> String {
    let thousandths = before * 1000 / after;
    let hundredths = (thousandths + 5) / 10;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_rounded() {
        let cases = [
            (0, 20, "0.00"),
            (100, 100, "1.00"),
            (2125, 1000, "2.13"),
            (2124, 1000, "2.12"),
            (1999, 1000, "2.00"),
        ];
        for (before, after, expected) in cases {
            assert_eq!(in_hundredths(before, after), expected);
        }
    }
}
