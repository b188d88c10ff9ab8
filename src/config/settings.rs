//! The settings of all modules in one block, each behind its own type.
//!
//! A block shares every value with its parent until one of its directives changes it: ten
//! thousand sites that set nothing of a module hold its settings once.

use std::any::Any;
use std::rc::Rc;

use crate::exchange::Location;

use super::table::{AnyModule, Contexts, Module};

/// One value a module, in the order of the module list.
#[derive(Clone, Default)]
pub struct SettingsSet {
    slots: Vec<Rc<dyn Any>>,
}

impl SettingsSet {
    /// What the outermost block starts with: every module's default.
    pub(super) fn start(modules: &[AnyModule]) -> Self {
        Self {
            slots: modules.iter().map(|module| module.start()).collect(),
        }
    }

    /// What a block inside this one starts with.
    pub(super) fn inherit(&self, modules: &[AnyModule], child: Contexts) -> Self {
        let inherited = modules.iter().zip(&self.slots);
        Self {
            slots: inherited
                .map(|(module, slot)| module.inherit(slot, child))
                .collect(),
        }
    }

    /// The settings of module `M`; the defaults when `M` is not in the list.
    pub fn of<M: Module>(&self) -> Rc<M::Settings> {
        self.slots
            .iter()
            .find_map(|slot| Rc::clone(slot).downcast().ok())
            .unwrap_or_default()
    }

    /// Whether module `M` has the very same settings, in memory, here and there.
    pub fn shares<M: Module>(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.of::<M>(), &other.of::<M>())
    }

    /// Lets every module put what it has to say here into `location`.
    pub fn install(&self, modules: &[AnyModule], location: &mut Location) {
        for (module, slot) in modules.iter().zip(&self.slots) {
            module.install(slot, location);
        }
    }

    pub(super) fn slot(&mut self, module: usize) -> Option<&mut Rc<dyn Any>> {
        self.slots.get_mut(module)
    }

    /// Takes a module's value out and leaves `value`, so that the rest can be read meanwhile.
    pub(super) fn swap(&mut self, module: usize, value: Rc<dyn Any>) -> Option<Rc<dyn Any>> {
        let slot = self.slots.get_mut(module)?;
        Some(std::mem::replace(slot, value))
    }
}

/// The value of a slot as what it is; a slot of another type reads as the default.
pub(super) fn typed<S: Default + 'static>(slot: Rc<dyn Any>) -> Rc<S> {
    slot.downcast().unwrap_or_default()
}

/// Changes the value of a slot, copying it first if others share it.
pub(super) fn edit<S, R>(slot: &mut Rc<dyn Any>, change: impl FnOnce(&mut S) -> R) -> R
where
    S: Clone + Default + 'static,
{
    if Rc::get_mut(slot).is_none() {
        let copy: S = slot.downcast_ref().cloned().unwrap_or_default();
        *slot = Rc::new(copy);
    }
    match Rc::get_mut(slot).and_then(|own| own.downcast_mut()) {
        Some(settings) => change(settings),
        None => change(&mut S::default()),
    }
}
