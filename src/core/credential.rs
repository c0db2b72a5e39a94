//! Owns: what is common to all credentials that come from a file: the newline at its end. And refresh tokens that took
//! the place of others.
//! Does not: read them from anywhere, or decode secrets (`key` does).

use super::secret::Secret;
use super::settings::Fingerprint;
use super::time::Wall;

/// A refresh token that took the place of the one that was spent (RFC 6749 6).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefreshToken {
    pub token: Secret<String>,
    /// Of the one in the config that it descends from: another one there wins over it.
    pub first: Fingerprint,
    /// Its end, where the issuer told it: then a person has to log in again.
    pub expires_at: Option<Wall>,
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
}
