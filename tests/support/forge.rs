//! Owns: tokens as nobody should make them, signed by hand: any header and any claims, which need not even be JSON, any HMAC key.
//! Does not: make good ones where renewd can.

use std::fmt::Display;

use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;

/// HEADER.CLAIMS.HMAC-SHA-256.
pub fn hs256(header: impl Display, claims: impl Display, key: &[u8]) -> String {
    let signed = unsigned(header, claims);
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let signature = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
}

/// HEADER.CLAIMS, without a signature.
pub fn unsigned(header: impl Display, claims: impl Display) -> String {
    let part = |value: String| BASE64URL_NOPAD.encode(value.as_bytes());
    format!("{}.{}", part(header.to_string()), part(claims.to_string()))
}
