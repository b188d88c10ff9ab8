//! Variables: what a name like `$uri` stands for, resolved once when the configuration is read.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use super::Exchange;
use crate::log::level::Level;

/// One built-in variable, a row in its module's table.
pub struct Variable {
    /// Its name without `$`; a [`Get::Prefix`] name ends in `_`.
    pub name: &'static str,
    /// One sentence for the reference.
    pub doc: &'static str,
    /// How its value is found.
    pub get: Get,
}

/// Appends a variable's value to a buffer; `None` means it has no value.
pub type Getter = fn(&Exchange, &mut Vec<u8>) -> Option<()>;

/// As [`Getter`], given what follows the family's prefix, in lower case.
pub type FamilyGetter = fn(&Exchange, &[u8], &mut Vec<u8>) -> Option<()>;

/// Does what giving a variable another value means.
pub type Setter = fn(&mut Exchange, &[u8]);

/// How a built-in variable's value is found.
#[derive(Clone, Copy)]
pub enum Get {
    /// One variable.
    Plain(Getter),
    /// One variable that `set` may change.
    Changeable(Getter, Setter),
    /// A family such as `$http_…`.
    Prefix(FamilyGetter),
    /// One computed by the settings in force ([`Location::values`](super::Location::values)), once
    /// a request.
    Local,
}

impl Variable {
    /// A row for one variable.
    pub const fn plain(name: &'static str, doc: &'static str, get: Getter) -> Variable {
        let get = Get::Plain(get);
        Variable { name, doc, get }
    }

    /// A row for a variable that a location's settings compute.
    pub const fn local(name: &'static str, doc: &'static str) -> Variable {
        let get = Get::Local;
        Variable { name, doc, get }
    }

    /// A row for a family of variables; `name` ends in `_`.
    pub const fn family(name: &'static str, doc: &'static str, get: FamilyGetter) -> Variable {
        let get = Get::Prefix(get);
        Variable { name, doc, get }
    }
}

/// The value that the location in force has under a name.
struct Local(&'static str);

impl Evaluate for Local {
    fn evaluate(&self, exchange: &Exchange, out: &mut Vec<u8>) -> Option<()> {
        let location = Rc::clone(&exchange.location);
        let mut values = location.values.iter();
        let (_, value) = values.find(|(name, _)| *name == self.0)?;
        value.evaluate(exchange, out)
    }
}

/// A value computed from others, such as that of `map`.
pub trait Evaluate {
    /// Appends the value; `None` means there is none.
    fn evaluate(&self, exchange: &Exchange, out: &mut Vec<u8>) -> Option<()>;
}

enum Source {
    Plain(Getter),
    Prefix(FamilyGetter, Box<[u8]>),
    /// Written during the request: `set`, named captures.
    Slot {
        slot: usize,
        /// The family its name belongs to, which gives the value until one is written.
        family: Option<(FamilyGetter, Box<[u8]>)>,
        warn: Cell<bool>,
    },
    /// Computed on first use in a request and kept in the slot, unless volatile. As long as the
    /// configuration is read, a later definition takes the place of this one.
    Computed {
        value: RefCell<Rc<dyn Evaluate>>,
        slot: usize,
        volatile: Cell<bool>,
    },
}

/// A variable as a template refers to it.
pub struct VariableRef {
    name: Box<str>,
    source: OnceCell<Source>,
}

impl VariableRef {
    /// The name without `$`, in lower case.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The slot a handler writes to; what is written there takes the place of a computed value.
    pub fn slot(&self) -> Option<usize> {
        match self.source.get() {
            Some(Source::Slot { slot, .. } | Source::Computed { slot, .. }) => Some(*slot),
            _ => None,
        }
    }

    /// Says once a request that the value is wanted before it was set; it is empty then.
    fn warn_unset(&self, exchange: &Exchange, slot: usize) {
        if exchange.location.core.uninitialized_variable_warn {
            let message = format_args!("using uninitialized \"{}\" variable", self.name);
            exchange.log(Level::Warn, message);
            exchange.set_slot(slot, Some(Rc::from(&b""[..])));
        }
    }

    /// Appends the variable's value; `None` means it has none (and nothing was appended).
    #[inline]
    pub fn append(&self, exchange: &Exchange, out: &mut Vec<u8>) -> Option<()> {
        match self.source.get()? {
            Source::Plain(get) => get(exchange, out),
            other => self.append_from(other, exchange, out),
        }
    }

    fn append_from(&self, source: &Source, exchange: &Exchange, out: &mut Vec<u8>) -> Option<()> {
        match source {
            Source::Plain(get) => get(exchange, out),
            Source::Prefix(get, rest) => get(exchange, rest, out),
            Source::Slot { slot, family, warn } => {
                written(exchange, *slot, out).or_else(|| match family {
                    Some((get, rest)) => get(exchange, rest, out),
                    None => warn.get().then(|| self.warn_unset(exchange, *slot)),
                })
            }
            Source::Computed {
                value,
                slot,
                volatile,
            } => written(exchange, *slot, out).or_else(|| {
                let kept = (!volatile.get()).then_some(*slot);
                self.computed(exchange, &**value.borrow(), kept, out)
            }),
        }
    }

    /// The value of a computed variable, kept in `slot` if there is one. A variable that needs
    /// itself has none: nginx's limit on how deep variables may lie in one another finds it out.
    fn computed(
        &self,
        exchange: &Exchange,
        value: &dyn Evaluate,
        slot: Option<usize>,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let start = out.len();
        let found = exchange.nested(|| value.evaluate(exchange, out));
        let found = found.unwrap_or_else(|| {
            let message = format_args!("cycle while evaluating variable \"{}\"", self.name);
            exchange.log(Level::Error, message);
            None
        });
        found?;
        if let Some(slot) = slot {
            exchange.set_slot(slot, Some(Rc::from(&out[start..])));
        }
        Some(())
    }
}

/// The value written to a slot.
fn written(exchange: &Exchange, slot: usize, out: &mut Vec<u8>) -> Option<()> {
    exchange.with_slot(slot, |value| out.extend_from_slice(value))
}

/// All variables of one configuration while it is read: built-in rows, and names the
/// configuration defines. A name may be used before it is defined, as in nginx; what is
/// still unknown at the end is reported by [`Names::resolve`].
#[derive(Default)]
pub struct Names {
    /// Searched one by one: a name is looked for once a configuration, as a rule.
    plain: Vec<(&'static str, Get)>,
    prefixes: Vec<(&'static str, FamilyGetter)>,
    known: HashMap<Box<str>, Rc<VariableRef>>,
    slots: usize,
}

impl Names {
    /// The names of the given rows.
    pub fn new<'a>(rows: impl IntoIterator<Item = &'a Variable>) -> Names {
        let mut names = Names::default();
        for row in rows {
            match row.get {
                Get::Plain(_) | Get::Changeable(..) | Get::Local => {
                    names.plain.push((row.name, row.get));
                }
                Get::Prefix(get) => names.prefixes.push((row.name, get)),
            }
        }
        names
    }

    /// The row of that name, unless it is a family's.
    fn row(&self, name: &str) -> Option<(&'static str, Get)> {
        self.plain.iter().find(|(row, _)| *row == name).copied()
    }

    /// The reference for `name`, which need not be defined yet.
    pub fn reference(&mut self, name: &str) -> Rc<VariableRef> {
        let name = name.to_ascii_lowercase().into_boxed_str();
        if let Some(known) = self.known.get(&name) {
            return Rc::clone(known);
        }
        let source = OnceCell::new();
        if let Some((row, Get::Local)) = self.row(&name) {
            let slot = self.slots;
            self.slots += 1;
            let _ = source.set(Source::Computed {
                value: RefCell::new(Rc::new(Local(row))),
                slot,
                volatile: Cell::new(false),
            });
        }
        let reference = Rc::new(VariableRef {
            name: name.clone(),
            source,
        });
        self.known.insert(name, Rc::clone(&reference));
        reference
    }

    /// A variable written during the request; an earlier one of the same name is shared. It may
    /// share a name with a family. `None` if the name is a built-in variable's. With `warn` it is
    /// one of `set`, of which nginx warns when it is read before it is set.
    pub fn slot(&mut self, name: &str, warn: bool) -> Option<usize> {
        if self.is_builtin(name) {
            return None;
        }
        let reference = self.reference(name);
        let source = reference.source.get_or_init(|| {
            let slot = self.slots;
            self.slots += 1;
            Source::Slot {
                slot,
                family: self.family(reference.name()),
                warn: Cell::new(true),
            }
        });
        if let Source::Slot { warn: set, .. } = source {
            set.set(set.get() && warn);
        }
        reference.slot()
    }

    /// Defines `name` as computed by `value`, whatever computed it before; `false` if it already
    /// means something else.
    pub fn define(&mut self, name: &str, value: Rc<dyn Evaluate>, volatile: bool) -> bool {
        if self.is_builtin(name) {
            return false;
        }
        let reference = self.reference(name);
        if let Some(Source::Computed {
            value: earlier,
            volatile: kept,
            ..
        }) = reference.source.get()
        {
            earlier.replace(value);
            kept.set(volatile);
            return true;
        }
        let slot = self.slots;
        self.slots += 1;
        let source = Source::Computed {
            value: RefCell::new(value),
            slot,
            volatile: Cell::new(volatile),
        };
        reference.source.set(source).is_ok()
    }

    /// What `set` does to the built-in variable `name`, if it may change it.
    pub fn setter(&self, name: &str) -> Option<Setter> {
        match self.row(&name.to_ascii_lowercase()) {
            Some((_, Get::Changeable(_, set))) => Some(set),
            _ => None,
        }
    }

    /// Whether `name` is a row's whose value no slot can hold.
    fn is_builtin(&self, name: &str) -> bool {
        let row = self.row(&name.to_ascii_lowercase());
        row.is_some_and(|(_, get)| !matches!(get, Get::Local))
    }

    /// Binds every reference to its meaning and returns the names that have none.
    pub fn resolve(&self) -> Vec<Rc<VariableRef>> {
        let unbound = self.known.values().filter(|r| r.source.get().is_none());
        unbound.filter(|r| !self.bind(r)).cloned().collect()
    }

    /// Appends the value of `name` (in lower case), which a request brings; `None` means it has
    /// none, or there is no such variable.
    pub fn append(&self, name: &str, exchange: &Exchange, out: &mut Vec<u8>) -> Option<()> {
        if let Some(known) = self.known.get(name) {
            return known.append(exchange, out);
        }
        match self.row(name) {
            Some((_, Get::Plain(get) | Get::Changeable(get, _))) => get(exchange, out),
            Some((row, Get::Local)) => Local(row).evaluate(exchange, out),
            _ => {
                let (get, rest) = self.family(name)?;
                get(exchange, &rest, out)
            }
        }
    }

    /// How many slots a request of this configuration needs.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Every name that means something, for suggestions.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        let defined = self
            .known
            .values()
            .filter(|r| r.source.get().is_some())
            .map(|r| r.name());
        self.plain.iter().map(|(name, _)| *name).chain(defined)
    }

    /// The family `name` belongs to, and what tells it from the others there.
    fn family(&self, name: &str) -> Option<(FamilyGetter, Box<[u8]>)> {
        self.prefixes.iter().find_map(|(prefix, get)| {
            let rest = name.strip_prefix(prefix)?;
            Some((*get, rest.as_bytes().into()))
        })
    }

    fn bind(&self, reference: &VariableRef) -> bool {
        let name = reference.name();
        let source = match self.row(name) {
            Some((_, Get::Plain(get) | Get::Changeable(get, _))) => Some(Source::Plain(get)),
            _ => self
                .family(name)
                .map(|(get, rest)| Source::Prefix(get, rest)),
        };
        source.is_some_and(|source| reference.source.set(source).is_ok())
    }
}
