//! Owns: application/x-www-form-urlencoded bodies and percent-encoding, without a copy of a secret left behind.
//! Does not: know what is sent.

use std::fmt::Write;

use data_encoding::BASE64;
use zeroize::Zeroizing;

use crate::core::secret::{Secret, make_room};

/// A form in the making.
#[derive(Default)]
pub(super) struct Form(Zeroizing<Vec<u8>>);

impl Form {
    pub(super) fn add(&mut self, name: &str, value: &str) {
        let between = if self.0.is_empty() { "" } else { "&" };
        for part in [between, encoded(name).as_str(), "=", encoded(value).as_str()] {
            make_room(&mut self.0, part.len());
            self.0.extend_from_slice(part.as_bytes());
        }
    }

    pub(super) fn body(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

/// One value as it stands in a form.
pub(super) fn encoded(value: &str) -> Zeroizing<String> {
    escaped(value, ValuePlace::Form)
}

/// One value as it stands in a path or a query: all but the unreserved characters is escaped, `~` is one of them (RFC 3986
/// 2.1, 2.3).
pub(super) fn percent(value: &str) -> Zeroizing<String> {
    escaped(value, ValuePlace::Url)
}

/// What stands behind `Basic` (RFC 7617 2).
pub(super) fn basic_pair(user: &str, password: &str) -> Secret<String> {
    let pair = Zeroizing::new([user, ":", password].concat());
    Secret::new(BASE64.encode(pair.as_bytes()))
}

/// Where a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ValuePlace {
    /// A body: a space is `+`, and `~` is escaped (URL standard, application/x-www-form-urlencoded).
    Form,
    Url,
}

fn escaped(value: &str, place: ValuePlace) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(value.len() * 3));
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' => text.push(char::from(byte)),
            b'~' if place == ValuePlace::Url => text.push('~'),
            b' ' if place == ValuePlace::Form => text.push('+'),
            // Writing to a string cannot fail.
            _ => drop(write!(text, "%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_as_the_url_standard_has_them() {
        let mut form = Form::default();
        form.add("grant_type", "a b");
        form.add("ü", "&=+%~*");
        assert_eq!(&form.body()[..], b"grant_type=a+b&%C3%BC=%26%3D%2B%25%7E%2A");
        assert_eq!(encoded("a:b c").as_str(), "a%3Ab+c");
        assert_eq!(percent("a/b c?").as_str(), "a%2Fb%20c%3F");
        assert_eq!(percent("-._~!*'()").as_str(), "-._~%21%2A%27%28%29");
    }
}
