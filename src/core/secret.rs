//! Owns: the wrapper around every secret and every token in memory.
//! It wipes what it held when it is dropped, and shows nothing in `Debug`.
//! Does not: read, parse or compare secrets. It is never `Serialize`, so that no state or status can hold one by accident.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

/// A value that must not be shown: wiped on drop, redacted in `Debug`, without `Display` or `Serialize`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Secret<T> {
    /// Takes a value into custody.
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself. Each call is a place where it can leak: keep it short-lived and out of messages.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new(String::from("hunter2"))), "Secret(..)");
    }
}
