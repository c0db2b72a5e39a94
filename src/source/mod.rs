//! Owns: how a token is obtained, behind one trait, one file a kind.
//! Does not: decide when, deliver, or keep anything.

pub mod jwt;

use std::time::Duration;

use crate::core::secret::Secret;
use crate::core::time::Wall;

/// A token that was just obtained.
#[derive(Debug)]
pub struct Obtained {
    pub token: Secret<String>,
    /// When it was issued: `iat` before it is backdated, in whole seconds; or when the request was sent.
    pub issued_at: Wall,
    /// `None`: it never expires.
    pub expires_at: Option<Wall>,
    /// A refresh token that replaces the one that was spent (RFC 6749 6).
    pub refresh_token: Option<Secret<String>>,
}

/// Why no token was obtained, as `status` tells it (`reason`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SourceReason {
    Rejected,
    Unreachable,
    InvalidAnswer,
    Machine,
}

/// A failed try.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    pub reason: SourceReason,
    /// One line: what failed and what to do. Never a secret.
    pub message: String,
    /// Not to be tried sooner (RFC 9110 10.2.3).
    pub retry_after: Option<Duration>,
}
