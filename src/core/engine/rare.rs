//! Owns: the room of what hardly ever is: a pointer, until something of it is set.
//! Does not: know what that is.

use std::ops::{Deref, DerefMut};

/// Something whose values are all as they are by default, most of the time. To write to it takes memory, which
/// [`tidy`](Self::tidy) gives back.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Rare<T: Unset>(Option<Box<T>>);

/// What can be all unset.
pub(super) trait Unset: Default + PartialEq + 'static {
    const UNSET: &'static Self;
}

impl<T: Unset> Rare<T> {
    pub(super) const fn unset() -> Self {
        Self(None)
    }

    pub(super) fn set(value: T) -> Self {
        Self(Some(Box::new(value)))
    }

    /// What may be set, if any of it is.
    pub(super) fn any(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }

    /// Gives the room back where nothing is set any more.
    pub(super) fn tidy(&mut self) {
        self.0.take_if(|value| **value == *T::UNSET);
    }
}

impl<T: Unset> Deref for Rare<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::UNSET)
    }
}

impl<T: Unset> DerefMut for Rare<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}
