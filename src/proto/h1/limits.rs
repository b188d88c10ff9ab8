//! How large a request head may be, counted the way nginx fills its header buffers.

/// What the virtual server allows in a request head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadOptions {
    /// Bytes of the first buffer (`client_header_buffer_size`).
    pub buffer_size: usize,
    /// How many large buffers may follow (`large_client_header_buffers`, first argument).
    pub large_buffers: usize,
    /// Bytes of each large buffer (`large_client_header_buffers`, second argument).
    pub large_buffer_size: usize,
    /// How many header lines there may be (`max_headers`).
    pub max_headers: usize,
    /// Leave out headers with odd names instead of passing them on (`ignore_invalid_headers`).
    pub ignore_invalid_headers: bool,
    /// Names with `_` are not odd (`underscores_in_headers`).
    pub underscores_in_headers: bool,
}

impl Default for HeadOptions {
    fn default() -> HeadOptions {
        HeadOptions {
            buffer_size: 1024,
            large_buffers: 4,
            large_buffer_size: 8192,
            max_headers: 1000,
            ignore_invalid_headers: true,
            underscores_in_headers: false,
        }
    }
}

impl HeadOptions {
    /// More bytes than any head within the limits can take.
    pub fn max_head_size(&self) -> usize {
        self.buffer_size + self.large_buffers * self.large_buffer_size
    }

    /// Whether `other` says the same of odd names.
    pub fn has_names_of(&self, other: &HeadOptions) -> bool {
        self.ignore_invalid_headers == other.ignore_invalid_headers
            && self.underscores_in_headers == other.underscores_in_headers
    }
}

/// The room left in the buffers nginx would have allocated so far.
///
/// A line never spans two buffers: one that does not fit in the rest of its buffer moves to a new
/// large one. So a line must fit in one buffer, and the waste at the ends counts, too.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Budget {
    left: usize,
    large_used: usize,
}

impl Budget {
    /// Only the first buffer is there, and it is empty.
    pub(super) fn new(options: &HeadOptions) -> Budget {
        Budget {
            left: options.buffer_size,
            large_used: 0,
        }
    }

    /// What is left behind a line of this length with its end; `None` if there is no room for it.
    pub(super) fn after(self, length: usize, options: &HeadOptions) -> Option<Budget> {
        if length <= self.left {
            return Some(Budget {
                left: self.left - length,
                ..self
            });
        }
        let left = options.large_buffer_size.checked_sub(length)?;
        let large_used = self.large_used + 1;
        (large_used <= options.large_buffers).then_some(Budget { left, large_used })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_in_one_buffer_and_the_number_of_buffers_is_limited() {
        let options = HeadOptions {
            buffer_size: 10,
            large_buffers: 2,
            large_buffer_size: 20,
            ..HeadOptions::default()
        };
        let fits = |lengths: &[usize]| {
            let start = Some(Budget::new(&options));
            lengths
                .iter()
                .fold(start, |budget, &length| budget?.after(length, &options))
                .is_some()
        };
        for good in [
            &[10, 20, 20][..],
            &[20, 20],
            &[3, 3, 4, 10, 10, 20],
            &[9, 15, 15],
        ] {
            assert!(fits(good), "{good:?}");
        }
        for bad in [&[21][..], &[11, 11, 11], &[10, 20, 20, 1], &[9, 15, 15, 6]] {
            assert!(!fits(bad), "{bad:?}");
        }
    }
}
