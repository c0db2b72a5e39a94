//! Owns: keys and secrets, whether the config, the command line or a set of JWKs has them: how a secret is written down, what
//! is none, how long it has to be, which algorithm a key goes with, PEM, and who may read or write a secret's file.
//! Does not: read files, choose keys, or take tokens apart (`jose` does).
//!
//! jsonwebtoken signs with secrets and verifies everything. The rest is done with aws-lc-rs, which it is built on, because
//! - it parses a private key again for each signature (692 us of RS256 against 203 with a key that is kept), and its
//!   `EncodingKey` takes neither SEC1 ("EC PRIVATE KEY") nor a JWK, and does not tell what kind of key it holds;
//! - its `DecodingKey` takes a key of any size, and a JWK whatever its `use`, `key_ops` and `alg` say (RFC 7517 4);
//! - its `Header` has members of fixed types in a fixed order, and fails on an `alg` or a `kid` that it does not know, so
//!   that a config's header, a token that is renewed to the byte, and one that is only shown do not go through it: `jose`
//!   takes tokens apart and puts them together.
//!
//! PSS and ECDSA need random bytes for each signature (RFC 8017 8.1, FIPS 186-5 6.3). aws-lc draws them by itself and takes
//! none from outside: they are the one thing in core that is not given to it, and nothing is decided by them.

mod access;
mod algorithm;
mod error;
mod jwk;
mod material;
mod oid;
mod pem;
mod shared_secret;
mod signing;
mod verifying;

use super::json;

pub(crate) use access::Exposure;
pub use algorithm::Algorithm;
pub(crate) use algorithm::KeyKind;
pub(crate) use error::KeyError;
pub(crate) use jwk::JwkSet;
pub(crate) use pem::{certificates, private_der};
pub(crate) use shared_secret::{SecretEncoding, decode_secret, without_newline};
pub use signing::SigningKey;
pub use verifying::VerifyingKey;

/// SHA-256 (FIPS 180-4).
pub(crate) fn sha256(bytes: &[u8]) -> impl AsRef<[u8]> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes)
}

impl SigningKey {
    /// A private key: PEM (PKCS#1 RFC 8017 A.1.2, SEC1 RFC 5915, PKCS#8 RFC 5958) or JWK (RFC 7517, RFC 7518 6, RFC 8037 2).
    ///
    /// # Errors
    /// It is none that can be used here, and why.
    pub fn from_private(text: &[u8]) -> Result<Self, KeyError> {
        if jwk::looks_like(text) { jwk::private(text) } else { pem::private(text) }
    }
}

impl VerifyingKey {
    /// A public key: PEM ("PUBLIC KEY", RFC 7468 13, or PKCS#1 "RSA PUBLIC KEY") or JWK.
    ///
    /// # Errors
    /// It is none that can be used here, and why.
    pub fn from_public(text: &[u8]) -> Result<Self, KeyError> {
        if !jwk::looks_like(text) {
            return pem::public(text);
        }
        let members = json::parse_object(text).map_err(KeyError::JwkJson)?;
        if members.contains_key("keys") {
            return Err(KeyError::JwkSetForKey);
        }
        let key = jwk::public(&members)?;
        match key.kind() {
            KeyKind::Secret => Err(KeyError::JwkSymmetric),
            _ => Ok(key),
        }
    }
}

#[cfg(test)]
mod tests;
