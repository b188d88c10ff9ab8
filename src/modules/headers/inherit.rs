//! How a block's list relates to those of the blocks around it (`add_header_inherit`).

use std::rc::Rc;

/// Whether what outer blocks say counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Never.
    Off,
    /// Unless the block has something of its own.
    #[default]
    On,
    /// Besides what the block has of its own.
    Merge,
}

/// A list and its inheritance.
#[derive(Clone)]
pub struct Additions<T> {
    /// The mode, which is itself inherited.
    pub mode: Mode,
    /// What the block itself says.
    pub own: Vec<T>,
    /// What holds in the block, once [`Additions::finish`] was called.
    pub all: Rc<[T]>,
}

impl<T> Default for Additions<T> {
    fn default() -> Additions<T> {
        Additions {
            mode: Mode::default(),
            own: Vec::new(),
            all: Rc::new([]),
        }
    }
}

impl<T: Clone> Additions<T> {
    /// Whether all is as a child of this block should find it.
    pub fn is_untouched(&self) -> bool {
        self.own.is_empty() && (self.mode != Mode::Off || self.all.is_empty())
    }

    /// What a block inside this one starts with: until it is finished, `all` is what is around it.
    pub fn for_child(&self) -> Additions<T> {
        Additions {
            mode: self.mode,
            own: Vec::new(),
            all: Rc::clone(&self.all),
        }
    }

    /// Works out what holds in the block.
    pub fn finish(&mut self) {
        let outer = match self.mode {
            Mode::Off => &[],
            Mode::On if !self.own.is_empty() => &[],
            Mode::On | Mode::Merge => &*self.all,
        };
        self.all = self.own.iter().chain(outer).cloned().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::{Additions, Mode};

    fn child(parent: &Additions<u8>, mode: Option<Mode>, own: &[u8]) -> Additions<u8> {
        let mut child = parent.for_child();
        child.mode = mode.unwrap_or(child.mode);
        child.own = own.to_vec();
        child.finish();
        child
    }

    #[test]
    fn lists_are_inherited_as_the_mode_says() {
        let http = child(&Additions::default(), None, &[1, 2]);
        let cases: [(Option<Mode>, &[u8], &[u8]); 6] = [
            (None, &[], &[1, 2]),
            (None, &[3], &[3]),
            (Some(Mode::Off), &[], &[]),
            (Some(Mode::Off), &[3], &[3]),
            (Some(Mode::Merge), &[], &[1, 2]),
            (Some(Mode::Merge), &[3], &[3, 1, 2]),
        ];
        for (mode, own, expected) in cases {
            assert_eq!(&*child(&http, mode, own).all, expected, "{mode:?} {own:?}");
        }
    }

    #[test]
    fn the_mode_is_inherited() {
        let http = child(&Additions::default(), Some(Mode::Merge), &[1]);
        let server = child(&http, None, &[2]);
        assert_eq!(&*child(&server, None, &[3]).all, [3, 2, 1]);
        let server = child(&http, Some(Mode::Off), &[2]);
        assert_eq!(&*child(&server, None, &[]).all, []);
    }
}
