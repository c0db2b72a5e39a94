//! Owns: HMAC secrets: their encodings, their least length, and telling them from keys that others may know.
//! Does not: sign.

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use zeroize::Zeroizing;

use super::super::secret::Secret;
use super::error::KeyError;
use super::{Algorithm, jwk, oid};

/// `secret.encoding`: how the bytes of a secret are written down.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum SecretEncoding {
    /// The text's own bytes.
    #[default]
    Utf8,
    Base64,
    Base64Url,
    Hex,
}

impl SecretEncoding {
    pub const ALL: [SecretEncoding; 4] = [Self::Utf8, Self::Base64, Self::Base64Url, Self::Hex];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf8",
            Self::Base64 => "base64",
            Self::Base64Url => "base64url",
            Self::Hex => "hex",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|e| e.name() == name)
    }
}

/// The bytes of a secret that is written down as `text`. The caller drops a file's last newline before.
///
/// `utf8` takes every byte as it is. In the others white space (`openssl rand -base64` breaks its lines) and padding may
/// be there or not; anything else that is not of the alphabet, and bits that say nothing, are errors (RFC 4648 3.3, 3.5).
pub fn decode_secret(text: &[u8], encoding: SecretEncoding) -> Result<Secret<Vec<u8>>, KeyError> {
    let not = |hint| KeyError::NotEncoded { encoding: encoding.name(), hint };
    if encoding == SecretEncoding::Utf8 {
        return Ok(Secret::new(text.to_vec()));
    }
    let mut digits = Zeroizing::new(Vec::with_capacity(text.len()));
    digits.extend(text.iter().filter(|b| !b.is_ascii_whitespace()));
    if encoding != SecretEncoding::Hex {
        unpad(&mut digits).ok_or(not("its padding (=) is wrong"))?;
    }
    let bytes = match encoding {
        SecretEncoding::Hex => HEXLOWER_PERMISSIVE.decode(&digits),
        SecretEncoding::Base64Url => BASE64URL_NOPAD.decode(&digits),
        _ => BASE64_NOPAD.decode(&digits),
    };
    bytes.map(Secret::new).map_err(|_| {
        let has = |set: &[u8]| digits.iter().any(|b| set.contains(b));
        match encoding {
            SecretEncoding::Base64 if has(b"-_") => not("it may be base64url"),
            SecretEncoding::Base64Url if has(b"+/") => not("it may be base64"),
            SecretEncoding::Hex => not("hex is an even number of the digits 0-9 and a-f"),
            _ => not("it was cut, or is plain text (utf8)"),
        }
    })
}

fn unpad(digits: &mut Vec<u8>) -> Option<()> {
    let padding = digits.iter().rev().take_while(|b| **b == b'=').count();
    if padding > 0 && (padding > 2 || !digits.len().is_multiple_of(4)) {
        return None;
    }
    digits.truncate(digits.len() - padding);
    Some(())
}

/// Refuses what is no secret, and one shorter than the hash unless that is allowed.
pub(super) fn check(secret: &[u8], algorithm: Algorithm, allow_weak: bool) -> Result<(), KeyError> {
    if secret.is_empty() {
        return Err(KeyError::Empty);
    }
    if is_key_text(secret) {
        return Err(KeyError::KeyForSecret);
    }
    match algorithm.min_secret_bytes() {
        Some(min) if secret.len() < min && !allow_weak => {
            Err(KeyError::WeakSecret { algorithm, bytes: secret.len(), min })
        }
        _ => Ok(()),
    }
}

/// A PEM, JWK, SSH or DER key, or a certificate: as an HMAC secret it would let everybody sign who has the public key
/// (RFC 8725 2.1).
pub(super) fn is_key_text(secret: &[u8]) -> bool {
    let text = secret.trim_ascii();
    let ssh = [&b"ssh-rsa "[..], b"ssh-ed25519 ", b"ecdsa-sha2-"];
    if text.windows(11).any(|w| w == b"-----BEGIN ") || ssh.iter().any(|s| text.starts_with(s)) {
        return true;
    }
    if jwk::looks_like(text) && jwk::is_jwk_or_set(text) {
        return true;
    }
    oid::looks_public(secret)
        || decode_secret(text, SecretEncoding::Base64).is_ok_and(|der| oid::looks_public(der.expose()))
}
