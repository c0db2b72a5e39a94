//! Owns: JSON Web Keys (RFC 7517, RFC 7518 6, RFC 8037 2): which key one is, both of its halves, and sets of them.
//! Does not: verify anything.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeyPairComponents;
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair, RsaPublicKeyComponents};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::super::json;
use super::algorithm::{Algorithm, KeyKind};
use super::error::KeyError;
use super::signing::SigningKey;
use super::verifying::VerifyingKey;

type Bytes = Zeroizing<Vec<u8>>;
type Jwk = Map<String, Value>;

/// A set of JWKs (RFC 7517 5), or a single one.
#[derive(Debug)]
pub(crate) struct JwkSet {
    keys: Vec<VerifyingKey>,
    /// Keys of it that cannot be used, which says nothing against the others (RFC 7517 5).
    unusable: Vec<(Option<String>, KeyError)>,
}

impl JwkSet {
    pub(crate) fn parse(text: &[u8]) -> Result<Self, KeyError> {
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
        match public(jwk) {
            Ok(key) => self.keys.push(key),
            Err(error) => {
                let kid = jwk.get("kid").and_then(Value::as_str).map(str::to_owned);
                self.unusable.push((kid, error));
            }
        }
    }

    /// Keys that a token with this `kid` may be signed by: those of that name, else those without any.
    pub(crate) fn candidates(&self, kid: Option<&str>) -> Vec<&VerifyingKey> {
        let by = |wanted: Option<&str>| -> Vec<_> { self.keys.iter().filter(|k| k.kid() == wanted).collect() };
        match kid {
            None => self.keys.iter().collect(),
            Some(_) => match by(kid) {
                named if named.is_empty() && self.why_unusable(kid).is_none() => by(None),
                named => named,
            },
        }
    }

    /// Why the key of that `kid` cannot be used, where it is in the set; without a `kid`, why the first one cannot.
    pub(crate) fn why_unusable(&self, kid: Option<&str>) -> Option<&KeyError> {
        let (_, error) = self.unusable.iter().find(|(name, _)| kid.is_none() || name.as_deref() == kid)?;
        Some(error)
    }
}

pub(super) fn looks_like(text: &[u8]) -> bool {
    text.trim_ascii_start().first() == Some(&b'{')
}

pub(super) fn private(text: &[u8]) -> Result<SigningKey, KeyError> {
    let jwk = json::parse_object(text).map_err(KeyError::JwkJson)?;
    if jwk.contains_key("keys") {
        return Err(KeyError::JwkSetForKey);
    }
    may(&jwk, "sign")?;
    let key = match kind(&jwk)? {
        KeyKind::Secret => return Err(KeyError::JwkSymmetric),
        _ if !jwk.contains_key("d") => return Err(KeyError::PublicForPrivate),
        KeyKind::Rsa => rsa_pair(&jwk)?,
        KeyKind::Ed25519 => {
            let (d, x) = (sized(&jwk, "d", 32)?, sized(&jwk, "x", 32)?);
            SigningKey::ed25519(Ed25519KeyPair::from_seed_and_public_key(&d, &x))
                .map_err(|_| KeyError::JwkHalvesDiffer)?
        }
        kind => {
            let (d, point) = (sized(&jwk, "d", coordinate(kind))?, point(&jwk, coordinate(kind))?);
            SigningKey::ec(kind, |curve| EcdsaKeyPair::from_private_key_and_public_key(curve, &d, &point))
                .map_err(|_| KeyError::JwkHalvesDiffer)?
        }
    };
    Ok(key.only_for(algorithm(&jwk)?))
}

/// The half that verifies. Of a private JWK too; a symmetric one is a secret.
pub(super) fn public(jwk: &Jwk) -> Result<VerifyingKey, KeyError> {
    may(jwk, "verify")?;
    let kind = kind(jwk)?;
    let key = match kind {
        KeyKind::Secret => VerifyingKey::new(kind, &bytes(jwk, "k")?)?,
        KeyKind::Rsa => {
            let (n, e) = (number(jwk, "n")?, number(jwk, "e")?);
            let parsed = RsaPublicKeyComponents { n: n.as_slice(), e: e.as_slice() };
            let der = parsed.as_der().map_err(|_| KeyError::Broken { what: "the RSA key" })?;
            VerifyingKey::new(kind, der.as_ref())?
        }
        KeyKind::P256 | KeyKind::P384 => VerifyingKey::new(kind, &point(jwk, coordinate(kind))?)?,
        KeyKind::Ed25519 => VerifyingKey::new(kind, &sized(jwk, "x", 32)?)?,
    };
    let key = key.only_for(algorithm(jwk)?);
    match jwk.get("kid") {
        None => Ok(key),
        Some(Value::String(kid)) => Ok(key.named(kid)),
        Some(_) => Err(KeyError::JwkMember { member: "kid" }),
    }
}

/// Bytes of a coordinate on P-256 or P-384, and of a private number there (RFC 7518 6.2).
fn coordinate(kind: KeyKind) -> usize {
    if kind == KeyKind::P384 { 48 } else { 32 }
}

fn kind(jwk: &Jwk) -> Result<KeyKind, KeyError> {
    let text = |member| jwk.get(member).and_then(Value::as_str);
    let unsupported = |what| Err(KeyError::Unsupported { what });
    match (text("kty"), text("crv")) {
        (Some("oct"), _) => Ok(KeyKind::Secret),
        (Some("RSA"), _) if jwk.contains_key("oth") => unsupported("an RSA key of more than two primes"),
        (Some("RSA"), _) => Ok(KeyKind::Rsa),
        (Some("EC"), Some("P-256")) => Ok(KeyKind::P256),
        (Some("EC"), Some("P-384")) => Ok(KeyKind::P384),
        (Some("EC"), Some("P-521")) => unsupported("an EC key on P-521"),
        (Some("OKP"), Some("Ed25519")) => Ok(KeyKind::Ed25519),
        (Some("OKP"), Some("Ed448")) => unsupported("an Ed448 key"),
        (Some("EC" | "OKP"), Some(_)) => unsupported("a JWK on another curve"),
        (Some("EC" | "OKP"), None) => Err(KeyError::JwkMember { member: "crv" }),
        (Some(_), _) => unsupported("a JWK of another kty"),
        (None, _) => Err(KeyError::JwkMember { member: "kty" }),
    }
}

/// `use` and `key_ops` (RFC 7517 4.2, 4.3), where they are there.
fn may(jwk: &Jwk, operation: &str) -> Result<(), KeyError> {
    let used = jwk.get("use").is_none_or(|v| v == "sig");
    let listed = jwk.get("key_ops").is_none_or(|v| match v {
        Value::Array(all) => all.iter().any(|v| v == operation || v == "sign"),
        _ => false,
    });
    if used && listed { Ok(()) } else { Err(KeyError::JwkNotForSignatures) }
}

fn algorithm(jwk: &Jwk) -> Result<Option<Algorithm>, KeyError> {
    match jwk.get("alg") {
        None => Ok(None),
        // RFC 9864 names EdDSA on Ed25519 anew; the signatures are the same.
        Some(Value::String(name)) if name == "Ed25519" => Ok(Some(Algorithm::EdDSA)),
        Some(Value::String(name)) => match Algorithm::parse(name) {
            Some(algorithm) => Ok(Some(algorithm)),
            None => Err(KeyError::JwkAlgorithm),
        },
        Some(_) => Err(KeyError::JwkAlgorithm),
    }
}

fn rsa_pair(jwk: &Jwk) -> Result<SigningKey, KeyError> {
    if !["p", "q", "dp", "dq", "qi"].iter().all(|m| jwk.contains_key(*m)) {
        return Err(KeyError::JwkWithoutPrimes);
    }
    SigningKey::rsa(RsaKeyPair::from_components(&KeyPairComponents {
        public_key: RsaPublicKeyComponents { n: number(jwk, "n")?, e: number(jwk, "e")? },
        d: bytes(jwk, "d")?,
        p: bytes(jwk, "p")?,
        q: bytes(jwk, "q")?,
        dP: bytes(jwk, "dp")?,
        dQ: bytes(jwk, "dq")?,
        qInv: bytes(jwk, "qi")?,
    }))
}

/// An uncompressed point (SEC 1 2.3.3) from its coordinates, which have the curve's full size (RFC 7518 6.2.1.2).
fn point(jwk: &Jwk, size: usize) -> Result<Vec<u8>, KeyError> {
    let mut point = vec![4];
    point.extend_from_slice(&sized(jwk, "x", size)?);
    point.extend_from_slice(&sized(jwk, "y", size)?);
    Ok(point)
}

fn sized(jwk: &Jwk, member: &'static str, size: usize) -> Result<Bytes, KeyError> {
    let value = bytes(jwk, member)?;
    if value.len() == size { Ok(value) } else { Err(KeyError::JwkMember { member }) }
}

/// A Base64urlUInt (RFC 7518 2). Leading zeros are forbidden, but some libraries write them; they change nothing.
fn number(jwk: &Jwk, member: &'static str) -> Result<Bytes, KeyError> {
    let value = bytes(jwk, member)?;
    let start = value.iter().position(|b| *b != 0).ok_or(KeyError::JwkMember { member })?;
    Ok(Zeroizing::new(value.iter().skip(start).copied().collect()))
}

fn bytes(jwk: &Jwk, member: &'static str) -> Result<Bytes, KeyError> {
    jwk.get(member)
        .and_then(Value::as_str)
        .and_then(|text| BASE64URL_NOPAD.decode(text.as_bytes()).ok())
        .map(Zeroizing::new)
        .ok_or(KeyError::JwkMember { member })
}
