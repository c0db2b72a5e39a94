//! Owns: why a text is no token, or none that can be trusted, in words.
//! Does not: look at one.

use crate::core::crypto::Algorithm;
use crate::core::json::JsonError;

/// Longer tokens are refused unread: no header of a request holds one.
pub(crate) const MAX_TOKEN: usize = 64 * 1024;

/// Why a text is no token, or none that can be trusted. Never quotes more of it than `alg` and `kid`, escaped and cut.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum JoseError {
    #[error("there is no token: the input is empty")]
    Empty,
    #[error("it is {bytes} bytes long, and no token is longer than {MAX_TOKEN}")]
    TooLong { bytes: usize },
    #[error("it is not a JWT: it has {parts} parts, not three with dots between")]
    Parts { parts: usize },
    #[error("it is not a JWT: its {part} is not base64url without padding (RFC 7515 2)")]
    Base64 { part: &'static str },
    #[error("its {part} cannot be trusted: {error}")]
    Json { part: &'static str, error: JsonError },
    #[error("its header has no alg, or one that is not a string")]
    NoAlgorithm,
    #[error("it is not signed at all (alg none)")]
    Unsigned,
    #[error("its alg {0} is not supported")]
    UnknownAlgorithm(String),
    #[error("its alg is {found}, and {wanted} was asked for")]
    OtherAlgorithm { found: Algorithm, wanted: Algorithm },
    #[error("its header demands an extension (crit, RFC 7515 4.1.11) that is not supported")]
    Critical,
    #[error("its alg is {algorithm}, and the key is {key}: they do not go together")]
    OtherKey { algorithm: Algorithm, key: String },
    #[error("the signature does not hold: it was made with another key, or the token was changed")]
    Signature,
}
