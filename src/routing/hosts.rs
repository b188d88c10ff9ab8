//! Finds the virtual host a request names, by the rules of nginx's `server_name` directive.
//!
//! An exact name wins, then the longest name with a leading wildcard, then the longest with a
//! trailing one, then the first regular expression that matches. The first three are hash
//! look-ups, one for each label of the host at most, however many names there are.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use crate::http::pattern::{Captures, LimitExceeded, Pattern};
use crate::http::patterns::Patterns;

/// Why a name was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// Neither a name nor `*.example.com`, `.example.com` or `www.example.*`:
    /// nginx's `invalid server name or wildcard`.
    Invalid,
    /// Taken already: nginx's `conflicting server name …, ignored`.
    Conflict,
}

/// A virtual host that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'a, T> {
    /// What the name leads to.
    pub value: &'a T,
    /// If a pattern decided: the tag it was added with.
    pub pattern: Option<usize>,
}

/// The names of the virtual hosts of one address.
#[derive(Debug)]
pub struct Hosts<T> {
    exact: Table<T>,
    /// By what follows the `*` and the dot.
    leading: Table<Leading<T>>,
    /// By what precedes the dot and the `*`.
    trailing: Table<T>,
    patterns: Patterns,
    /// What the patterns lead to.
    matched: Vec<Named<T>>,
    /// The length of the longest name with a wildcard: no look-up need hash more.
    longest: usize,
}

#[derive(Debug)]
struct Leading<T> {
    value: T,
    /// Written `.example.com`, which stands for `example.com` as well.
    bare: bool,
}

#[derive(Debug)]
struct Named<T> {
    tag: usize,
    value: T,
}

impl<T> Default for Hosts<T> {
    fn default() -> Self {
        Self {
            exact: Table::default(),
            leading: Table::default(),
            trailing: Table::default(),
            patterns: Patterns::default(),
            matched: Vec::new(),
            longest: 0,
        }
    }
}

impl<T> Hosts<T> {
    /// Adds a name without a pattern: `example.com`, `*.example.com`, `.example.com`,
    /// `www.example.*` or nothing at all, for requests without a host.
    ///
    /// # Errors
    /// The name is malformed or taken; the table is as before.
    pub fn add(&mut self, name: &[u8], value: T) -> Result<(), NameError> {
        let name = name.to_ascii_lowercase();
        let stars = name.iter().filter(|&&byte| byte == b'*').count();
        if stars > 1 || name.contains(&0) || name.windows(2).any(|pair| pair == b"..") {
            return Err(NameError::Invalid);
        }
        if stars > 0 || name.starts_with(b".") {
            self.longest = self.longest.max(name.len());
        }
        match &name[..] {
            [b'.', rest @ ..] if !rest.is_empty() => {
                if self.exact.contains_key(rest) {
                    return Err(NameError::Conflict);
                }
                insert(&mut self.leading, rest, Leading { value, bare: true })
            }
            [b'*', b'.', rest @ ..] if !rest.is_empty() => {
                insert(&mut self.leading, rest, Leading { value, bare: false })
            }
            [rest @ .., b'.', b'*'] if !rest.is_empty() => insert(&mut self.trailing, rest, value),
            _ if stars > 0 => Err(NameError::Invalid),
            _ if self.leading.get(&*name).is_some_and(|entry| entry.bare) => {
                Err(NameError::Conflict)
            }
            _ => insert(&mut self.exact, &name, value),
        }
    }

    /// Adds a pattern (`~…`); patterns are tried in the order they were added.
    ///
    /// `tag` is handed back when the pattern decides, so that its named groups can be assigned.
    pub fn add_pattern(&mut self, pattern: Rc<Pattern>, tag: usize, value: T) {
        self.patterns.push(pattern);
        self.matched.push(Named { tag, value });
    }

    /// Whether there are patterns among the names.
    pub fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// The virtual host for `host`, a name without port; its case and a last dot do not matter.
    ///
    /// `captures` is written if a pattern decided.
    ///
    /// # Errors
    /// A pattern did not come to an answer.
    pub fn find(
        &self,
        host: &[u8],
        captures: &mut Captures,
    ) -> Result<Option<Found<'_, T>>, LimitExceeded> {
        self.find_normal(&normalise(host), captures)
    }

    /// As [`Hosts::find`], for a host in lower case without a last dot.
    ///
    /// # Errors
    /// As [`Hosts::find`].
    pub fn find_normal(
        &self,
        host: &[u8],
        captures: &mut Captures,
    ) -> Result<Option<Found<'_, T>>, LimitExceeded> {
        let named = self.exact.get(host);
        let named = named.or_else(|| self.find_leading(host));
        if let Some(value) = named.or_else(|| self.find_trailing(host)) {
            return Ok(Some(Found {
                value,
                pattern: None,
            }));
        }
        if host.is_empty() || self.patterns.is_empty() {
            return Ok(None);
        }
        let found = self.patterns.first_match(host, captures)?;
        Ok(found.map(|number| Found {
            value: &self.matched[number].value,
            pattern: Some(self.matched[number].tag),
        }))
    }

    /// The longest name with a leading wildcard that fits.
    fn find_leading(&self, host: &[u8]) -> Option<&T> {
        if self.leading.is_empty() {
            return None;
        }
        if let Some(entry) = self.leading.get(host).filter(|entry| entry.bare) {
            return Some(&entry.value);
        }
        let end = &host[host.len().saturating_sub(self.longest)..];
        memchr::memchr_iter(b'.', end)
            .find_map(|dot| self.leading.get(&end[dot + 1..]))
            .map(|entry| &entry.value)
    }

    /// The longest name with a trailing wildcard that fits.
    fn find_trailing(&self, host: &[u8]) -> Option<&T> {
        if self.trailing.is_empty() {
            return None;
        }
        let start = &host[..host.len().min(self.longest)];
        memchr::memrchr_iter(b'.', start).find_map(|dot| self.trailing.get(&start[..dot]))
    }
}

fn insert<V>(table: &mut Table<V>, name: &[u8], value: V) -> Result<(), NameError> {
    match table.entry(name.into()) {
        Entry::Occupied(_) => Err(NameError::Conflict),
        Entry::Vacant(place) => {
            place.insert(value);
            Ok(())
        }
    }
}

/// `host` as names are kept: in lower case, without the dot of the root.
fn normalise(host: &[u8]) -> Cow<'_, [u8]> {
    let host = host.strip_suffix(b".").unwrap_or(host);
    if host.iter().any(u8::is_ascii_uppercase) {
        host.to_ascii_lowercase().into()
    } else {
        host.into()
    }
}

type Table<V> = HashMap<Box<[u8]>, V, BuildHasherDefault<NameHasher>>;

/// A quick hash, eight bytes at a time: names are short, and nobody but the administrator chooses
/// those in a table.
#[derive(Default)]
struct NameHasher(u64);

impl NameHasher {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0xf135_7aea_2e62_a9c5);
    }
}

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.add(u64::from_ne_bytes(*word));
        }
        match bytes.last_chunk() {
            // That some bytes count twice does no harm.
            Some(last) => self.add(u64::from_ne_bytes(*last)),
            None => self.add(
                rest.iter()
                    .fold(0, |word, byte| word << 8 | u64::from(*byte)),
            ),
        }
    }

    fn write_usize(&mut self, _length: usize) {
        // The length prefix of a slice tells names apart no better than their bytes do.
    }

    /// The table goes by the lowest bits, and multiplying mixes the highest best.
    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Names = Hosts<&'static str>;

    fn hosts(names: &[&'static str]) -> Names {
        let mut hosts = Names::default();
        for (index, name) in names.iter().enumerate() {
            match name.strip_prefix('~') {
                Some(source) => {
                    hosts.add_pattern(Rc::new(Pattern::new(source, false).unwrap()), index, name)
                }
                None => hosts.add(name.as_bytes(), name).unwrap(),
            }
        }
        hosts
    }

    fn find(hosts: &Names, host: &str) -> &'static str {
        hosts
            .find(host.as_bytes(), &mut Captures::new())
            .unwrap()
            .map_or("none", |found| found.value)
    }

    #[test]
    fn precedence() {
        let hosts = hosts(&[
            "example.com",
            "*.example.com",
            "*.a.example.com",
            ".example.org",
            "www.example.*",
            "www.*",
            "",
            "~^w[0-9]+\\.",
            "~^w",
            "*.net",
            "Mixed.Case",
        ]);
        for (host, expected) in [
            ("example.com", "example.com"),
            ("EXAMPLE.com", "example.com"),
            ("example.com.", "example.com"),
            ("www.example.com", "*.example.com"),
            ("x.y.example.com", "*.example.com"),
            ("a.example.com", "*.example.com"),
            ("b.a.example.com", "*.a.example.com"),
            (".example.com", "*.example.com"),
            ("example.org", ".example.org"),
            ("www.example.org", ".example.org"),
            ("www.example.co.uk", "www.example.*"),
            ("www.other.de", "www.*"),
            ("www", "~^w"),
            ("w12.example.de", "~^w[0-9]+\\."),
            ("net", "none"),
            ("a.net", "*.net"),
            ("mixed.case", "Mixed.Case"),
            ("", ""),
            ("xexample.com", "none"),
        ] {
            assert_eq!(find(&hosts, host), expected, "{host}");
        }
    }

    #[test]
    fn a_pattern_is_told_by_its_tag() {
        let hosts = hosts(&["a", "~b"]);
        let mut captures = Captures::new();
        assert_eq!(
            hosts.find(b"a", &mut captures).unwrap().unwrap().pattern,
            None
        );
        assert_eq!(
            hosts.find(b"b", &mut captures).unwrap().unwrap().pattern,
            Some(1)
        );
        assert_eq!(captures.get(0), Some((0, 1)));
    }

    #[test]
    fn a_host_is_required_for_patterns() {
        assert_eq!(find(&hosts(&["~."]), ""), "none");
    }

    #[test]
    fn refused_names() {
        use NameError::{Conflict, Invalid};
        for (earlier, name, expected) in [
            ("", "a*b", Err(Invalid)),
            ("x", "*.example.*", Err(Invalid)),
            ("x", "a..b", Err(Invalid)),
            ("x", "*", Err(Invalid)),
            ("x", "a\0b", Err(Invalid)),
            ("a.b", "A.B", Err(Conflict)),
            ("*.a.b", "*.a.b", Err(Conflict)),
            ("a.b.*", "a.b.*", Err(Conflict)),
            (".a.b", "a.b", Err(Conflict)),
            ("a.b", ".a.b", Err(Conflict)),
            (".a.b", "*.a.b", Err(Conflict)),
            ("*.a.b", ".a.b", Err(Conflict)),
            ("*.a.b", "a.b", Ok(())),
            ("a.b.*", "a.b", Ok(())),
        ] {
            assert_eq!(
                hosts(&[earlier]).add(name.as_bytes(), name),
                expected,
                "{earlier} {name}"
            );
        }
    }

    /// How well `name` fits `host`: exact names first, then leading, then trailing wildcards.
    fn rank(name: &str, host: &str) -> Option<(u8, usize)> {
        if let Some(rest) = name.strip_prefix('*') {
            return host.ends_with(rest).then_some((1, rest.len()));
        }
        if let Some(rest) = name.strip_suffix('*') {
            return host.starts_with(rest).then_some((0, rest.len()));
        }
        if name.starts_with('.') && (host == &name[1..] || host.ends_with(name)) {
            return Some((1, name.len()));
        }
        (name == host).then_some((2, 0))
    }

    proptest! {
            #[test]
            fn agrees_with_a_naive_search(
                names in prop::collection::vec("(\\*\\.|\\.)?[ab](\\.[ab]){0,2}|[ab](\\.[ab]){0,2}\\.\\*", 0..10),
                host in "[ab](\\.[ab]){0,3}",
            ) {
                let mut hosts: Hosts<String> = Hosts::default();
                let mut added = Vec::new();
                for name in names {
                    if hosts.add(name.as_bytes(), name.clone()).is_ok() {
                        added.push(name);
                    }
                }
                let best = added.iter().filter_map(|name| Some((rank(name, &host)?, name))).max();
                let found = hosts.find(host.as_bytes(), &mut Captures::new())
    .unwrap().map(|found| found.value);
                prop_assert_eq!(found, best.map(|(_, name)| name));
            }
        }
}
