//! Owns: keys that verify, secrets and public keys, each with the algorithms it may be used with.
//! Does not: read PEM or JWKs (`pem` and `jwk` do), or tokens (`jose` does).

use std::fmt;

use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RsaParameters, VerificationAlgorithm,
};
use jsonwebtoken::DecodingKey;

use super::algorithm::{Algorithm, KeyKind};
use super::error::KeyError;
use super::shared_secret::{SecretEncoding, decode_secret};

/// A key that is ready to verify.
pub struct VerifyingKey {
    kind: KeyKind,
    /// Bytes of a secret, bits of an RSA key.
    size: usize,
    key: DecodingKey,
    /// The `alg` of its JWK (RFC 7517 4.4).
    only: Option<Algorithm>,
    /// The `kid` of its JWK (RFC 7517 4.5).
    kid: Option<String>,
}

impl VerifyingKey {
    /// A shared secret that is written down as `text`.
    ///
    /// # Errors
    /// Those of [`decode_secret`].
    pub(crate) fn from_secret_text(text: &[u8], encoding: SecretEncoding) -> Result<Self, KeyError> {
        decode_secret(text, encoding).and_then(|secret| Self::new(KeyKind::Secret, secret.expose()))
    }

    /// A secret as it is; an RSA key as PKCS#1 or SubjectPublicKeyInfo; one on a curve as its point (Ed25519: 32 bytes), or as
    /// SubjectPublicKeyInfo.
    pub(super) fn new(kind: KeyKind, bytes: &[u8]) -> Result<Self, KeyError> {
        let (size, key) = match kind {
            KeyKind::Secret => (bytes.len(), DecodingKey::from_secret(bytes)),
            KeyKind::Rsa => {
                let broken = KeyError::Broken { what: "the RSA key" };
                let key = rsa::PublicKey::from_der(bytes).map_err(|_| broken.clone())?;
                let pkcs1 = key.as_ref();
                match RsaParameters::public_modulus_len(pkcs1).map_err(|_| broken)? {
                    0..2048 => return Err(KeyError::SmallRsa),
                    bits @ 2048..=8192 => (bits as usize, DecodingKey::from_rsa_der(pkcs1)),
                    _ => return Err(KeyError::LargeRsa),
                }
            }
            KeyKind::P256 => on_curve(&ECDSA_P256_SHA256_FIXED, "the EC key", bytes, DecodingKey::from_ec_der)?,
            KeyKind::P384 => on_curve(&ECDSA_P384_SHA384_FIXED, "the EC key", bytes, DecodingKey::from_ec_der)?,
            KeyKind::Ed25519 => on_curve(&ED25519, "the Ed25519 key", bytes, DecodingKey::from_ed_der)?,
        };
        Ok(Self { kind, size, key, only: None, kid: None })
    }

    pub(super) fn only_for(self, only: Option<Algorithm>) -> Self {
        Self { only, ..self }
    }

    pub(super) fn named(self, kid: &str) -> Self {
        Self { kid: Some(kid.to_owned()), ..self }
    }

    pub(super) fn kind(&self) -> KeyKind {
        self.kind
    }

    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// What it is, in words: "an RSA key of 2048 bits".
    pub fn describe(&self) -> String {
        self.kind.describe(self.size)
    }

    /// Whether a signature by `algorithm` may be verified with it: never one of another kind of key.
    pub(in crate::core) fn accepts(&self, algorithm: Algorithm) -> bool {
        algorithm.kind() == self.kind && self.only.is_none_or(|only| only == algorithm)
    }

    /// Whether `signature` (base64url) holds over `message`.
    pub(in crate::core) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &str) -> bool {
        let verified = |algorithm| jsonwebtoken::crypto::verify(signature, message, &self.key, algorithm);
        self.accepts(algorithm) && algorithm.word().parse().and_then(verified).unwrap_or(false)
    }
}

/// A key on a curve has one size.
fn on_curve(
    curve: &'static dyn VerificationAlgorithm,
    what: &'static str,
    bytes: &[u8],
    key: fn(&[u8]) -> DecodingKey,
) -> Result<(usize, DecodingKey), KeyError> {
    ParsedPublicKey::new(curve, bytes).map_err(|_| KeyError::Broken { what })?;
    Ok((0, key(bytes)))
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({}, kid {:?}, ..)", self.describe(), self.kid)
    }
}
