//! Owns: signing algorithms, and keys from bytes (HMAC secrets; PEM and JWK private keys), parsed once.
//! Does not: read files or choose keys.

use std::fmt;

/// JWS algorithms that renewd signs with (RFC 7518 3.1, RFC 8037 3.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Algorithm {
    HS256,
    HS384,
    HS512,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
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

/// A key that is ready to sign.
pub struct SigningKey {
    kind: KeyKind,
    encoding: jsonwebtoken::EncodingKey,
}

impl SigningKey {
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    pub fn encoding(&self) -> &jsonwebtoken::EncodingKey {
        &self.encoding
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?}, ..)", self.kind)
    }
}
