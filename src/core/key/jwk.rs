//! Owns: JSON Web Keys (RFC 7517, RFC 7518 6, RFC 8037 2): which key one is, and both of its halves.
//! Does not: choose one of a set.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeyPairComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, RsaKeyPair, RsaPublicKeyComponents,
};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::super::json;
use super::error::KeyError;
use super::verify::VerifyingKey;
use super::{Algorithm, Pair, armor};

type Bytes = Zeroizing<Vec<u8>>;
type Jwk = Map<String, Value>;

pub(super) fn looks_like(text: &[u8]) -> bool {
    text.trim_ascii_start().first() == Some(&b'{')
}

/// The private key, and the one algorithm that the JWK says it is for.
pub(super) fn private(text: &[u8]) -> Result<(Pair, Option<Algorithm>), KeyError> {
    let jwk = json::parse_object(text).map_err(KeyError::JwkJson)?;
    if jwk.contains_key("keys") {
        return Err(KeyError::JwkSetForKey);
    }
    may(&jwk, "sign")?;
    let pair = match kind(&jwk)? {
        Kind::Oct => return Err(KeyError::JwkSymmetric),
        _ if !jwk.contains_key("d") => return Err(KeyError::PublicForPrivate),
        Kind::Rsa => rsa_pair(&jwk)?,
        Kind::P256 => Pair::P256(ec_pair(&jwk, &ECDSA_P256_SHA256_FIXED_SIGNING, 32)?),
        Kind::P384 => Pair::P384(ec_pair(&jwk, &ECDSA_P384_SHA384_FIXED_SIGNING, 48)?),
        Kind::Ed25519 => Pair::Ed25519(ed25519_pair(&jwk)?),
    };
    Ok((pair, algorithm(&jwk)?))
}

/// The half that verifies. Of a private JWK too; a symmetric one is a secret.
pub(super) fn public(jwk: &Jwk) -> Result<VerifyingKey, KeyError> {
    may(jwk, "verify")?;
    let key = match kind(jwk)? {
        Kind::Oct => VerifyingKey::from_secret(&bytes(jwk, "k")?),
        Kind::Rsa => {
            let (n, e) = (number(jwk, "n")?, number(jwk, "e")?);
            let parsed = RsaPublicKeyComponents { n: n.as_slice(), e: e.as_slice() };
            let der = parsed.as_der().map_err(|_| KeyError::Broken { what: "the RSA key" })?;
            VerifyingKey::rsa(der.as_ref())?
        }
        Kind::P256 => VerifyingKey::p256(&point(jwk, 32)?)?,
        Kind::P384 => VerifyingKey::p384(&point(jwk, 48)?)?,
        Kind::Ed25519 => VerifyingKey::ed25519(&sized(jwk, "x", 32)?)?,
    };
    let key = key.only_for(algorithm(jwk)?);
    match jwk.get("kid") {
        None => Ok(key),
        Some(Value::String(kid)) => Ok(key.named(kid)),
        Some(_) => Err(KeyError::JwkMember { member: "kid" }),
    }
}

enum Kind {
    Oct,
    Rsa,
    P256,
    P384,
    Ed25519,
}

fn kind(jwk: &Jwk) -> Result<Kind, KeyError> {
    let text = |member| jwk.get(member).and_then(Value::as_str);
    let unsupported = |what| Err(KeyError::Unsupported { what });
    match (text("kty"), text("crv")) {
        (Some("oct"), _) => Ok(Kind::Oct),
        (Some("RSA"), _) if jwk.contains_key("oth") => unsupported("an RSA key of more than two primes"),
        (Some("RSA"), _) => Ok(Kind::Rsa),
        (Some("EC"), Some("P-256")) => Ok(Kind::P256),
        (Some("EC"), Some("P-384")) => Ok(Kind::P384),
        (Some("EC"), Some("P-521")) => unsupported("an EC key on P-521"),
        (Some("OKP"), Some("Ed25519")) => Ok(Kind::Ed25519),
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

fn rsa_pair(jwk: &Jwk) -> Result<Pair, KeyError> {
    if !["p", "q", "dp", "dq", "qi"].iter().all(|m| jwk.contains_key(*m)) {
        return Err(KeyError::JwkWithoutPrimes);
    }
    armor::rsa(RsaKeyPair::from_components(&KeyPairComponents {
        public_key: RsaPublicKeyComponents { n: number(jwk, "n")?, e: number(jwk, "e")? },
        d: bytes(jwk, "d")?,
        p: bytes(jwk, "p")?,
        q: bytes(jwk, "q")?,
        dP: bytes(jwk, "dp")?,
        dQ: bytes(jwk, "dq")?,
        qInv: bytes(jwk, "qi")?,
    }))
}

fn ec_pair(jwk: &Jwk, curve: &'static EcdsaSigningAlgorithm, size: usize) -> Result<EcdsaKeyPair, KeyError> {
    let (d, point) = (sized(jwk, "d", size)?, point(jwk, size)?);
    EcdsaKeyPair::from_private_key_and_public_key(curve, &d, &point).map_err(|_| KeyError::JwkHalvesDiffer)
}

fn ed25519_pair(jwk: &Jwk) -> Result<Ed25519KeyPair, KeyError> {
    let (d, x) = (sized(jwk, "d", 32)?, sized(jwk, "x", 32)?);
    Ed25519KeyPair::from_seed_and_public_key(&d, &x).map_err(|_| KeyError::JwkHalvesDiffer)
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
