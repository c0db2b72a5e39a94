//! Owns: keys that sign, secrets and private keys, parsed once, and what each may sign with.
//! Does not: read PEM or JWKs (`pem` and `jwk` do).

use std::fmt;

use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair,
};
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::EncodingKey;
use zeroize::Zeroizing;

use super::algorithm::{Algorithm, KeyKind};
use super::error::KeyError;
use super::shared_secret::{SecretEncoding, decode_secret};
use super::verifying::VerifyingKey;

/// A key that is ready to sign.
pub struct SigningKey {
    kind: KeyKind,
    pair: Pair,
    /// The `alg` member of a JWK (RFC 7517 4.4): the one algorithm it is for.
    only: Option<Algorithm>,
}

enum Pair {
    /// The bytes, not a keyed state for each hash: that is two kilobytes, and made in less than a microsecond.
    Secret(EncodingKey),
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    fn new(kind: KeyKind, pair: Pair) -> Self {
        Self { kind, pair, only: None }
    }

    pub(super) fn rsa(pair: Result<RsaKeyPair, KeyRejected>) -> Result<Self, KeyError> {
        pair.map(|pair| Self::new(KeyKind::Rsa, Pair::Rsa(pair))).map_err(|rejected| match rejected.description_() {
            "TooSmall" => KeyError::SmallRsa,
            "TooLarge" => KeyError::LargeRsa,
            _ => KeyError::Broken { what: "the RSA key" },
        })
    }

    /// On P-384, or else on P-256.
    pub(super) fn ec(
        kind: KeyKind,
        read: impl Fn(&'static EcdsaSigningAlgorithm) -> Result<EcdsaKeyPair, KeyRejected>,
    ) -> Result<Self, KeyError> {
        let pair = read(match kind {
            KeyKind::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
            _ => &ECDSA_P256_SHA256_FIXED_SIGNING,
        });
        pair.map(|pair| Self::new(kind, Pair::Ec(pair))).map_err(|_| KeyError::Broken { what: "the EC key" })
    }

    pub(super) fn ed25519(pair: Result<Ed25519KeyPair, KeyRejected>) -> Result<Self, KeyError> {
        pair.map(|pair| Self::new(KeyKind::Ed25519, Pair::Ed25519(pair)))
            .map_err(|_| KeyError::Broken { what: "the Ed25519 key" })
    }

    pub(super) fn only_for(self, only: Option<Algorithm>) -> Self {
        Self { only, ..self }
    }

    /// A shared secret that is written down as `text`. Whether it is long enough says [`Self::check`].
    ///
    /// # Errors
    /// Those of [`decode_secret`].
    pub(crate) fn from_secret_text(text: &[u8], encoding: SecretEncoding) -> Result<Self, KeyError> {
        decode_secret(text, encoding).map(|secret| Self::from_secret(secret.expose()))
    }

    /// The bytes of a shared secret, decoded and found to be one.
    pub fn from_secret(secret: &[u8]) -> Self {
        Self::new(KeyKind::Secret, Pair::Secret(EncodingKey::from_secret(secret)))
    }

    /// What it is, in words: "an RSA key of 2048 bits".
    fn describe(&self) -> String {
        self.kind.describe(match &self.pair {
            Pair::Secret(key) => key.as_bytes().len(),
            Pair::Rsa(pair) => pair.public_modulus_len() * 8,
            Pair::Ec(_) | Pair::Ed25519(_) => 0,
        })
    }

    /// What it signs with where nobody says: what the JWK says, else its kind's first.
    pub fn default_algorithm(&self) -> Algorithm {
        self.only.unwrap_or_else(|| self.kind.default_algorithm())
    }

    /// Whether it may sign with `algorithm`: by its kind, by what its JWK says, and by the length of a secret (RFC 7518 3.2)
    /// where a weak one is not allowed. Private keys that are too short were refused when they were read.
    ///
    /// # Errors
    /// It may not, and why.
    pub fn check(&self, algorithm: Algorithm, allow_weak: bool) -> Result<(), KeyError> {
        if algorithm.kind() != self.kind {
            return Err(KeyError::WrongKind { algorithm, kind: self.describe() });
        }
        if let Some(only) = self.only.filter(|only| *only != algorithm) {
            return Err(KeyError::JwkOnlyFor { algorithm, only });
        }
        match (&self.pair, algorithm.min_secret_bytes()) {
            (Pair::Secret(key), Some(min)) if key.as_bytes().len() < min && !allow_weak => {
                Err(KeyError::WeakSecret { algorithm, bytes: key.as_bytes().len(), min })
            }
            _ => Ok(()),
        }
    }

    /// The signature, in base64url (RFC 7518 3; for ES the two numbers at full length, 3.4, not DER).
    ///
    /// # Errors
    /// The key is not for `algorithm`, or the library failed.
    pub(in crate::core) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Zeroizing<String>, KeyError> {
        self.check(algorithm, true)?;
        let failed = |_| KeyError::SigningFailed { algorithm };
        let encoded = |signature: &[u8]| Zeroizing::new(BASE64URL_NOPAD.encode(signature));
        // The library draws what a signature needs by itself; its argument is there for ring's sake.
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Secret(key) => algorithm
                .word()
                .parse()
                .and_then(|algorithm| jsonwebtoken::crypto::sign(message, key, algorithm))
                .map(Zeroizing::new)
                .map_err(|_| KeyError::SigningFailed { algorithm }),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(rsa_padding(algorithm), &random, message, &mut signature).map_err(failed)?;
                Ok(encoded(&signature))
            }
            Pair::Ec(pair) => pair.sign(&random, message).map(|made| encoded(made.as_ref())).map_err(failed),
            Pair::Ed25519(pair) => pair.try_sign(message).map(|made| encoded(made.as_ref())).map_err(failed),
        }
    }

    /// The half that verifies: the public key, or the secret itself.
    ///
    /// # Errors
    /// The library does not read what it wrote.
    pub fn verifying(&self) -> Result<VerifyingKey, KeyError> {
        let public = match &self.pair {
            Pair::Secret(key) => key.as_bytes(),
            Pair::Rsa(pair) => pair.public_key().as_ref(),
            Pair::Ec(pair) => pair.public_key().as_ref(),
            Pair::Ed25519(pair) => pair.public_key().as_ref(),
        };
        Ok(VerifyingKey::new(self.kind, public)?.only_for(self.only))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, ..)", self.describe())
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
