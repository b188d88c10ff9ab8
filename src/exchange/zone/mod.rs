//! Zones: memory that all workers share, and that outlives reloads.
//!
//! Directives declare them by name while the configuration is read, in any order; the master maps
//! them before it forks workers, taking over those a previous configuration had under the same
//! name and size for the same use. What a zone holds is a [`Table`] of fixed-size entries.

mod table;

use std::any::{Any, TypeId};
use std::cell::{Cell, OnceCell, RefCell};
use std::hash::{DefaultHasher, Hasher};
use std::rc::Rc;

pub use self::table::{Key, Place, Table};
use crate::log::errno::Errno;
use crate::sys::random;
use crate::sys::shm::LockedMap;

/// What a zone is for: the settings that come with its declaration. A name is declared for one
/// use only.
pub trait Purpose: 'static {
    /// How many words the value of an entry has.
    const WORDS: usize;

    /// What must be the same after a reload, with the name of the directive that says so, for
    /// entries to keep their meaning; such as the text of a key with variables.
    fn key(&self) -> Option<(&'static str, &[u8])> {
        None
    }
}

/// A zone as the directives of one configuration know it.
pub struct Zone<P> {
    name: Rc<[u8]>,
    memory: OnceCell<Rc<Memory>>,
    purpose: OnceCell<P>,
}

/// The mapping.
struct Memory {
    words: LockedMap,
    /// Keys are hashed with these, so that nobody can foresee which collide.
    seeds: [u64; 2],
}

impl<P: Purpose> Zone<P> {
    /// Its name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// What it is for; `None` as long as only uses were read.
    pub fn purpose(&self) -> Option<&P> {
        self.purpose.get()
    }

    /// Says what it is for; `false` if that was said before.
    pub fn define(&self, purpose: P) -> bool {
        self.purpose.set(purpose).is_ok()
    }

    /// Does `work` on the table while no other worker can; the answer is `None` where the zone is
    /// not mapped. `work` must be short, and must not use the zone in any other way.
    pub fn with<R>(&self, work: impl FnOnce(&mut Table<'_>) -> R) -> Option<R> {
        let memory = self.memory.get()?;
        let work = |words: &mut [u64]| work(&mut Table::new(words, P::WORDS));
        Some(memory.words.with(work))
    }

    /// The key that stands for `bytes`.
    pub fn key(&self, bytes: &[u8]) -> Key {
        let seeds = self.memory.get().map_or([0; 2], |memory| memory.seeds);
        Key(seeds.map(|seed| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(seed);
            hasher.write(bytes);
            hasher.finish()
        }))
    }
}

/// A zone, whatever it is for.
trait Anyhow {
    fn memory(&self) -> &OnceCell<Rc<Memory>>;
    fn key(&self) -> Option<(&'static str, &[u8])>;
}

impl<P: Purpose> Anyhow for Zone<P> {
    fn memory(&self) -> &OnceCell<Rc<Memory>> {
        &self.memory
    }

    fn key(&self) -> Option<(&'static str, &[u8])> {
        self.purpose.get()?.key()
    }
}

/// The zones of one configuration.
#[derive(Default)]
pub struct Zones {
    all: RefCell<Vec<Declared>>,
}

struct Declared {
    name: Rc<[u8]>,
    /// In bytes; 0 as long as only uses were read.
    size: Cell<usize>,
    purpose: TypeId,
    typed: Rc<dyn Any>,
    zone: Rc<dyn Anyhow>,
}

impl Zones {
    /// The zone `name`; `size` is in bytes, and 0 where it is only used.
    ///
    /// # Errors
    /// The name has another use or another size, in nginx's words.
    pub fn declare<P: Purpose>(&self, name: &[u8], size: usize) -> Result<Rc<Zone<P>>, String> {
        let shown = || String::from_utf8_lossy(name);
        let mut all = self.all.borrow_mut();
        if let Some(known) = all.iter().find(|known| *known.name == *name) {
            let zone = Rc::clone(&known.typed).downcast().map_err(|_| {
                let name = shown();
                format!("the shared memory zone \"{name}\" is already declared for a different use")
            })?;
            let declared = known.size.get();
            if declared == 0 {
                known.size.set(size);
            } else if size != 0 && size != declared {
                let name = shown();
                return Err(format!(
                    "the size {size} of shared memory zone \"{name}\" conflicts with already declared size {declared}"
                ));
            }
            return Ok(zone);
        }
        let zone = Rc::new(Zone::<P> {
            name: name.into(),
            memory: OnceCell::new(),
            purpose: OnceCell::new(),
        });
        all.push(Declared {
            name: Rc::clone(&zone.name),
            size: Cell::new(size),
            purpose: TypeId::of::<P>(),
            typed: Rc::<Zone<P>>::clone(&zone),
            zone: Rc::<Zone<P>>::clone(&zone),
        });
        Ok(zone)
    }

    /// Whether the zone `name` is used although nothing says how large it is.
    pub fn lacks_size(&self, name: &[u8]) -> bool {
        let all = self.all.borrow();
        all.iter()
            .any(|known| *known.name == *name && known.size.get() == 0)
    }

    /// Maps all zones, or takes the mappings of `previous` over.
    ///
    /// # Errors
    /// There is no memory, or what a zone held would be misunderstood; in nginx's words.
    pub fn open(&self, previous: Option<&Zones>) -> Result<(), String> {
        for own in self.all.borrow().iter() {
            let memory = match previous.map_or(Ok(None), |previous| previous.hand_over(own))? {
                Some(memory) => memory,
                None => own.map()?,
            };
            // Nothing is lost if it was open before.
            let _ = own.zone.memory().set(memory);
        }
        Ok(())
    }

    /// The memory for the zone `next` of a new configuration, if there is any to be kept.
    fn hand_over(&self, next: &Declared) -> Result<Option<Rc<Memory>>, String> {
        let all = self.all.borrow();
        let same = all.iter().find(|own| {
            own.name == next.name && own.size == next.size && own.purpose == next.purpose
        });
        let Some(own) = same else { return Ok(None) };
        if let (Some((_, old)), Some((directive, new))) = (own.zone.key(), next.zone.key())
            && old != new
        {
            let text = String::from_utf8_lossy;
            return Err(format!(
                "{directive} \"{}\" uses the \"{}\" key while previously it used the \"{}\" key",
                text(&next.name),
                text(new),
                text(old)
            ));
        }
        Ok(own.zone.memory().get().cloned())
    }
}

impl Declared {
    fn map(&self) -> Result<Rc<Memory>, String> {
        let size = self.size.get();
        let words = LockedMap::new(size).map_err(|error| {
            let error = Errno(&error);
            format!("mmap(MAP_ANON|MAP_SHARED, {size}) failed {error}")
        })?;
        let random: [u8; 16] = random::bytes();
        let (low, high) = random.split_at(8);
        let seeds =
            [low, high].map(|half| half.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
        Ok(Rc::new(Memory { words, seeds }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counter(&'static str);

    impl Purpose for Counter {
        const WORDS: usize = 1;
        fn key(&self) -> Option<(&'static str, &[u8])> {
            Some(("count", self.0.as_bytes()))
        }
    }

    struct Other;

    impl Purpose for Other {
        const WORDS: usize = 0;
    }

    fn zones(size: usize, key: &'static str) -> (Zones, Rc<Zone<Counter>>) {
        let zones = Zones::default();
        let zone = zones.declare::<Counter>(b"one", size).unwrap();
        assert!(zone.define(Counter(key)));
        (zones, zone)
    }

    fn count(zone: &Zone<Counter>, key: &[u8]) -> u64 {
        let key = zone.key(key);
        let counted = zone.with(|table| {
            let place = table.find(key).or_else(|| table.insert(key)).unwrap();
            table.value(place)[0] += 1;
            table.value(place)[0]
        });
        counted.unwrap()
    }

    #[test]
    fn a_name_has_one_use_and_one_size() {
        let zones = Zones::default();
        let used = zones.declare::<Counter>(b"one", 0).unwrap();
        assert!(zones.lacks_size(b"one") && used.purpose().is_none());
        let defined = zones.declare::<Counter>(b"one", 32768).unwrap();
        assert!(Rc::ptr_eq(&used, &defined) && !zones.lacks_size(b"one"));
        let message =
            |result: Result<_, String>| result.map(|_: Rc<Zone<Counter>>| ()).unwrap_err();
        assert_eq!(
            message(zones.declare(b"one", 65536)),
            "the size 65536 of shared memory zone \"one\" conflicts with already declared size 32768"
        );
        assert_eq!(
            zones.declare::<Other>(b"one", 0).map(|_| ()).unwrap_err(),
            "the shared memory zone \"one\" is already declared for a different use"
        );
    }

    #[test]
    fn what_it_holds_outlives_a_reload() {
        let (old, zone) = zones(32768, "$a");
        assert_eq!(zone.with(|_| ()), None);
        old.open(None).unwrap();
        assert_eq!(
            (count(&zone, b"x"), count(&zone, b"x"), count(&zone, b"y")),
            (1, 2, 1)
        );
        let (same, zone) = zones(32768, "$a");
        same.open(Some(&old)).unwrap();
        assert_eq!(count(&zone, b"x"), 3);
        let (larger, zone) = zones(65536, "$b");
        larger.open(Some(&old)).unwrap();
        assert_eq!(count(&zone, b"x"), 1);
    }

    #[test]
    fn another_key_would_give_entries_another_meaning() {
        let (old, _) = zones(32768, "$a");
        old.open(None).unwrap();
        let (new, _) = zones(32768, "$b");
        assert_eq!(
            new.open(Some(&old)),
            Err("count \"one\" uses the \"$b\" key while previously it used the \"$a\" key".into())
        );
    }
}
