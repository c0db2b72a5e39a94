//! Owns: how the bytes of a secret are written down, and how they become bytes again.
//! Does not: read them from anywhere, or judge whether they are long enough.

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use zeroize::Zeroizing;

pub use super::key::SecretEncoding as Encoding;
use super::secret::Secret;
use super::settings::Fingerprint;
use super::time::Wall;

/// The bytes are not what the encoding says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not valid {}", .0.name())]
pub struct DecodeError(pub Encoding);

/// A refresh token that took the place of the one that was spent (RFC 6749 6).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefreshToken {
    pub token: Secret<String>,
    /// Of the one in the config that it descends from: another one there wins over it.
    pub first: Fingerprint,
    /// Its end, where the issuer told it: then a person has to log in again.
    pub expires_at: Option<Wall>,
}

impl Encoding {
    /// The bytes that `text` stands for. UTF-8 is taken as it is.
    pub fn decode(self, text: &[u8]) -> Result<Zeroizing<Vec<u8>>, DecodeError> {
        let decoded = match self {
            Self::Utf8 => std::str::from_utf8(text).ok().map(|_| text.to_vec()),
            Self::Base64 => BASE64.decode(text).or_else(|_| BASE64_NOPAD.decode(text)).ok(),
            Self::Base64Url => BASE64URL.decode(text).or_else(|_| BASE64URL_NOPAD.decode(text)).ok(),
            Self::Hex => HEXLOWER_PERMISSIVE.decode(text).ok(),
        };
        decoded.map(Zeroizing::new).ok_or(DecodeError(self))
    }
}

/// Without one trailing newline (`\n` or `\r\n`), as editors and `echo` leave it in a file.
pub fn without_newline(bytes: &[u8]) -> &[u8] {
    let cut = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    match cut.len() < bytes.len() {
        true => cut.strip_suffix(b"\r").unwrap_or(cut),
        false => cut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_newline_is_dropped_and_no_more() {
        assert_eq!(without_newline(b"a\n\n"), b"a\n");
        assert_eq!(without_newline(b"a\r\n"), b"a");
        assert_eq!(without_newline(b"a\r"), b"a\r");
        assert_eq!(without_newline(b""), b"");
    }

    #[test]
    fn encodings_are_strict() {
        let bytes = |encoding: Encoding, text: &str| encoding.decode(text.as_bytes()).ok().map(|b| b.to_vec());
        assert_eq!(bytes(Encoding::Base64, "+/8="), Some(vec![0xfb, 0xff]));
        assert_eq!(bytes(Encoding::Base64, "+/8"), Some(vec![0xfb, 0xff]));
        assert_eq!(bytes(Encoding::Base64, "-_8="), None);
        assert_eq!(bytes(Encoding::Base64Url, "-_8"), Some(vec![0xfb, 0xff]));
        assert_eq!(bytes(Encoding::Hex, "fBff"), Some(vec![0xfb, 0xff]));
        assert_eq!(bytes(Encoding::Hex, "fbf"), None);
        assert_eq!(Encoding::Utf8.decode(&[0xff]), Err(DecodeError(Encoding::Utf8)));
    }
}
