//! Finds the location of a URI, by the rules of nginx's `location` directive.
//!
//! An exact location (`=`) ends the search. Otherwise the longest prefix is remembered, the
//! locations nested in it are searched, and then the regular expressions are tried in their
//! order; the first that matches wins over the prefix, unless the prefix forbids it (`^~`).

use std::collections::HashMap;
use std::rc::Rc;

use super::trie::{Static, Trie};
use crate::http::pattern::{Captures, LimitExceeded, Pattern};
use crate::http::patterns::Patterns;

/// How a location is named.
#[derive(Debug)]
pub enum Kind {
    /// `location = /name`.
    Exact(Vec<u8>),
    /// `location /name`.
    Prefix(Vec<u8>),
    /// `location ^~ /name`: a prefix that keeps regular expressions of its level from being tried.
    PriorityPrefix(Vec<u8>),
    /// `location ~ pattern` and `location ~* pattern`.
    Regex(Rc<Pattern>),
    /// `location @name`, given without the `@`.
    Named(Vec<u8>),
}

/// Another location of the same level and kind has this name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duplicate;

/// Where a URI leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// This location serves it.
    Location(T),
    /// It lacks the last slash of this location's name: redirect to the name.
    Slash(T),
    /// No location fits; the server itself serves it.
    None,
}

/// The locations of a server or, nested, of another location.
#[derive(Debug)]
pub struct Locations<T> {
    entries: Vec<Entry<T>>,
    names: Trie,
    /// Patterns in the order of the configuration.
    patterns: Patterns,
    /// The entries they lead to.
    matched: Vec<usize>,
    named: HashMap<Vec<u8>, usize>,
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    /// Written with `^~`.
    priority: bool,
    nested: Locations<T>,
}

impl<T> Default for Locations<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            names: Trie::default(),
            patterns: Patterns::default(),
            matched: Vec::new(),
            named: HashMap::new(),
        }
    }
}

impl<T> Locations<T> {
    /// Adds a location and those nested in it.
    ///
    /// `auto_redirect` says that a request for its name without the last slash is to be
    /// redirected (`proxy_pass` and its kin ask for that).
    ///
    /// # Errors
    /// The name is taken: nginx's `duplicate location`. Of two named locations the first stays,
    /// without an error, as in nginx.
    pub fn add(
        &mut self,
        kind: Kind,
        auto_redirect: bool,
        value: T,
        nested: Self,
    ) -> Result<(), Duplicate> {
        let entry = self.entries.len();
        let priority = matches!(kind, Kind::PriorityPrefix(_));
        let added = match kind {
            Kind::Exact(name) => self.names.insert(&name, true, auto_redirect, entry),
            Kind::Prefix(name) | Kind::PriorityPrefix(name) => {
                self.names.insert(&name, false, auto_redirect, entry)
            }
            Kind::Regex(pattern) => {
                self.patterns.push(pattern);
                self.matched.push(entry);
                true
            }
            Kind::Named(name) => {
                self.named.entry(name).or_insert(entry);
                true
            }
        };
        self.entries.push(Entry {
            value,
            priority,
            nested,
        });
        if added { Ok(()) } else { Err(Duplicate) }
    }

    /// The location that serves `uri`, a decoded and normalised path.
    ///
    /// `captures` is written if a pattern matched.
    ///
    /// # Errors
    /// A pattern did not come to an answer; another location might let in whom it keeps out.
    pub fn find(&self, uri: &[u8], captures: &mut Captures) -> Result<Found<&T>, LimitExceeded> {
        Ok(match self.search(uri, captures)? {
            Search::Decided(found) => found,
            Search::Best(Some(value)) => Found::Location(value),
            Search::Best(None) => Found::None,
        })
    }

    /// The named location `name`, given without the `@`.
    pub fn named(&self, name: &[u8]) -> Option<&T> {
        self.named
            .get(name)
            .map(|&entry| &self.entries[entry].value)
    }

    /// Searches this level and those nested in it.
    fn search(&self, uri: &[u8], captures: &mut Captures) -> Result<Search<&T>, LimitExceeded> {
        let mut best = None;
        let mut patterns_allowed = true;
        match self.names.find(uri) {
            Static::Exact(entry) => {
                return Ok(Search::Decided(Found::Location(&self.entries[entry].value)));
            }
            Static::Slash(entry) => {
                return Ok(Search::Decided(Found::Slash(&self.entries[entry].value)));
            }
            Static::Prefix(entry) => {
                let entry = &self.entries[entry];
                match entry.nested.search(uri, captures)? {
                    Search::Best(nested) => best = Some(nested.unwrap_or(&entry.value)),
                    decided => return Ok(decided),
                }
                patterns_allowed = !entry.priority;
            }
            Static::None => {}
        }
        if patterns_allowed
            && !self.patterns.is_empty()
            && let Some(value) = self.first_match(uri, captures)?
        {
            return Ok(Search::Decided(Found::Location(value)));
        }
        Ok(Search::Best(best))
    }

    /// What the first pattern that matches leads to, or a location nested in that one.
    fn first_match(
        &self,
        uri: &[u8],
        captures: &mut Captures,
    ) -> Result<Option<&T>, LimitExceeded> {
        let Some(number) = self.patterns.first_match(uri, captures)? else {
            return Ok(None);
        };
        let entry = &self.entries[self.matched[number]];
        // Here nginx serves even the location that wants a slash, without redirecting to it.
        Ok(Some(match entry.nested.search(uri, captures)? {
            Search::Decided(Found::Location(value) | Found::Slash(value)) => value,
            Search::Best(Some(value)) => value,
            Search::Decided(Found::None) | Search::Best(None) => &entry.value,
        }))
    }
}

/// How far one level's search came.
enum Search<T> {
    /// Nothing outside can change it.
    Decided(Found<T>),
    /// The longest prefix, if any; a pattern of an outer level still wins over it.
    Best(Option<T>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Names = Locations<&'static str>;

    /// A level of locations without nested ones, written as in a configuration; a name that
    /// ends in a slash wants it added.
    fn level(names: &[&'static str]) -> Names {
        let mut level = Names::default();
        for name in names {
            add(&mut level, name, Names::default()).unwrap();
        }
        level
    }

    fn add(level: &mut Names, name: &'static str, nested: Names) -> Result<(), Duplicate> {
        let (modifier, path) = name.split_once(' ').unwrap_or(("", name));
        let kind = match modifier {
            "=" => Kind::Exact(path.into()),
            "^~" => Kind::PriorityPrefix(path.into()),
            "~" => Kind::Regex(Rc::new(Pattern::new(path, false).unwrap())),
            _ if path.starts_with('@') => Kind::Named(path[1..].into()),
            _ => Kind::Prefix(path.into()),
        };
        level.add(kind, path.len() > 1 && path.ends_with('/'), name, nested)
    }

    fn find(level: &Names, uri: &str) -> String {
        match level.find(uri.as_bytes(), &mut Captures::new()).unwrap() {
            Found::Location(name) => (*name).to_owned(),
            Found::Slash(name) => format!("redirect {name}"),
            Found::None => "none".to_owned(),
        }
    }

    #[test]
    fn one_level() {
        let level = level(&[
            "/",
            "= /",
            "/docs/",
            "^~ /images/",
            "~ \\.(gif|jpg)$",
            "~ ^/docs/secret",
            "= /docs/exact",
            "/doc",
            "@back",
        ]);
        for (uri, expected) in [
            ("/", "= /"),
            ("/index", "/"),
            ("/docs/a", "/docs/"),
            ("/docs", "redirect /docs/"),
            ("/documents", "/doc"),
            ("/docs/exact", "= /docs/exact"),
            ("/docs/exact/", "/docs/"),
            ("/images/a.gif", "^~ /images/"),
            ("/images", "redirect ^~ /images/"),
            ("/docs/a.jpg", "~ \\.(gif|jpg)$"),
            ("/docs/secret.gif", "~ \\.(gif|jpg)$"),
            ("/docs/secret", "~ ^/docs/secret"),
            ("*", "none"),
        ] {
            assert_eq!(find(&level, uri), expected, "{uri}");
        }
        assert_eq!(level.named(b"back"), Some(&"@back"));
        assert_eq!(level.named(b"other"), None);
    }

    #[test]
    fn a_slash_is_not_added_if_the_name_without_it_exists() {
        assert_eq!(find(&level(&["/a/", "/a"]), "/a"), "/a");
        assert_eq!(find(&level(&["/a/", "= /a"]), "/a"), "= /a");
        assert_eq!(find(&level(&["= /a/", "/a/"]), "/a"), "redirect = /a/");
        assert_eq!(
            find(&level(&["/a/bc", "/a/bd", "/a/"]), "/a"),
            "redirect /a/"
        );
    }

    #[test]
    fn nested_levels() {
        let mut outer = level(&["~ \\.php$", "/"]);
        let mut inner = level(&["/a/b", "~ \\.gif$", "= /a/x"]);
        add(&mut inner, "^~ /a/c", level(&["~ c.gif"])).unwrap();
        add(&mut outer, "/a/", inner).unwrap();
        add(&mut outer, "^~ /p/", level(&["/p/q"])).unwrap();
        add(&mut outer, "~ ^/r", level(&["/r/s/", "~ \\.png$"])).unwrap();
        for (uri, expected) in [
            ("/a/b1", "/a/b"),
            ("/a/b.gif", "~ \\.gif$"),
            ("/a/x", "= /a/x"),
            ("/a/z", "/a/"),
            ("/a/z.php", "~ \\.php$"),
            // Its own pattern, for `^~` bars only those beside it …
            ("/a/c.gif", "~ c.gif"),
            ("/a/c2.gif", "^~ /a/c"),
            // … and not those further out.
            ("/a/c.php", "~ \\.php$"),
            ("/p/q.php", "/p/q"),
            ("/r", "~ ^/r"),
            ("/r/t.png", "~ \\.png$"),
            ("/r/s", "/r/s/"),
        ] {
            assert_eq!(find(&outer, uri), expected, "{uri}");
        }
    }

    #[test]
    fn captures_are_those_of_the_pattern_that_matched() {
        let names = level(&["/", "~ x(.)", "~ a(.)"]);
        for (uri, expected) in [("/abc", Some((2, 3))), ("/", None)] {
            let mut captures = Captures::new();
            names.find(uri.as_bytes(), &mut captures).unwrap();
            assert_eq!(captures.get(1), expected, "{uri}");
        }
    }

    #[test]
    fn a_pattern_that_gives_up_decides_nothing() {
        let uri = format!("/{}b", "a".repeat(60));
        let names = level(&["/", "~ ^/(a|aa)+(?!b)$", "~ b$"]);
        let found = names.find(uri.as_bytes(), &mut Captures::new());
        assert_eq!(found, Err(LimitExceeded));
    }

    #[test]
    fn duplicates() {
        let mut level = level(&["/a", "= /a", "@n", "~ a"]);
        for (name, expected) in [
            ("/a", Err(Duplicate)),
            ("^~ /a", Err(Duplicate)),
            ("= /a", Err(Duplicate)),
            ("@n", Ok(())),
            ("~ a", Ok(())),
        ] {
            assert_eq!(add(&mut level, name, Names::default()), expected, "{name}");
        }
    }

    /// Names over a tiny alphabet, so that they are often prefixes of one another.
    fn name() -> impl Strategy<Value = String> {
        "[ab/]{0,6}".prop_map(|rest| format!("/{rest}"))
    }

    /// The same answer by comparing with every name.
    fn naive(names: &[(String, bool)], uri: &str) -> Static {
        let with_slash = format!("{uri}/");
        let position = |wanted: &str, exact: bool| {
            names
                .iter()
                .position(|name| *name == (wanted.to_owned(), exact))
        };
        if let Some(entry) = position(uri, true) {
            return Static::Exact(entry);
        }
        if let Some(entry) = position(uri, false) {
            return Static::Prefix(entry);
        }
        if let Some(entry) = position(&with_slash, true).or(position(&with_slash, false)) {
            return Static::Slash(entry);
        }
        let prefixes = names
            .iter()
            .enumerate()
            .filter(|(_, (name, exact))| !exact && uri.starts_with(&**name));
        prefixes
            .max_by_key(|(entry, (name, _))| (name.len(), std::cmp::Reverse(*entry)))
            .map_or(Static::None, |(entry, _)| Static::Prefix(entry))
    }

    proptest! {
        #[test]
        fn agrees_with_a_naive_search(
            names in prop::collection::vec((name(), any::<bool>()), 0..12),
            uris in prop::collection::vec(name(), 1..12),
        ) {
            let mut trie = Trie::default();
            for (entry, (name, exact)) in names.iter().enumerate() {
                let is_new = !names[..entry].contains(&(name.clone(), *exact));
                prop_assert_eq!(trie.insert(name.as_bytes(), *exact, true, entry), is_new);
            }
            for uri in uris.iter().chain(names.iter().map(|(name, _)| name)) {
                prop_assert_eq!(trie.find(uri.as_bytes()), naive(&names, uri), "{}", uri);
            }
        }
    }
}
