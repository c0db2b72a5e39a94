//! Owns: how a token is obtained, behind one trait, one file a kind.
//! Does not: decide when, deliver, or keep anything.

pub mod jwt;

use std::sync::Arc;
use std::time::Duration;

use crate::core::engine::Reason;
use crate::core::secret::Secret;
use crate::core::settings::SourcePlan;
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

/// A failed try.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    pub reason: Reason,
    /// One line: what failed and what to do. Never a secret.
    pub message: String,
    /// Not to be tried sooner (RFC 9110 10.2.3).
    pub retry_after: Option<Duration>,
}

/// Where a source is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cost {
    /// Microseconds: where the batch is made.
    Instant,
    /// Up to milliseconds of computing: on a thread of its own.
    Computing,
}

/// A way to obtain tokens.
pub trait Source: Send + Sync {
    fn cost(&self) -> Cost;

    /// Obtains one. `at` is the moment to issue it for, `nonce` 16 random bytes that are used for nothing else.
    ///
    /// # Errors
    /// See [`SourceError`]; the engine tries again.
    fn obtain(&self, at: Wall, nonce: [u8; 16]) -> Result<Obtained, SourceError>;
}

/// The source that a plan asks for.
pub fn of(plan: &SourcePlan) -> Arc<dyn Source> {
    match plan {
        SourcePlan::Jwt(settings) => settings.clone(),
    }
}
