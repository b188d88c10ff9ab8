//! A hash table of fixed-size entries in the words of a zone, in the order of their use.
//!
//! Everything is a word or a place among the words, so that processes can share it; words that are
//! all zero are an empty table.

/// What is looked up: a digest of a key's bytes, so that entries are of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub(super) [u64; 2]);

/// An entry, counted from 1; good until it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u64);

/// A table for as long as this process has the zone to itself.
pub struct Table<'a> {
    words: &'a mut [u64],
    /// Words of an entry, [`VALUE`] of them its own.
    width: usize,
    capacity: usize,
}

// The words at the start: how many places were ever taken, the first of those free again, and the
// ends of the list of entries by use. In all links 0 means none.
const TAKEN: usize = 0;
const FREE: usize = 1;
const NEWEST: usize = 2;
const OLDEST: usize = 3;
const HEAD: usize = 4;

// The words of an entry.
const KEY: usize = 0;
const NEWER: usize = 2;
const OLDER: usize = 3;
/// The next entry of the same bucket, or the next free place.
const NEXT: usize = 4;
const VALUE: usize = 5;

impl<'a> Table<'a> {
    /// The table in `words`, whose values are of `value` words.
    pub(super) fn new(words: &'a mut [u64], value: usize) -> Table<'a> {
        let width = VALUE + value;
        // A bucket for each entry.
        let capacity = words.len().saturating_sub(HEAD) / (width + 1);
        Table {
            words,
            width,
            capacity,
        }
    }

    /// How many entries it can hold.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether it holds as many as it can.
    pub fn is_full(&self) -> bool {
        self.words[FREE] == 0 && self.words[TAKEN] as usize >= self.capacity
    }

    /// The entry of `key`.
    pub fn find(&self, key: Key) -> Option<Place> {
        let mut place = self.words[self.bucket(key)];
        while place != 0 {
            let entry = self.entry(place);
            if self.words[entry + KEY..][..2] == key.0 {
                return Some(Place(place));
            }
            place = self.words[entry + NEXT];
        }
        None
    }

    /// Makes an entry for `key`, which has none yet: the newest, its value zeroes. `None` if the
    /// table is full.
    pub fn insert(&mut self, key: Key) -> Option<Place> {
        let place = self.take_place()?;
        let (entry, bucket) = (self.entry(place), self.bucket(key));
        let next = std::mem::replace(&mut self.words[bucket], place);
        self.words[entry..][..2].copy_from_slice(&key.0);
        self.words[entry + NEXT] = next;
        self.words[entry + VALUE..entry + self.width].fill(0);
        self.link(place);
        Some(Place(place))
    }

    /// Forgets an entry.
    pub fn remove(&mut self, place: Place) {
        let entry = self.entry(place.0);
        let key = Key([self.words[entry + KEY], self.words[entry + KEY + 1]]);
        let mut link = self.bucket(key);
        while self.words[link] != place.0 {
            link = self.entry(self.words[link]) + NEXT;
        }
        self.words[link] = self.words[entry + NEXT];
        self.unlink(place.0);
        self.words[entry + NEXT] = std::mem::replace(&mut self.words[FREE], place.0);
    }

    /// Makes an entry the newest.
    pub fn touch(&mut self, place: Place) {
        self.unlink(place.0);
        self.link(place.0);
    }

    /// The entry that was not touched for the longest time.
    pub fn oldest(&self) -> Option<Place> {
        Some(self.words[OLDEST])
            .filter(|place| *place != 0)
            .map(Place)
    }

    /// The entry that was touched next after `place`.
    pub fn newer(&self, place: Place) -> Option<Place> {
        Some(self.words[self.entry(place.0) + NEWER])
            .filter(|place| *place != 0)
            .map(Place)
    }

    /// An entry's value.
    pub fn value(&mut self, place: Place) -> &mut [u64] {
        let entry = self.entry(place.0);
        &mut self.words[entry + VALUE..entry + self.width]
    }

    fn bucket(&self, key: Key) -> usize {
        HEAD + (key.0[0] % self.capacity.max(1) as u64) as usize
    }

    fn entry(&self, place: u64) -> usize {
        HEAD + self.capacity + (place as usize - 1) * self.width
    }

    fn take_place(&mut self) -> Option<u64> {
        let free = self.words[FREE];
        if free != 0 {
            self.words[FREE] = self.words[self.entry(free) + NEXT];
            return Some(free);
        }
        let taken = self.words[TAKEN];
        if taken as usize >= self.capacity {
            return None;
        }
        self.words[TAKEN] = taken + 1;
        Some(taken + 1)
    }

    fn link(&mut self, place: u64) {
        let entry = self.entry(place);
        let next = std::mem::replace(&mut self.words[NEWEST], place);
        self.words[entry + NEWER] = 0;
        self.words[entry + OLDER] = next;
        let back = self.link_of(next, NEWER, OLDEST);
        self.words[back] = place;
    }

    fn unlink(&mut self, place: u64) {
        let entry = self.entry(place);
        let (newer, older) = (self.words[entry + NEWER], self.words[entry + OLDER]);
        let (forth, back) = (
            self.link_of(newer, OLDER, NEWEST),
            self.link_of(older, NEWER, OLDEST),
        );
        self.words[forth] = older;
        self.words[back] = newer;
    }

    /// The word that links from an entry, or from the list's end if there is none.
    fn link_of(&self, place: u64, link: usize, end: usize) -> usize {
        match place {
            0 => end,
            place => self.entry(place) + link,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Words for `entries` entries with values of one word.
    fn words(entries: usize) -> Vec<u64> {
        vec![0; HEAD + entries * (VALUE + 2)]
    }

    #[test]
    fn a_full_table_takes_no_more_until_one_goes() {
        let mut words = words(2);
        let mut table = Table::new(&mut words, 1);
        assert_eq!((table.capacity(), table.oldest()), (2, None));
        let first = table.insert(Key([1, 1])).unwrap();
        table.insert(Key([2, 2])).unwrap();
        assert!(table.is_full());
        assert_eq!(table.insert(Key([3, 3])), None);
        table.value(first)[0] = 7;
        table.remove(first);
        assert_eq!(table.find(Key([1, 1])), None);
        let third = table.insert(Key([3, 3])).unwrap();
        assert_eq!(table.value(third), [0]);
    }

    #[test]
    fn there_may_be_no_room_at_all() {
        let mut none = [0; HEAD];
        assert_eq!(Table::new(&mut none, 1).capacity(), 0);
        let mut words = [0; HEAD + 1];
        let mut table = Table::new(&mut words, 1);
        assert_eq!(table.insert(Key([1, 1])), None);
    }

    proptest! {
        #[test]
        fn it_behaves_as_a_list_by_use(steps in proptest::collection::vec((0u8..4, 0u64..12), 0..200)) {
            let mut words = words(6);
            // Oldest first: key and value.
            let mut model: Vec<(u64, u64)> = Vec::new();
            for (step, number) in steps {
                let mut table = Table::new(&mut words, 1);
                // Keys that share buckets and halves.
                let key = Key([number % 3, number]);
                let known = model.iter().position(|(known, _)| *known == number);
                let found = table.find(key);
                prop_assert_eq!(found.is_some(), known.is_some());
                match (step, found.zip(known)) {
                    (0, None) => match table.insert(key) {
                        Some(place) => {
                            table.value(place)[0] = number + 100;
                            model.push((number, number + 100));
                        }
                        None => prop_assert_eq!(model.len(), 6),
                    },
                    (1, Some((place, at))) => {
                        table.remove(place);
                        model.remove(at);
                    }
                    (_, Some((place, at))) => {
                        table.touch(place);
                        let entry = model.remove(at);
                        model.push(entry);
                        prop_assert_eq!(table.value(place)[0], entry.1);
                    }
                    (_, None) => {}
                }
                let oldest = table.oldest().map(|place| table.value(place)[0]);
                prop_assert_eq!(oldest, model.first().map(|(_, value)| *value));
            }
        }
    }
}
