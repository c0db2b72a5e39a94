//! Owns: a table of things that bear their names in themselves: it has room for twice what it holds, so that is a number each.
//! Does not: know what they are.

use hashbrown::HashTable;

use crate::core::settings::ByName;

/// Something with a name.
pub(super) trait HasName {
    type Name: ByName;

    fn name(&self) -> &Self::Name;
}

/// Found by name, in no order.
pub(super) struct NameTable<T>(HashTable<Box<T>>);

impl<T> Default for NameTable<T> {
    fn default() -> Self {
        Self(HashTable::new())
    }
}

impl<T: HasName> NameTable<T> {
    pub(super) fn get(&self, name: &T::Name) -> Option<&T> {
        self.0.find(name.hashed(), |one| one.name() == name).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, name: &T::Name) -> Option<&mut T> {
        self.0.find_mut(name.hashed(), |one| one.name() == name).map(Box::as_mut)
    }

    /// The one of this name; where there is none, what `new` makes.
    pub(super) fn get_or_insert(&mut self, name: &T::Name, new: impl FnOnce() -> T) -> &mut T {
        let entry = self.0.entry(name.hashed(), |one| one.name() == name, |one| one.name().hashed());
        entry.or_insert_with(|| Box::new(new())).into_mut()
    }

    /// In place of the one of its name.
    pub(super) fn insert(&mut self, one: T) {
        self.remove(one.name());
        self.0.insert_unique(one.name().hashed(), Box::new(one), |one| one.name().hashed());
    }

    pub(super) fn remove(&mut self, name: &T::Name) {
        if let Ok(entry) = self.0.find_entry(name.hashed(), |one| one.name() == name) {
            entry.remove();
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(Box::as_ref)
    }
}
