//! Owns: what kind of key is in PKCS#8 (RFC 5958), SEC1 (RFC 5915) or SubjectPublicKeyInfo (RFC 5280 4.1), told by its object
//! identifiers.
//! Does not: parse ASN.1; the crypto library does, and refuses what is wrong in it.

use super::algorithm::KeyKind;
use super::error::KeyError;

/// DER of an identifier, and what it says: a key that can be used, or the name of one that cannot.
type KnownOid = (&'static [u8], Result<KeyKind, &'static str>);

/// Curves stand before the kind that they are of: both are in a key's head.
const KNOWN: [KnownOid; 13] = [
    (b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", Ok(KeyKind::P256)),
    (b"\x06\x05\x2b\x81\x04\x00\x22", Ok(KeyKind::P384)),
    (b"\x06\x05\x2b\x81\x04\x00\x23", Err("an EC key on P-521")),
    (b"\x06\x05\x2b\x81\x04\x00\x0a", Err("an EC key on secp256k1")),
    (b"\x06\x05\x2b\x81\x04\x00\x21", Err("an EC key on P-224")),
    (b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01", Err("an EC key on another curve")),
    (b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", Ok(KeyKind::Rsa)),
    (
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a",
        Err("an RSA key restricted to PSS (make it with `openssl genrsa`: PS256 takes that too)"),
    ),
    (b"\x06\x03\x2b\x65\x70", Ok(KeyKind::Ed25519)),
    (b"\x06\x03\x2b\x65\x71", Err("an Ed448 key")),
    (b"\x06\x03\x2b\x65\x6e", Err("an X25519 key, which cannot sign")),
    (b"\x06\x03\x2b\x65\x6f", Err("an X448 key, which cannot sign")),
    (b"\x06\x07\x2a\x86\x48\xce\x38\x04\x01", Err("a DSA key")),
];

/// Identifiers stand in the first bytes of PKCS#8 and SubjectPublicKeyInfo.
const HEAD: usize = 40;

pub(super) fn kind_of(der: &[u8]) -> Result<KeyKind, KeyError> {
    let head = der.get(..HEAD).unwrap_or(der);
    curve_of(head)?.ok_or(KeyError::Unsupported { what: "a key of an unknown kind" })
}

/// The curve of a SEC1 key, which names it after the private number, if at all.
pub(super) fn curve_of(der: &[u8]) -> Result<Option<KeyKind>, KeyError> {
    let found = KNOWN.iter().find(|(oid, _)| der.windows(oid.len()).any(|window| window == *oid));
    found.map(|(_, says)| says.map_err(|what| KeyError::Unsupported { what })).transpose()
}
