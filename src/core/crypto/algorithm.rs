//! Owns: signing algorithms, kinds of keys, and which goes with which.
//! Does not: hold a key.

use std::fmt;

use super::super::words::words;

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
    /// Of what kind its keys are.
    pub const fn kind(self) -> KeyKind {
        match self {
            Self::HS256 | Self::HS384 | Self::HS512 => KeyKind::Secret,
            Self::RS256 | Self::RS384 | Self::RS512 | Self::PS256 | Self::PS384 | Self::PS512 => KeyKind::Rsa,
            Self::ES256 => KeyKind::P256,
            Self::ES384 => KeyKind::P384,
            Self::EdDSA => KeyKind::Ed25519,
        }
    }

    /// Signs with a secret, not with a private key.
    pub const fn is_symmetric(self) -> bool {
        matches!(self.kind(), KeyKind::Secret)
    }

    /// Bytes that a secret has at least: as many as the hash (RFC 7518 3.2). `None`: signs with a private key.
    pub const fn min_secret_bytes(self) -> Option<usize> {
        match self {
            Self::HS256 => Some(32),
            Self::HS384 => Some(48),
            Self::HS512 => Some(64),
            _ => None,
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
    Secret,
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl KeyKind {
    /// In words, with their article.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Secret => "a secret",
            Self::Rsa => "an RSA key",
            Self::P256 => "an EC key on P-256",
            Self::P384 => "an EC key on P-384",
            Self::Ed25519 => "an Ed25519 key",
        }
    }

    /// In words with its size, in bytes of a secret and bits of an RSA key: "an RSA key of 2048 bits".
    pub(super) fn describe(self, size: usize) -> String {
        let name = self.name();
        match self {
            Self::Secret if size == 1 => format!("{name} of 1 byte"),
            Self::Secret => format!("{name} of {size} bytes"),
            Self::Rsa => format!("{name} of {size} bits"),
            _ => name.into(),
        }
    }

    /// What a key of this kind signs with where nobody says.
    pub const fn default_algorithm(self) -> Algorithm {
        match self {
            Self::Secret => Algorithm::HS256,
            Self::Rsa => Algorithm::RS256,
            Self::P256 => Algorithm::ES256,
            Self::P384 => Algorithm::ES384,
            Self::Ed25519 => Algorithm::EdDSA,
        }
    }
}
