//! Owns: refresh tokens that took the place of others.
//! Does not: keep or send them.

use super::secret::Secret;
use super::settings::Fingerprint;
use super::time::Wall;

/// A refresh token that took the place of the one that was spent (RFC 6749 6).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefreshToken {
    /// Opaque: sent as it came (RFC 6749 1.5).
    pub token: Secret<String>,
    /// Of the one in the config that it descends from: another one there wins over it.
    pub first: Fingerprint,
    /// Its end, where the issuer told it: then a person has to log in again.
    pub expires_at: Option<Wall>,
}
