//! The static locations of one level, as a compressed prefix tree: the cost of a look-up
//! depends on the length of the URI, not on the number of locations.

/// What the static locations say about a URI. The numbers are those given to [`Trie::insert`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Static {
    /// `location = URI`.
    Exact(usize),
    /// The URI plus a slash is the name of a location that asks for the slash.
    Slash(usize),
    /// The longest location the URI begins with.
    Prefix(usize),
    /// No location fits.
    None,
}

/// The locations named by the path from the root to a node, and the node's descendants.
#[derive(Debug, Default)]
struct Node {
    /// The bytes between the parent's name and this node's.
    label: Box<[u8]>,
    exact: Option<usize>,
    prefix: Option<usize>,
    /// Whether a request that lacks the name's last slash is redirected here.
    slash: bool,
    /// Indices of the children, sorted by the first byte of their labels.
    children: Vec<usize>,
}

/// A prefix tree over location names.
#[derive(Debug)]
pub(super) struct Trie {
    /// The root, with an empty label, comes first.
    nodes: Vec<Node>,
}

impl Default for Trie {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
        }
    }
}

impl Trie {
    /// Adds location number `entry`; `false` if its name is taken by one of the same kind.
    pub(super) fn insert(&mut self, name: &[u8], exact: bool, slash: bool, entry: usize) -> bool {
        let node = self.node_for(name);
        let node = &mut self.nodes[node];
        let place = if exact {
            &mut node.exact
        } else {
            &mut node.prefix
        };
        if place.is_some() {
            return false;
        }
        *place = Some(entry);
        node.slash |= slash;
        true
    }

    /// Looks `uri` up: an exact location wins, then one of that very name, then one that wants
    /// a slash added, then the longest prefix.
    pub(super) fn find(&self, uri: &[u8]) -> Static {
        let mut best = Static::None;
        let mut node = &self.nodes[0];
        let mut rest = uri;
        loop {
            if rest.is_empty()
                && let Some(entry) = node.exact
            {
                return Static::Exact(entry);
            }
            if let Some(entry) = node.prefix {
                best = Static::Prefix(entry);
                if rest.is_empty() {
                    return best;
                }
            }
            let first = rest.first().copied().unwrap_or(b'/');
            let Ok(position) = self.child(node, first) else {
                return best;
            };
            node = &self.nodes[node.children[position]];
            match rest.strip_prefix(&*node.label) {
                Some(after) => rest = after,
                None => return node.wants_slash(rest).unwrap_or(best),
            }
        }
    }

    /// The position of the child that begins with `first`, or where it would be.
    fn child(&self, node: &Node, first: u8) -> Result<usize, usize> {
        node.children
            .binary_search_by_key(&first, |&child| self.nodes[child].label[0])
    }

    /// The node called `name`, made if there is none.
    fn node_for(&mut self, name: &[u8]) -> usize {
        let mut at = 0;
        let mut rest = name;
        while let Some(&first) = rest.first() {
            match self.child(&self.nodes[at], first) {
                Ok(position) => {
                    let child = self.nodes[at].children[position];
                    let label = &self.nodes[child].label;
                    let common = label.iter().zip(rest).take_while(|(a, b)| a == b).count();
                    rest = &rest[common..];
                    at = if common < label.len() {
                        self.split(at, position, common)
                    } else {
                        child
                    };
                }
                Err(position) => return self.add_child(at, position, rest),
            }
        }
        at
    }

    fn add_child(&mut self, parent: usize, position: usize, label: &[u8]) -> usize {
        let added = self.nodes.len();
        self.nodes.push(Node {
            label: label.into(),
            ..Node::default()
        });
        self.nodes[parent].children.insert(position, added);
        added
    }

    /// Puts a new node between `parent` and its child, `length` bytes down; returns the new node.
    fn split(&mut self, parent: usize, position: usize, length: usize) -> usize {
        let child = self.nodes[parent].children[position];
        let between = self.nodes.len();
        let (upper, lower) = self.nodes[child].label.split_at(length);
        let (upper, lower) = (upper.into(), lower.into());
        self.nodes[child].label = lower;
        self.nodes.push(Node {
            label: upper,
            children: vec![child],
            ..Node::default()
        });
        self.nodes[parent].children[position] = between;
        between
    }
}

impl Node {
    /// Redirects here if `rest`, the part of the URI behind the parent's name, lacks only the slash.
    fn wants_slash(&self, rest: &[u8]) -> Option<Static> {
        let lacks_slash = self.label.strip_suffix(b"/") == Some(rest);
        let entry = self.exact.or(self.prefix)?;
        (self.slash && lacks_slash).then_some(Static::Slash(entry))
    }
}
