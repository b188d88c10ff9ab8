//! The locks of a zone (RFC 4918 section 6): taken, found, refreshed and forgotten.
//!
//! A lock is of a file, whatever URI leads to it, and of all below it if it is deep. All workers
//! share the zone, and locks outlive a reload.

use crate::event;
use crate::exchange::{Place, Purpose, Table, Zone};
use crate::sys::random;

/// What a zone of locks is declared with (`dav_ext_lock_zone`).
pub(super) struct Locks {
    /// How long a lock lasts unless it is refreshed, in seconds.
    pub timeout: u64,
}

/// How long a lock lasts if nothing else is said, in seconds.
pub(super) const DEFAULT_TIMEOUT: u64 = 60;

impl Purpose for Locks {
    const WORDS: usize = 128;
}

// The words of an entry.
const EXPIRES: usize = 0;
const TOKEN: usize = 1;
/// Length of the path, of the owner, and the flags below.
const SHAPE: usize = 3;
const TEXT: usize = 4;
/// How many bytes path and owner may have together.
const ROOM: usize = (Locks::WORDS - TEXT) * size_of::<u64>();

const DEEP: u64 = 1 << 62;
const SHARED: u64 = 1 << 63;

/// What a lock is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token(pub u128);

impl Token {
    /// A token nobody can guess: a random UUID (RFC 9562 section 5.4).
    fn new() -> Token {
        let random = u128::from_ne_bytes(random::bytes());
        let version = 0xf << 76 | 0x3 << 62;
        Token(random & !version | 0x4 << 76 | 0x2 << 62)
    }

    /// Reads `urn:uuid:…`; `None` if it is no token of ours.
    pub(super) fn parse(text: &[u8]) -> Option<Token> {
        let digits = std::str::from_utf8(text.strip_prefix(b"urn:uuid:")?).ok()?;
        let token = Token(u128::from_str_radix(&digits.replace('-', ""), 16).ok()?);
        (token.to_string().as_bytes() == text).then_some(token)
    }
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = format!("{:032x}", self.0);
        let (a, b) = (&digits[..8], &digits[8..12]);
        let (c, d, e) = (&digits[12..16], &digits[16..20], &digits[20..]);
        write!(f, "urn:uuid:{a}-{b}-{c}-{d}-{e}")
    }
}

/// One lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lock {
    pub token: Token,
    /// The file, without a slash at its end.
    pub path: Vec<u8>,
    /// What the client says of the owner, as XML.
    pub owner: Vec<u8>,
    /// Whether all below is locked as well.
    pub deep: bool,
    /// Whether others may share it.
    pub shared: bool,
    /// When it ends, in seconds since 1970.
    pub expires: u64,
}

/// Why a lock can't be had.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Someone else has it.
    Conflict,
    /// The zone is full, or path and owner are too long for it.
    NoRoom,
}

impl Lock {
    /// Whether `path` is locked by it.
    pub(super) fn covers(&self, path: &[u8]) -> bool {
        self.path == path || self.deep && is_below(path, &self.path)
    }

    fn conflicts_with(&self, other: &Lock) -> bool {
        let overlap = self.covers(&other.path) || other.covers(&self.path);
        overlap && !(self.shared && other.shared)
    }

    /// How many seconds are left to it.
    pub(super) fn remaining(&self) -> u64 {
        self.expires.saturating_sub(now())
    }

    fn load(words: &[u64]) -> Lock {
        let shape = words[SHAPE];
        let (path, owner) = (shape as u16 as usize, (shape >> 16) as u16 as usize);
        let mut text: Vec<u8> = words[TEXT..]
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .take(path + owner)
            .collect();
        let owner = text.split_off(path.min(text.len()));
        Lock {
            token: Token(u128::from(words[TOKEN]) << 64 | u128::from(words[TOKEN + 1])),
            path: text,
            owner,
            deep: shape & DEEP != 0,
            shared: shape & SHARED != 0,
            expires: words[EXPIRES],
        }
    }

    fn store(&self, words: &mut [u64]) {
        words[EXPIRES] = self.expires;
        words[TOKEN] = (self.token.0 >> 64) as u64;
        words[TOKEN + 1] = self.token.0 as u64;
        let flags = if self.deep { DEEP } else { 0 } | if self.shared { SHARED } else { 0 };
        words[SHAPE] = self.path.len() as u64 | (self.owner.len() as u64) << 16 | flags;
        let text: Vec<u8> = [&*self.path, &*self.owner].concat();
        for (word, bytes) in words[TEXT..].iter_mut().zip(text.chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_ne_bytes(padded);
        }
    }
}

/// Whether `path` is in the folder `folder` or further down.
pub(super) fn is_below(path: &[u8], folder: &[u8]) -> bool {
    let rest = path.strip_prefix(folder);
    rest.is_some_and(|rest| rest.first() == Some(&b'/'))
}

fn now() -> u64 {
    event::unix_time().0.unsigned_abs()
}

/// What is done with a zone of locks.
impl Zone<Locks> {
    fn timeout(&self) -> u64 {
        self.purpose()
            .map_or(DEFAULT_TIMEOUT, |locks| locks.timeout)
    }

    /// Takes a lock, unless it conflicts with another.
    pub(super) fn take(
        &self,
        path: Vec<u8>,
        owner: Vec<u8>,
        deep: bool,
        shared: bool,
    ) -> Result<Lock, Refused> {
        let lock = Lock {
            token: Token::new(),
            path,
            owner,
            deep,
            shared,
            expires: now() + self.timeout(),
        };
        if lock.path.len() + lock.owner.len() > ROOM {
            return Err(Refused::NoRoom);
        }
        let key = self.key(&lock.token.0.to_ne_bytes());
        let taken = self.with(|table| {
            let others = all(table);
            if others.iter().any(|(_, other)| lock.conflicts_with(other)) {
                return Err(Refused::Conflict);
            }
            let place = table.insert(key).ok_or(Refused::NoRoom)?;
            lock.store(table.value(place));
            Ok(())
        });
        taken.unwrap_or(Err(Refused::NoRoom)).map(|()| lock)
    }

    /// The locks for which `wanted` holds.
    pub(super) fn select(&self, wanted: impl Fn(&Lock) -> bool) -> Vec<Lock> {
        let all = self.with(all).unwrap_or_default();
        let locks = all.into_iter().map(|(_, lock)| lock);
        locks.filter(wanted).collect()
    }

    /// The locks on `path`, its own and those from above.
    pub(super) fn covering(&self, path: &[u8]) -> Vec<Lock> {
        self.select(|lock| lock.covers(path))
    }

    /// Lets a lock last as long again as a new one; says how it is then.
    pub(super) fn refresh(&self, token: Token) -> Option<Lock> {
        let expires = now() + self.timeout();
        let key = self.key(&token.0.to_ne_bytes());
        self.with(|table| {
            let place = table.find(key)?;
            table.value(place)[EXPIRES] = expires;
            Some(Lock::load(table.value(place)))
        })?
    }

    /// Forgets the locks for which `wanted` holds.
    pub(super) fn forget(&self, wanted: impl Fn(&Lock) -> bool) {
        let _ = self.with(|table| {
            for (place, lock) in all(table) {
                if wanted(&lock) {
                    table.remove(place);
                }
            }
        });
    }
}

/// All locks that still last; others are forgotten.
fn all(table: &mut Table<'_>) -> Vec<(Place, Lock)> {
    let now = now();
    let mut locks = Vec::new();
    let mut next = table.oldest();
    while let Some(place) = next {
        next = table.newer(place);
        let lock = Lock::load(table.value(place));
        match lock.expires > now {
            true => locks.push((place, lock)),
            false => table.remove(place),
        }
    }
    locks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Zones;
    use std::rc::Rc;

    fn zone() -> Rc<Zone<Locks>> {
        let zones = Zones::default();
        let zone = zones.declare::<Locks>(b"locks", 32768).unwrap();
        zone.define(Locks { timeout: 100 });
        zones.open(None).unwrap();
        zone
    }

    #[test]
    fn tokens_round_trip() {
        for _ in 0..100 {
            let token = Token::new();
            let text = token.to_string();
            assert_eq!(Token::parse(text.as_bytes()), Some(token));
            assert_eq!((text.len(), &text[23..24]), (45, "4"));
        }
        for wrong in ["", "urn:uuid:", "DAV:no-lock", "urn:uuid:00"] {
            assert_eq!(Token::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn locks_conflict_where_they_overlap() {
        // Path, deep and shared of two locks, and whether the second is refused.
        let cases = [
            ("/a", false, false, "/a", false, false, true),
            ("/a", false, true, "/a", false, true, false),
            ("/a", false, true, "/a", false, false, true),
            ("/a", true, false, "/a/b", false, false, true),
            ("/a", false, false, "/a/b", false, false, false),
            ("/a/b", false, false, "/a", true, false, true),
            ("/a/b", false, false, "/a", false, false, false),
            ("/a", true, false, "/ab", true, false, false),
        ];
        for (first, deep, shared, second, deep2, shared2, refused) in cases {
            let zone = zone();
            let take = |path: &str, deep, shared| zone.take(path.into(), vec![], deep, shared);
            take(first, deep, shared).unwrap();
            let expected = if refused {
                Some(Refused::Conflict)
            } else {
                None
            };
            assert_eq!(
                take(second, deep2, shared2).err(),
                expected,
                "{first} {second}"
            );
        }
    }

    #[test]
    fn a_lock_is_kept_until_it_is_forgotten() {
        let zone = zone();
        let lock = zone
            .take(b"/a/b".to_vec(), b"<me/>".to_vec(), true, true)
            .unwrap();
        assert_eq!(zone.covering(b"/a/b/c"), std::slice::from_ref(&lock));
        assert!(zone.covering(b"/a").is_empty());
        assert_eq!(zone.refresh(lock.token).unwrap().owner, b"<me/>");
        zone.forget(|other| other.token == lock.token);
        assert!(zone.select(|_| true).is_empty());
        assert_eq!(zone.refresh(lock.token), None);
        let long = zone.take(vec![b'x'; ROOM + 1], vec![], false, false);
        assert_eq!(long, Err(Refused::NoRoom));
    }

    #[test]
    fn a_full_zone_takes_no_more() {
        let zone = zone();
        let mut taken = 0_u64;
        while zone
            .take(taken.to_string().into(), vec![], false, false)
            .is_ok()
        {
            taken += 1;
        }
        assert!((10..100).contains(&taken), "{taken}");
    }
}
