//! Owns: the numbers that tokens and files are known by: small and dense, so that finding one compares no names. A name has
//! its number for as long as it is kept here.
//! Does not: know what a token or a file is.

use std::collections::BTreeSet;
use std::marker::PhantomData;

use hashbrown::HashTable;

use crate::core::settings::ByName;

/// A number of one kind.
pub(super) trait SlotId: Copy + Ord {
    fn of(at: u32) -> Self;
    fn at(self) -> usize;
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(u32);

        impl $name {
            /// Stands for none.
            pub const NONE: Self = Self(u32::MAX);
        }

        impl SlotId for $name {
            fn of(at: u32) -> Self {
                Self(at)
            }

            fn at(self) -> usize {
                self.0 as usize
            }
        }
    };
}

number! {
    /// Stands for a token. The number of one that is forgotten goes to another only when nothing speaks of it any more.
    TokenId
}

number! {
    /// Stands for a file, in the same way.
    TargetId
}

#[derive(Clone, PartialEq, Debug)]
struct Slot<N, T> {
    name: N,
    /// `None`: it is forgotten.
    held: Option<Box<T>>,
}

/// Records by number, and the number of each name.
#[derive(Clone, Debug)]
pub(super) struct Slots<I, N, T> {
    /// The numbers by the hash of their names, which stand in `slots`. It is never gone through: its order is chance.
    by_name: HashTable<u32>,
    slots: Vec<Slot<N, T>>,
    /// Forgotten, but their numbers may stand somewhere still.
    retired: BTreeSet<u32>,
    free: Vec<u32>,
    kind: PhantomData<I>,
}

impl<I: SlotId, N: ByName + Ord + Clone, T> Slots<I, N, T> {
    pub(super) fn new() -> Self {
        Self {
            by_name: HashTable::new(),
            slots: Vec::new(),
            retired: BTreeSet::new(),
            free: Vec::new(),
            kind: PhantomData,
        }
    }

    pub(super) fn find(&self, name: &N) -> Option<I> {
        self.known(name).filter(|id| self.get(*id).is_some())
    }

    /// Also of one that is forgotten, as long as its number is not free.
    pub(super) fn known(&self, name: &N) -> Option<I> {
        self.at(name).map(I::of)
    }

    pub(super) fn get(&self, id: I) -> Option<&T> {
        self.slots.get(id.at())?.held.as_deref()
    }

    pub(super) fn get_mut(&mut self, id: I) -> Option<&mut T> {
        self.slots.get_mut(id.at())?.held.as_deref_mut()
    }

    pub(super) fn named(&self, name: &N) -> Option<&T> {
        self.get(self.find(name)?)
    }

    /// Also of one that is forgotten, as long as its number is not free. `NONE` has none: it is not to be asked for.
    pub(super) fn name(&self, id: I) -> &N {
        &self.slots[id.at()].name
    }

    /// The number of a name; one that is new gets this record. One that comes back has its number again, so that what is under
    /// way for it still is.
    pub(super) fn find_or_insert(&mut self, name: &N, record: impl FnOnce() -> T) -> I {
        if let Some(at) = self.at(name) {
            let held = &mut self.slots[at as usize].held;
            if held.is_none() {
                *held = Some(Box::new(record()));
                self.retired.remove(&at);
            }
            return I::of(at);
        }
        let slot = Slot { name: name.clone(), held: Some(Box::new(record())) };
        let at = match self.free.pop() {
            Some(at) => {
                self.slots[at as usize] = slot;
                at
            }
            None => {
                self.slots.push(slot);
                // No machine has room for more.
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        let slots = &self.slots;
        self.by_name.insert_unique(name.hashed(), at, |at| slots[*at as usize].name.hashed());
        I::of(at)
    }

    pub(super) fn remove(&mut self, id: I) -> Option<Box<T>> {
        let record = self.slots.get_mut(id.at())?.held.take()?;
        self.retired.extend(u32::try_from(id.at()));
        Some(record)
    }

    /// Gives the numbers of what is forgotten free, but for those that are spoken of still.
    pub(super) fn release(&mut self, spoken_of: impl FnOnce() -> BTreeSet<I>) {
        if !self.retired.is_empty() {
            let spoken_of = spoken_of();
            for at in self.retired.extract_if(.., |at| !spoken_of.contains(&I::of(*at))) {
                let hash = self.slots[at as usize].name.hashed();
                if let Ok(entry) = self.by_name.find_entry(hash, |other| *other == at) {
                    entry.remove();
                }
                self.free.push(at);
            }
        }
    }

    /// In order of their names.
    pub(super) fn by_name(&self) -> Vec<I> {
        let mut all: Vec<I> = self.iter().map(|(id, _)| id).collect();
        all.sort_unstable_by_key(|id| self.name(*id));
        all
    }

    fn at(&self, name: &N) -> Option<u32> {
        self.by_name.find(name.hashed(), |at| self.slots[*at as usize].name == *name).copied()
    }

    /// In order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (I, &T)> + Clone {
        (0..).zip(&self.slots).filter_map(|(at, slot)| Some((I::of(at), slot.held.as_deref()?)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (I, &mut T)> {
        let slots = (0..).zip(&mut self.slots);
        slots.filter_map(|(at, slot)| Some((I::of(at), slot.held.as_deref_mut()?)))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(|slot| slot.held.as_deref())
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().filter_map(|slot| slot.held.as_deref_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::settings::TokenName;

    fn name(text: &str) -> TokenName {
        TokenName::new(text).unwrap()
    }

    #[test]
    fn a_name_that_comes_back_has_its_number_and_another_gets_it_only_when_nothing_speaks_of_it() {
        let mut slots: Slots<TokenId, TokenName, u8> = Slots::new();
        let (a, b) = (slots.find_or_insert(&name("a"), || 1), slots.find_or_insert(&name("b"), || 2));
        assert_eq!((slots.find(&name("a")), slots.find(&name("b")), slots.find(&name("c"))), (Some(a), Some(b), None));
        assert_eq!(slots.find_or_insert(&name("a"), || 9), a);
        assert_eq!(slots.remove(a).as_deref(), Some(&1));
        assert_eq!((slots.find(&name("a")), slots.known(&name("a")), slots.get(a)), (None, Some(a), None));
        assert_eq!((slots.find_or_insert(&name("a"), || 3), slots.get(a)), (a, Some(&3)));
        slots.remove(a);
        slots.release(|| BTreeSet::from([a]));
        assert_ne!(slots.find_or_insert(&name("c"), || 4), a, "it is spoken of");
        slots.release(BTreeSet::new);
        assert_eq!(slots.known(&name("a")), None);
        assert_eq!(slots.find_or_insert(&name("d"), || 5), a);
        let named: Vec<&TokenName> = slots.by_name().into_iter().map(|id| slots.name(id)).collect();
        assert_eq!(named, [&name("b"), &name("c"), &name("d")]);
        assert_eq!(slots.get(TokenId::NONE), None);
    }
}
