//! Owns: signing algorithms, and keys from bytes (HMAC secrets; PEM and JWK keys), parsed once, signing and verifying.
//! Does not: read files or choose keys.

mod armor;
mod error;
mod jwk;
mod material;
mod oid;
mod shared_secret;
mod verify;

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair};

use super::secret::Secret;
use super::words::words;

pub use error::KeyError;
pub use shared_secret::{SecretEncoding, decode_secret};
pub use verify::{JwkSet, VerifyingKey};

words! {
    /// JWS algorithms that renewd signs with (RFC 7518 3.1, RFC 8037 3.1), by their names there, case and all.
    #[derive(PartialOrd, Ord, Hash)]
    pub enum Algorithm {
        HS256 = "HS256",
        HS384 = "HS384",
        HS512 = "HS512",
        RS256 = "RS256",
        RS384 = "RS384",
        RS512 = "RS512",
        PS256 = "PS256",
        PS384 = "PS384",
        PS512 = "PS512",
        ES256 = "ES256",
        ES384 = "ES384",
        EdDSA = "EdDSA",
    }
}

impl Algorithm {
    /// Bytes that a secret has at least: as many as the hash (RFC 7518 3.2). `None`: signs with a private key.
    pub const fn min_secret_bytes(self) -> Option<usize> {
        match self {
            Self::HS256 => Some(32),
            Self::HS384 => Some(48),
            Self::HS512 => Some(64),
            _ => None,
        }
    }

    pub const fn accepts(self, kind: KeyKind) -> bool {
        match self {
            Self::HS256 | Self::HS384 | Self::HS512 => matches!(kind, KeyKind::Hmac { .. }),
            Self::RS256 | Self::RS384 | Self::RS512 | Self::PS256 | Self::PS384 | Self::PS512 => {
                matches!(kind, KeyKind::Rsa { .. })
            }
            Self::ES256 => matches!(kind, KeyKind::P256),
            Self::ES384 => matches!(kind, KeyKind::P384),
            Self::EdDSA => matches!(kind, KeyKind::Ed25519),
        }
    }

    /// What key it wants, in words.
    pub const fn wants(self) -> &'static str {
        match self {
            Self::HS256 | Self::HS384 | Self::HS512 => "a secret",
            Self::ES256 => "an EC key on P-256",
            Self::ES384 => "an EC key on P-384",
            Self::EdDSA => "an Ed25519 key",
            _ => "an RSA key",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a key is, without what is in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyKind {
    /// A symmetric secret of so many bytes.
    Hmac {
        bytes: usize,
    },
    Rsa {
        bits: usize,
    },
    P256,
    P384,
    Ed25519,
}

impl KeyKind {
    /// In words: "an RSA key of 2048 bits".
    pub fn describe(self) -> String {
        match self {
            Self::Hmac { bytes: 1 } => "a secret of 1 byte".into(),
            Self::Hmac { bytes } => format!("a secret of {bytes} bytes"),
            Self::Rsa { bits } => format!("an RSA key of {bits} bits"),
            Self::P256 => "an EC key on P-256".into(),
            Self::P384 => "an EC key on P-384".into(),
            Self::Ed25519 => "an Ed25519 key".into(),
        }
    }

    /// What a key of this kind signs with where nobody says.
    pub const fn default_algorithm(self) -> Algorithm {
        match self {
            Self::Hmac { .. } => Algorithm::HS256,
            Self::Rsa { .. } => Algorithm::RS256,
            Self::P256 => Algorithm::ES256,
            Self::P384 => Algorithm::ES384,
            Self::Ed25519 => Algorithm::EdDSA,
        }
    }
}

/// A key that is ready to sign.
pub struct SigningKey {
    pair: Pair,
    /// The `alg` member of a JWK (RFC 7517 4.4): the one algorithm it is for.
    jwk_algorithm: Option<Algorithm>,
}

/// Parsed once: parsing an RSA key costs more than signing with it.
enum Pair {
    /// The bytes, not a keyed state for each hash: that is two kilobytes, and made in less than a microsecond.
    Hmac(Secret<Vec<u8>>),
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// A shared secret that is written down as `text`. Whether it is long enough says `check_secret`.
    ///
    /// # Errors
    /// Those of [`decode_secret`].
    pub fn from_secret_text(text: &[u8], encoding: SecretEncoding) -> Result<Self, KeyError> {
        decode_secret(text, encoding).map(|secret| Self::from_secret(secret.expose()))
    }

    /// The bytes of a shared secret, decoded and found to be one.
    pub fn from_secret(secret: &[u8]) -> Self {
        Self { pair: Pair::Hmac(Secret::new(secret.to_vec())), jwk_algorithm: None }
    }

    /// A private key: PEM (PKCS#1 RFC 8017 A.1.2, SEC1 RFC 5915, PKCS#8 RFC 5958) or JWK (RFC 7517, RFC 7518 6, RFC 8037 2).
    pub fn from_private(text: &[u8]) -> Result<Self, KeyError> {
        if jwk::looks_like(text) {
            let (pair, jwk_algorithm) = jwk::private(text)?;
            return Ok(Self { pair, jwk_algorithm });
        }
        Ok(Self { pair: armor::private(text)?, jwk_algorithm: None })
    }

    pub fn kind(&self) -> KeyKind {
        match &self.pair {
            Pair::Hmac(secret) => KeyKind::Hmac { bytes: secret.expose().len() },
            Pair::Rsa(pair) => KeyKind::Rsa { bits: pair.public_modulus_len() * 8 },
            Pair::P256(_) => KeyKind::P256,
            Pair::P384(_) => KeyKind::P384,
            Pair::Ed25519(_) => KeyKind::Ed25519,
        }
    }

    /// The algorithm that a JWK says it is for.
    pub fn jwk_algorithm(&self) -> Option<Algorithm> {
        self.jwk_algorithm
    }

    /// What it signs with where nobody says: what the JWK says, else its kind's first.
    pub fn default_algorithm(&self) -> Algorithm {
        self.jwk_algorithm.unwrap_or_else(|| self.kind().default_algorithm())
    }

    /// Whether it may sign with `algorithm`: by its kind, and by what the JWK says.
    pub fn check_algorithm(&self, algorithm: Algorithm) -> Result<(), KeyError> {
        if !algorithm.accepts(self.kind()) {
            return Err(KeyError::WrongKind { algorithm, kind: self.kind().describe() });
        }
        match self.jwk_algorithm {
            Some(only) if only != algorithm => Err(KeyError::JwkOnlyFor { algorithm, only }),
            _ => Ok(()),
        }
    }

    /// Whether a secret is as long as the hash of `algorithm` (RFC 7518 3.2).
    /// Private keys pass: those too short were refused when they were read.
    pub fn check_secret(&self, algorithm: Algorithm, allow_weak: bool) -> Result<(), KeyError> {
        match &self.pair {
            Pair::Hmac(secret) => shared_secret::check_strength(secret.expose(), algorithm, allow_weak),
            _ => Ok(()),
        }
    }

    /// The signature's bytes (RFC 7518 3; for ES the two numbers at full length, 3.4, not DER).
    pub fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.check_algorithm(algorithm)?;
        let failed = |_| KeyError::SigningFailed { algorithm };
        // The library draws what a signature needs by itself; its argument is there for ring's sake.
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Hmac(secret) => {
                let key = hmac::Key::new(hmac_hash(algorithm), secret.expose());
                Ok(hmac::sign(&key, message).as_ref().to_vec())
            }
            Pair::Rsa(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(rsa_padding(algorithm), &random, message, &mut out).map_err(failed)?;
                Ok(out)
            }
            Pair::P256(pair) | Pair::P384(pair) => {
                let out = pair.sign(&random, message).map_err(failed)?;
                Ok(out.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec()),
        }
    }

    /// How long a signature is, in bytes.
    pub(crate) fn signature_bytes(&self, algorithm: Algorithm) -> usize {
        match &self.pair {
            Pair::Hmac(_) => hmac_hash(algorithm).tag_len(),
            Pair::Rsa(pair) => pair.public_modulus_len(),
            Pair::P256(_) | Pair::Ed25519(_) => 64,
            Pair::P384(_) => 96,
        }
    }

    /// The half that verifies: the public key, or the secret itself.
    pub fn verifying(&self) -> Result<VerifyingKey, KeyError> {
        let key = match &self.pair {
            Pair::Hmac(secret) => VerifyingKey::from_secret(secret.expose()),
            Pair::Rsa(pair) => VerifyingKey::rsa(pair.public_key().as_ref())?,
            Pair::P256(pair) => VerifyingKey::p256(pair.public_key().as_ref())?,
            Pair::P384(pair) => VerifyingKey::p384(pair.public_key().as_ref())?,
            Pair::Ed25519(pair) => VerifyingKey::ed25519(pair.public_key().as_ref())?,
        };
        Ok(key.only_for(self.jwk_algorithm))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?}, ..)", self.kind())
    }
}

fn hmac_hash(algorithm: Algorithm) -> hmac::Algorithm {
    match algorithm {
        Algorithm::HS384 => hmac::HMAC_SHA384,
        Algorithm::HS512 => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    }
}

fn rsa_padding(algorithm: Algorithm) -> &'static dyn RsaEncoding {
    match algorithm {
        Algorithm::RS384 => &signature::RSA_PKCS1_SHA384,
        Algorithm::RS512 => &signature::RSA_PKCS1_SHA512,
        Algorithm::PS256 => &signature::RSA_PSS_SHA256,
        Algorithm::PS384 => &signature::RSA_PSS_SHA384,
        Algorithm::PS512 => &signature::RSA_PSS_SHA512,
        _ => &signature::RSA_PKCS1_SHA256,
    }
}

#[cfg(test)]
mod tests;
