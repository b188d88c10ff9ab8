//! The `If` header: states of resources that a request depends on (RFC 4918 section 10.4).

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::destination::map_other;
use super::files::{canonical, path_of};
use super::locks::{Locks, Token};
use crate::exchange::{Exchange, Zone};
use crate::http::entity::file_etag;
use crate::http::uri;

/// A parsed header: the request goes on if one of its lists holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct If<'a>(Vec<List<'a>>);

/// Conditions that must hold together.
#[derive(Debug, PartialEq, Eq)]
struct List<'a> {
    /// The URI it is about; `None` for the request's own.
    resource: Option<&'a [u8]>,
    conditions: Vec<Condition<'a>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Condition<'a> {
    not: bool,
    state: State<'a>,
}

#[derive(Debug, PartialEq, Eq)]
enum State<'a> {
    /// The resource is locked with this token.
    Token(&'a [u8]),
    /// The resource has this entity tag.
    Etag(&'a [u8]),
}

/// The header is not written as it should be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadIf;

impl<'a> If<'a> {
    /// Reads a header's value.
    pub(super) fn parse(value: &'a [u8]) -> Result<If<'a>, BadIf> {
        let mut reader = Reader { rest: value };
        let mut lists = Vec::new();
        let mut resource = None;
        let mut tagged = false;
        loop {
            match reader.next() {
                None if lists.is_empty() || tagged => return Err(BadIf),
                None => return Ok(If(lists)),
                Some(b'<') => {
                    resource = Some(reader.until(b'>')?);
                    tagged = true;
                }
                Some(b'(') => {
                    let conditions = reader.conditions()?;
                    lists.push(List {
                        resource,
                        conditions,
                    });
                    tagged = false;
                }
                Some(_) => return Err(BadIf),
            }
        }
    }

    /// The tokens it names, whatever it says of them.
    pub(super) fn tokens(&self) -> Vec<Token> {
        let conditions = self.0.iter().flat_map(|list| &list.conditions);
        conditions
            .filter_map(|condition| match condition.state {
                State::Token(token) => Token::parse(token),
                State::Etag(_) => None,
            })
            .collect()
    }

    /// Whether one of its lists holds; `own` is the request's file.
    pub(super) fn holds(&self, exchange: &Exchange, zone: &Zone<Locks>, own: &Path) -> bool {
        self.0.iter().any(|list| {
            let path = match list.resource {
                None => Some(own.to_owned()),
                Some(uri) => local(exchange, uri)
                    .and_then(|path| map_other(exchange, &path).ok())
                    .map(|path| path_of(canonical(&path))),
            };
            list.conditions.iter().all(|condition| {
                let path = path.as_deref();
                condition.not != path.is_some_and(|path| condition.state.is_of(zone, path))
            })
        })
    }
}

impl State<'_> {
    fn is_of(&self, zone: &Zone<Locks>, path: &Path) -> bool {
        match self {
            State::Token(text) => Token::parse(text).is_some_and(|token| {
                let locks = zone.covering(path.as_os_str().as_bytes());
                locks.iter().any(|lock| lock.token == token)
            }),
            State::Etag(text) => fs::metadata(path).is_ok_and(|known| {
                let own = file_etag(known.mtime(), known.len());
                *own == **text
            }),
        }
    }
}

/// The decoded path of a URI of this host.
fn local(exchange: &Exchange, uri: &[u8]) -> Option<Vec<u8>> {
    let target = match uri.first() {
        Some(b'/') => uri,
        _ => {
            let start = memchr::memmem::find(uri, b"://")? + 3;
            let slash = start + memchr::memchr(b'/', &uri[start..])?;
            let host = uri[start..slash].to_ascii_lowercase();
            if !host.starts_with(&exchange.request.host) {
                return None;
            }
            &uri[slash..]
        }
    };
    let mut path = Vec::new();
    uri::parse(target, true, &mut path).ok()?;
    Some(path)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// The next byte that is no white space.
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.trim_ascii_start().split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn until(&mut self, end: u8) -> Result<&'a [u8], BadIf> {
        let at = memchr::memchr(end, self.rest).ok_or(BadIf)?;
        let found = &self.rest[..at];
        self.rest = &self.rest[at + 1..];
        Ok(found)
    }

    /// What stands between parentheses; at least one condition.
    fn conditions(&mut self) -> Result<Vec<Condition<'a>>, BadIf> {
        let mut conditions = Vec::new();
        loop {
            let mut first = self.next();
            let not = matches!(first, Some(b'N' | b'n'));
            if not {
                let word = self.rest.get(..2).ok_or(BadIf)?;
                if !word.eq_ignore_ascii_case(b"ot") {
                    return Err(BadIf);
                }
                self.rest = &self.rest[2..];
                first = self.next();
            }
            let state = match first {
                Some(b'<') => State::Token(self.until(b'>')?),
                Some(b'[') => State::Etag(self.until(b']')?),
                Some(b')') if !not && !conditions.is_empty() => return Ok(conditions),
                _ => return Err(BadIf),
            };
            conditions.push(Condition { not, state });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_are_read() {
        let value = b"<http://a/b> (<t> [\"e\"]) (Not<u>) </c> ( not [W/\"x\"] )";
        let condition = |not, state| Condition { not, state };
        let list = |resource, conditions| List {
            resource: Some(resource),
            conditions,
        };
        let expected = If(vec![
            list(
                &b"http://a/b"[..],
                vec![
                    condition(false, State::Token(b"t")),
                    condition(false, State::Etag(b"\"e\"")),
                ],
            ),
            list(b"http://a/b", vec![condition(true, State::Token(b"u"))]),
            list(b"/c", vec![condition(true, State::Etag(b"W/\"x\""))]),
        ]);
        assert_eq!(If::parse(value), Ok(expected));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for value in [
            "", "x", "()", "(x)", "(<t>", "(<t", "([e)", "(Not)", "(No <t>)", "<a>", "(<t>) x",
        ] {
            assert_eq!(If::parse(value.as_bytes()), Err(BadIf), "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(value: Vec<u8>) {
            let _ = If::parse(&value);
        }
    }
}
