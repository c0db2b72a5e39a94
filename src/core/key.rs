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

impl Algorithm {
    /// Every algorithm, in order of the RFC's table.
    pub const ALL: [Self; 12] = [
        Self::HS256,
        Self::HS384,
        Self::HS512,
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
    ];

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }

    /// RFC 7518 3.2: as long as the hash.
    pub fn min_secret_bytes(self) -> Option<usize> {
        match self {
            Self::HS256 => Some(32),
            Self::HS384 => Some(48),
            Self::HS512 => Some(64),
            _ => None,
        }
    }

    pub fn accepts(self, kind: KeyKind) -> bool {
        match kind {
            KeyKind::Hmac { .. } => self.min_secret_bytes().is_some(),
            KeyKind::Rsa { .. } => self.name().starts_with("RS") || self.name().starts_with("PS"),
            KeyKind::P256 => self == Self::ES256,
            KeyKind::P384 => self == Self::ES384,
            KeyKind::Ed25519 => self == Self::EdDSA,
        }
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
    pub fn describe(self) -> String {
        match self {
            Self::Hmac { bytes } => format!("a secret of {bytes} bytes"),
            Self::Rsa { bits } => format!("an RSA key of {bits} bits"),
            Self::P256 => "a P-256 key".into(),
            Self::P384 => "a P-384 key".into(),
            Self::Ed25519 => "an Ed25519 key".into(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("neither PEM nor JWK")]
pub struct KeyError;

/// A key that is ready to sign.
pub struct SigningKey {
    kind: KeyKind,
    encoding: jsonwebtoken::EncodingKey,
}

impl SigningKey {
    pub fn from_secret(secret: &[u8]) -> Self {
        Self {
            kind: KeyKind::Hmac {
                bytes: secret.len(),
            },
            encoding: jsonwebtoken::EncodingKey::from_secret(secret),
        }
    }

    pub fn from_private(bytes: &[u8]) -> Result<Self, KeyError> {
        if let Ok(encoding) = jsonwebtoken::EncodingKey::from_rsa_pem(bytes) {
            return Ok(Self {
                kind: KeyKind::Rsa { bits: 2048 },
                encoding,
            });
        }
        if let Ok(encoding) = jsonwebtoken::EncodingKey::from_ec_pem(bytes) {
            return Ok(Self {
                kind: KeyKind::P256,
                encoding,
            });
        }
        Err(KeyError)
    }

    pub fn jwk_algorithm(&self) -> Option<Algorithm> {
        None
    }

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
