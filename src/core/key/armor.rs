//! Owns: keys in PEM (RFC 7468 and its forerunners): which block it is, and the key in it.
//! Does not: read JWKs, or decrypt.

use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair,
};
use zeroize::Zeroizing;

use super::Pair;
use super::error::KeyError;
use super::oid::{self, DerKind};
use super::verify::VerifyingKey;

const BEGIN: &[u8] = b"-----BEGIN ";

struct Block {
    tag: String,
    der: Zeroizing<Vec<u8>>,
}

pub(super) fn private(text: &[u8]) -> Result<Pair, KeyError> {
    let Block { tag, der } = the_block(text)?;
    match tag.as_str() {
        "PRIVATE KEY" => match oid::kind_of(&der)? {
            DerKind::Rsa => rsa(RsaKeyPair::from_pkcs8(&der)),
            DerKind::P256 => p256(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der)),
            DerKind::P384 => p384(EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &der)),
            DerKind::Ed25519 => ed25519(Ed25519KeyPair::from_pkcs8(&der)),
        },
        "RSA PRIVATE KEY" => rsa(RsaKeyPair::from_der(&der)),
        "EC PRIVATE KEY" => sec1(&der),
        "PUBLIC KEY" | "RSA PUBLIC KEY" => Err(KeyError::PublicForPrivate),
        "CERTIFICATE" | "TRUSTED CERTIFICATE" | "X509 CERTIFICATE" => Err(KeyError::CertificateForPrivate),
        "OPENSSH PRIVATE KEY" => Err(KeyError::OpenSsh),
        "DSA PRIVATE KEY" => Err(KeyError::Unsupported { what: "a DSA key" }),
        _ => Err(KeyError::ForeignBlock),
    }
}

pub(super) fn public(text: &[u8]) -> Result<VerifyingKey, KeyError> {
    let Block { tag, der } = the_block(text)?;
    match tag.as_str() {
        "PUBLIC KEY" => match oid::kind_of(&der)? {
            DerKind::Rsa => VerifyingKey::rsa(&der),
            DerKind::P256 => VerifyingKey::p256(&der),
            DerKind::P384 => VerifyingKey::p384(&der),
            DerKind::Ed25519 => VerifyingKey::ed25519(&der),
        },
        "RSA PUBLIC KEY" => VerifyingKey::rsa(&der),
        "CERTIFICATE" | "TRUSTED CERTIFICATE" | "X509 CERTIFICATE" => Err(KeyError::CertificateForPublic),
        tag if tag.ends_with("PRIVATE KEY") => Err(KeyError::PrivateForPublic),
        _ => Err(KeyError::ForeignBlock),
    }
}

/// The one block of a file. `openssl ecparam -genkey` puts the curve's parameters before the key: they say nothing new.
fn the_block(text: &[u8]) -> Result<Block, KeyError> {
    let begun = text.windows(BEGIN.len()).filter(|w| *w == BEGIN).count();
    if begun == 0 {
        return Err(match text {
            [] => KeyError::Empty,
            [0x30, 0x80..=0x84, ..] | [0x30, _, 0x02 | 0x30, ..] => KeyError::Der,
            _ => KeyError::NotAKey,
        });
    }
    let blocks = pem::parse_many(text).map_err(|_| KeyError::DamagedPem)?;
    if blocks.len() != begun {
        return Err(KeyError::DamagedPem);
    }
    let encrypted = |b: &pem::Pem| {
        b.tag() == "ENCRYPTED PRIVATE KEY" || b.headers().get("Proc-Type").is_some_and(|v| v.contains("ENCRYPTED"))
    };
    let mut keys: Vec<_> = blocks.into_iter().filter(|b| b.tag() != "EC PARAMETERS").collect();
    if keys.iter().any(encrypted) {
        return Err(KeyError::Encrypted);
    }
    match (keys.pop(), keys.len()) {
        (Some(block), 0) => Ok(Block { tag: block.tag().to_owned(), der: Zeroizing::new(block.into_contents()) }),
        (None, _) => Err(KeyError::ForeignBlock),
        (Some(_), others) => Err(KeyError::SeveralBlocks { count: others + 1 }),
    }
}

/// SEC1 may leave its curve out. A number for P-384 is too large for P-256, so the smaller one is tried first.
fn sec1(der: &[u8]) -> Result<Pair, KeyError> {
    let on_p256 = || EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der);
    let on_p384 = || EcdsaKeyPair::from_private_key_der(&ECDSA_P384_SHA384_FIXED_SIGNING, der);
    match oid::curve_of(der)? {
        Some(DerKind::P384) => p384(on_p384()),
        Some(_) => p256(on_p256()),
        None => p256(on_p256()).or_else(|_| p384(on_p384())),
    }
}

pub(super) fn rsa(pair: Result<RsaKeyPair, KeyRejected>) -> Result<Pair, KeyError> {
    pair.map(Pair::Rsa).map_err(|e| rsa_error(&e))
}

pub(super) fn rsa_error(rejected: &KeyRejected) -> KeyError {
    match rejected.description_() {
        "TooSmall" => KeyError::SmallRsa,
        "TooLarge" => KeyError::LargeRsa,
        _ => KeyError::Broken { what: "the RSA key" },
    }
}

fn p256(pair: Result<EcdsaKeyPair, KeyRejected>) -> Result<Pair, KeyError> {
    pair.map(Pair::P256).map_err(|_| EC_BROKEN)
}

fn p384(pair: Result<EcdsaKeyPair, KeyRejected>) -> Result<Pair, KeyError> {
    pair.map(Pair::P384).map_err(|_| EC_BROKEN)
}

fn ed25519(pair: Result<Ed25519KeyPair, KeyRejected>) -> Result<Pair, KeyError> {
    pair.map(Pair::Ed25519).map_err(|_| KeyError::Broken { what: "the Ed25519 key" })
}

const EC_BROKEN: KeyError = KeyError::Broken { what: "the EC key" };
