//! Owns: the wrapper around every secret and every token in memory.
//! It wipes what it held when it is dropped, and shows nothing in `Debug`.
//! Does not: read, parse or compare secrets. It is never `Serialize`, so that no state or status can hold one by accident.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

/// A buffer that grows has this room at least: most answers and secrets fit in.
const SMALLEST: usize = 4096;

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

impl<T: Zeroize> From<Zeroizing<T>> for Secret<T> {
    fn from(value: Zeroizing<T>) -> Self {
        Self(value)
    }
}

/// Makes room for so many bytes more, and leaves no copy in freed memory, as a `Vec` does that grows by itself.
pub fn make_room(bytes: &mut Zeroizing<Vec<u8>>, more: usize) {
    if bytes.capacity() - bytes.len() < more {
        let mut larger = Zeroizing::new(Vec::with_capacity(((bytes.len() + more) * 2).max(SMALLEST)));
        larger.extend_from_slice(bytes);
        *bytes = larger;
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
    fn room_is_made_where_there_is_none() {
        let mut bytes = Zeroizing::new(b"abc".to_vec());
        make_room(&mut bytes, 5);
        let room = bytes.capacity();
        assert!(room >= SMALLEST && &bytes[..] == b"abc");
        make_room(&mut bytes, room - 3);
        assert_eq!(bytes.capacity(), room);
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new(String::from("hunter2"))), "Secret(..)");
    }
}
