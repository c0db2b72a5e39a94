//! Owns: a token on its way from a login to who keeps it, with the refresh token that the login was for.
//! Does not: log in, or keep it.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::core::credential::RefreshToken;
use crate::core::schedule::Life;
use crate::core::secret::Secret;
use crate::core::settings::{Fingerprint, TokenName};
use crate::core::time::Wall;
use crate::core::token::Token;

/// Times are milliseconds since the epoch. Its bytes are wiped on drop, and `Debug` shows none.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HandedToken {
    token: Zeroizing<String>,
    refresh_token: Zeroizing<String>,
    issued_at: i64,
    obtained_at: i64,
    expires_at: Option<i64>,
    /// Of the refresh token.
    login_expires_at: Option<i64>,
    scope: Option<String>,
}

impl HandedToken {
    /// `None`: it has no refresh token.
    pub(crate) fn of(token: &Token) -> Option<Self> {
        let refresh = token.refresh_token.as_ref()?;
        Some(Self {
            token: Zeroizing::new(token.value.expose().clone()),
            refresh_token: Zeroizing::new(refresh.token.expose().clone()),
            issued_at: token.life.issued_at.0,
            obtained_at: token.life.obtained_at.0,
            expires_at: token.life.expires_at.map(|at| at.0),
            login_expires_at: refresh.expires_at.map(|at| at.0),
            scope: token.scope.clone(),
        })
    }

    /// `first`: of the refresh token in the config, which this one takes the place of.
    pub(crate) fn token(self, name: &TokenName, first: Fingerprint) -> Token {
        let life = Life {
            issued_at: Wall(self.issued_at),
            expires_at: self.expires_at.map(Wall),
            obtained_at: Wall(self.obtained_at),
        };
        let expires_at = self.login_expires_at.map(Wall);
        let refresh = RefreshToken { token: Secret::from(self.refresh_token), first, expires_at };
        let token = Token::new(name.clone(), Secret::from(self.token), life);
        Token { refresh_token: Some(Box::new(refresh)), scope: self.scope, ..token }
    }
}

impl fmt::Debug for HandedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandedToken(..)")
    }
}
