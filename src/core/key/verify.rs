//! Owns: keys that verify (secrets, public keys, sets of JWKs), each with the algorithms it may be used with.
//! Does not: read tokens; `jose` does.

use std::fmt;

use aws_lc_rs::rsa;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RsaParameters};
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use super::super::json;
use super::error::KeyError;
use super::{Algorithm, KeyKind, SecretEncoding, armor, decode_secret, jwk};

/// A key that is ready to verify.
pub struct VerifyingKey {
    kind: KeyKind,
    key: DecodingKey,
    /// The `alg` of its JWK (RFC 7517 4.4).
    only: Option<Algorithm>,
    /// The `kid` of its JWK (RFC 7517 4.5).
    kid: Option<String>,
}

impl VerifyingKey {
    /// A symmetric secret as it is.
    pub fn from_secret(secret: &[u8]) -> Self {
        let kind = KeyKind::Hmac { bytes: secret.len() };
        Self::new(kind, DecodingKey::from_secret(secret))
    }

    /// A shared secret that is written down as `text`.
    ///
    /// # Errors
    /// Those of [`decode_secret`](super::decode_secret).
    pub fn from_secret_text(text: &[u8], encoding: SecretEncoding) -> Result<Self, KeyError> {
        decode_secret(text, encoding).map(|secret| Self::from_secret(secret.expose()))
    }

    /// A public key: PEM ("PUBLIC KEY", RFC 7468 13, or PKCS#1 "RSA PUBLIC KEY") or JWK.
    pub fn from_public(text: &[u8]) -> Result<Self, KeyError> {
        if !jwk::looks_like(text) {
            return armor::public(text);
        }
        let members = json::parse_object(text).map_err(KeyError::JwkJson)?;
        if members.contains_key("keys") {
            return Err(KeyError::JwkSetForKey);
        }
        let key = jwk::public(&members)?;
        match key.kind {
            KeyKind::Hmac { .. } => Err(KeyError::JwkSymmetric),
            _ => Ok(key),
        }
    }

    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether a signature by `algorithm` may be verified with it: never one of another kind of key.
    pub fn accepts(&self, algorithm: Algorithm) -> bool {
        algorithm.accepts(self.kind) && self.only.is_none_or(|only| only == algorithm)
    }

    /// Whether `signature` (base64url) holds over `message`.
    pub(in crate::core) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &str) -> bool {
        self.accepts(algorithm)
            && jsonwebtoken::crypto::verify(signature, message, &self.key, backend(algorithm)).unwrap_or(false)
    }

    /// PKCS#1 or SubjectPublicKeyInfo.
    pub(super) fn rsa(der: &[u8]) -> Result<Self, KeyError> {
        let broken = KeyError::Broken { what: "the RSA key" };
        let key = rsa::PublicKey::from_der(der).map_err(|_| broken.clone())?;
        let pkcs1 = key.as_ref();
        match RsaParameters::public_modulus_len(pkcs1) {
            Ok(0..2048) => Err(KeyError::SmallRsa),
            Ok(bits @ 2048..=8192) => {
                let kind = KeyKind::Rsa { bits: bits as usize };
                Ok(Self::new(kind, DecodingKey::from_rsa_der(pkcs1)))
            }
            Ok(_) => Err(KeyError::LargeRsa),
            Err(_) => Err(broken),
        }
    }

    /// A point, or SubjectPublicKeyInfo.
    pub(super) fn p256(bytes: &[u8]) -> Result<Self, KeyError> {
        let broken = KeyError::Broken { what: "the EC key" };
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes).map_err(|_| broken)?;
        Ok(Self::new(KeyKind::P256, DecodingKey::from_ec_der(bytes)))
    }

    /// A point, or SubjectPublicKeyInfo.
    pub(super) fn p384(bytes: &[u8]) -> Result<Self, KeyError> {
        let broken = KeyError::Broken { what: "the EC key" };
        ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, bytes).map_err(|_| broken)?;
        Ok(Self::new(KeyKind::P384, DecodingKey::from_ec_der(bytes)))
    }

    /// 32 bytes, or SubjectPublicKeyInfo.
    pub(super) fn ed25519(bytes: &[u8]) -> Result<Self, KeyError> {
        let broken = KeyError::Broken { what: "the Ed25519 key" };
        ParsedPublicKey::new(&ED25519, bytes).map_err(|_| broken)?;
        Ok(Self::new(KeyKind::Ed25519, DecodingKey::from_ed_der(bytes)))
    }

    pub(super) fn only_for(self, only: Option<Algorithm>) -> Self {
        Self { only, ..self }
    }

    pub(super) fn named(self, kid: &str) -> Self {
        let kid = Some(kid.to_owned());
        Self { kid, ..self }
    }

    fn new(kind: KeyKind, key: DecodingKey) -> Self {
        Self { kind, key, only: None, kid: None }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({:?}, kid {:?}, ..)", self.kind, self.kid)
    }
}

/// A set of JWKs (RFC 7517 5), or a single one.
#[derive(Debug)]
pub struct JwkSet {
    keys: Vec<VerifyingKey>,
    /// Keys of it that can't be used, which says nothing against the others (RFC 7517 5).
    unusable: Vec<(Option<String>, KeyError)>,
}

impl JwkSet {
    pub fn parse(text: &[u8]) -> Result<Self, KeyError> {
        let object = json::parse_object(text).map_err(KeyError::JwkJson)?;
        let mut set = Self { keys: Vec::new(), unusable: Vec::new() };
        match object.get("keys") {
            Some(Value::Array(all)) => all.iter().for_each(|v| match v {
                Value::Object(jwk) => set.add(jwk),
                _ => set.unusable.push((None, KeyError::NotAJwkSet)),
            }),
            None if object.contains_key("kty") => set.add(&object),
            _ => return Err(KeyError::NotAJwkSet),
        }
        Ok(set)
    }

    fn add(&mut self, jwk: &Map<String, Value>) {
        match jwk::public(jwk) {
            Ok(key) => self.keys.push(key),
            Err(error) => {
                let kid = jwk.get("kid").and_then(Value::as_str).map(str::to_owned);
                self.unusable.push((kid, error));
            }
        }
    }

    /// Keys that a token with this `kid` may be signed by: those of that name, else those without any.
    pub fn candidates(&self, kid: Option<&str>) -> Vec<&VerifyingKey> {
        let by = |wanted: Option<&str>| -> Vec<_> { self.keys.iter().filter(|k| k.kid() == wanted).collect() };
        match kid {
            None => self.keys.iter().collect(),
            Some(_) => match by(kid) {
                named if named.is_empty() && self.why_unusable(kid).is_none() => by(None),
                named => named,
            },
        }
    }

    /// Why the key of that `kid` can't be used, where it is in the set; without a `kid`, why the first one can't.
    pub fn why_unusable(&self, kid: Option<&str>) -> Option<&KeyError> {
        let (_, error) = self.unusable.iter().find(|(name, _)| kid.is_none() || name.as_deref() == kid)?;
        Some(error)
    }
}

fn backend(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    use jsonwebtoken::Algorithm as Theirs;
    match algorithm {
        Algorithm::HS256 => Theirs::HS256,
        Algorithm::HS384 => Theirs::HS384,
        Algorithm::HS512 => Theirs::HS512,
        Algorithm::RS256 => Theirs::RS256,
        Algorithm::RS384 => Theirs::RS384,
        Algorithm::RS512 => Theirs::RS512,
        Algorithm::PS256 => Theirs::PS256,
        Algorithm::PS384 => Theirs::PS384,
        Algorithm::PS512 => Theirs::PS512,
        Algorithm::ES256 => Theirs::ES256,
        Algorithm::ES384 => Theirs::ES384,
        Algorithm::EdDSA => Theirs::EdDSA,
    }
}
