//! Owns: why a try to obtain a token brought none.
//! Does not: decide what follows.

use std::time::Duration;

use crate::core::credential::RefreshToken;
use crate::core::engine::{Doubt, Reason};
use crate::core::settings::TokenName;

/// A failed try.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// Whose fault it is: how long is waited before the next try follows from it, and what `status` shows.
    pub reason: Reason,
    /// One line: what failed and what to do. Never a secret.
    pub message: String,
    /// Not to be tried sooner (RFC 9110 10.2.3).
    pub retry_after: Option<Duration>,
    /// The endpoint refused this parent token (401), and not what is the token's own.
    pub refused_parent: Option<TokenName>,
    /// The answer was of no use, but what was sent is spent: this is its successor.
    pub successor: Option<Box<RefreshToken>>,
    /// A refresh token was sent: why the token in place may be good no more.
    pub doubt: Option<Doubt>,
}

impl SourceError {
    /// One that says nothing of refresh tokens or of when to try again.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { reason, message, retry_after: None, refused_parent: None, successor: None, doubt: None }
    }

    /// There is no nonce to begin with.
    pub fn no_random_numbers(error: getrandom::Error) -> Self {
        Self::new(Reason::Machine, format!("the system gives no random numbers: {error}"))
    }
}
