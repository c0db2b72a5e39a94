//! Owns: a token on its way from the source to the vault, the state, the files and the sockets.
//! Does not: obtain, keep or write it. The engine knows it without its bytes: see [`Issued`](super::engine::Issued).

use super::credential::RefreshToken;
use super::schedule::Life;
use super::secret::Secret;
use super::settings::{Fingerprint, TokenName};
use super::time::Wall;

/// A token, how long it is good for, and where it came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// By which the config, the state and the commands know it.
    pub name: TokenName,
    /// The bytes that a reader sends.
    pub value: Secret<String>,
    /// As the answer or the token tells it, bounded by `ttl`; of a JWT that is signed here, as its claims say.
    pub life: Life,
    /// Tells it from the others of its name; 0 where nobody counts them.
    pub generation: u64,
    /// Of the credential and settings it was made from.
    pub fingerprint: Fingerprint,
    /// What the next one is obtained with: the new one, or the old one where it stays good.
    pub refresh_token: Option<Box<RefreshToken>>,
    /// What the answer says it is good for (RFC 6749 5.1); `None`: it does not say, and it is as asked.
    pub scope: Option<String>,
}

impl Token {
    /// The end of the refresh token behind it, where the issuer told it: then a person has to log in again.
    pub fn login_ends(&self) -> Option<Wall> {
        self.refresh_token.as_ref().and_then(|refresh| refresh.expires_at)
    }

    /// One of which nothing else is known.
    pub fn new(name: TokenName, value: Secret<String>, life: Life) -> Self {
        let fingerprint = Fingerprint::default();
        Self { name, value, life, generation: 0, fingerprint, refresh_token: None, scope: None }
    }
}
