//! A map by path that knows which of its entries was used longest ago.

use std::collections::HashMap;
use std::rc::Rc;

use foldhash::fast::RandomState;

const NONE: usize = usize::MAX;

struct Node<V> {
    key: Rc<[u8]>,
    value: V,
    newer: usize,
    older: usize,
}

/// A map in order of use; every operation takes constant time. It is hashed quickly rather than
/// safely against keys that were chosen to collide: its owner keeps it small.
pub struct Lru<V> {
    index: HashMap<Rc<[u8]>, usize, RandomState>,
    nodes: Vec<Option<Node<V>>>,
    free: Vec<usize>,
    newest: usize,
    oldest: usize,
}

impl<V> Lru<V> {
    /// An empty map.
    pub fn new() -> Lru<V> {
        Lru {
            index: HashMap::default(),
            nodes: Vec::new(),
            free: Vec::new(),
            newest: NONE,
            oldest: NONE,
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// The entry of `key`, which thereby becomes the newest.
    pub fn get_mut(&mut self, key: &[u8]) -> Option<&mut V> {
        let at = *self.index.get(key)?;
        if self.newest != at {
            self.unlink(at);
            self.link(at);
        }
        self.nodes[at].as_mut().map(|node| &mut node.value)
    }

    /// Puts an entry in as the newest; `key` must not be there yet.
    pub fn insert(&mut self, key: &[u8], value: V) {
        let key: Rc<[u8]> = key.into();
        let node = Some(Node {
            key: Rc::clone(&key),
            value,
            newer: NONE,
            older: NONE,
        });
        let at = match self.free.pop() {
            Some(at) => {
                self.nodes[at] = node;
                at
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() - 1
            }
        };
        self.index.insert(key, at);
        self.link(at);
    }

    /// The entry used longest ago.
    pub fn oldest(&self) -> Option<&V> {
        self.nodes
            .get(self.oldest)?
            .as_ref()
            .map(|node| &node.value)
    }

    /// Takes the entry used longest ago out.
    pub fn pop_oldest(&mut self) -> Option<V> {
        let at = self.oldest;
        self.nodes.get(at)?.as_ref()?;
        self.unlink(at);
        let node = self.nodes[at].take()?;
        self.index.remove(&node.key);
        self.free.push(at);
        Some(node.value)
    }

    fn link(&mut self, at: usize) {
        let older = std::mem::replace(&mut self.newest, at);
        match self.node(older) {
            Some(node) => node.newer = at,
            None => self.oldest = at,
        }
        if let Some(node) = self.node(at) {
            node.newer = NONE;
            node.older = older;
        }
    }

    fn unlink(&mut self, at: usize) {
        let Some(node) = self.node(at) else { return };
        let (newer, older) = (node.newer, node.older);
        match self.node(newer) {
            Some(node) => node.older = older,
            None => self.newest = older,
        }
        match self.node(older) {
            Some(node) => node.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn node(&mut self, at: usize) -> Option<&mut Node<V>> {
        self.nodes.get_mut(at).and_then(Option::as_mut)
    }
}

#[cfg(test)]
mod tests {
    use super::Lru;

    #[test]
    fn the_oldest_leaves_first_and_use_renews() {
        let mut lru = Lru::new();
        for key in ["a", "b", "c"] {
            lru.insert(key.as_bytes(), key);
        }
        assert_eq!(lru.get_mut(b"a"), Some(&mut "a"));
        assert_eq!(lru.oldest(), Some(&"b"));
        assert_eq!(lru.pop_oldest(), Some("b"));
        lru.insert(b"d", "d");
        let order: Vec<_> = std::iter::from_fn(|| lru.pop_oldest()).collect();
        assert_eq!(order, ["c", "a", "d"]);
        assert_eq!(lru.len(), 0);
    }
}
