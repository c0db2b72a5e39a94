//! Owns: HMAC secrets: how they are written down, and what is none. Of all credentials, the newline at the end of a file.
//! Does not: sign, or know the kinds of keys that are no secrets (`material` does).

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};

use super::super::secret::Secret;
use super::super::words::words;
use super::error::KeyError;
use super::material;

words! {
    /// `secret.encoding`: how the bytes of a secret are written down.
    #[derive(Hash, Default)]
    pub(crate) enum SecretEncoding {
        /// The text's own bytes.
        #[default]
        Utf8 = "utf8",
        Base64 = "base64",
        Base64Url = "base64url",
        Hex = "hex",
    }
}

/// Without one trailing newline (`\n` or `\r\n`), as editors and `echo` leave it in a file.
pub(crate) fn without_newline(bytes: &[u8]) -> &[u8] {
    let cut = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    match cut.len() < bytes.len() {
        true => cut.strip_suffix(b"\r").unwrap_or(cut),
        false => cut,
    }
}

/// The bytes of a secret that is written down as `text`: the one rule, wherever a secret comes from. What it comes from
/// has its last newline dropped before, where that belongs to no secret (`without_newline`).
///
/// `utf8` takes every byte as it is, but for NUL. In the others white space (`openssl rand -base64` breaks its lines) and
/// padding may be there or not; anything else that is not of the alphabet, and bits that say nothing, are errors
/// (RFC 4648 3.3, 3.5).
///
/// # Errors
/// It is empty, key material of another kind (RFC 8725 2.1, 3.5), or not what `encoding` says.
pub(crate) fn decode_secret(text: &[u8], encoding: SecretEncoding) -> Result<Secret<Vec<u8>>, KeyError> {
    if text.is_empty() {
        return Err(KeyError::Empty);
    }
    refuse_key(text)?;
    if encoding == SecretEncoding::Utf8 {
        // A NUL shows a binary file, or text in UTF-16; many programs would cut such a secret off there.
        return if text.contains(&0) { Err(KeyError::NulInSecret) } else { Ok(Secret::new(text.to_vec())) };
    }
    let bytes = decode(text, encoding)?;
    if bytes.expose().is_empty() {
        return Err(KeyError::Empty);
    }
    refuse_key(bytes.expose())?;
    Ok(bytes)
}

fn decode(text: &[u8], encoding: SecretEncoding) -> Result<Secret<Vec<u8>>, KeyError> {
    let not = |hint| KeyError::NotEncoded { encoding: encoding.word(), hint };
    let mut digits = material::digits(text);
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

/// A secret that others may know part of is none, however long it is.
fn refuse_key(bytes: &[u8]) -> Result<(), KeyError> {
    match material::kind_of(bytes) {
        None => Ok(()),
        Some(material::OCT) => Err(KeyError::JwkSymmetric),
        Some(what) => Err(KeyError::KeyForSecret { what }),
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
