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

#[cfg(test)]
mod tests {
    use super::super::record::{TokenRarities, TokenRecord};
    use super::super::target_record::TargetRecord;
    use super::*;

    #[test]
    fn what_is_unset_again_takes_no_room() {
        let mut rare: Rare<TokenRarities> = Rare::unset();
        assert!(rare.lack.is_none() && rare.any().is_none());
        rare.lack = Some("no secret".into());
        rare.tidy();
        assert!(rare.lack.is_some());
        rare.lack = None;
        rare.tidy();
        assert!(rare.any().is_none());
    }

    /// There is one of each a token: see docs/performance.md before these grow.
    #[test]
    fn a_token_at_rest_and_its_file_are_small() {
        assert!(size_of::<TokenRecord>() <= 296, "{}", size_of::<TokenRecord>());
        assert!(size_of::<TargetRecord>() <= 136, "{}", size_of::<TargetRecord>());
    }
}
