//! Owns: the bytes of the tokens at hand, by name and generation. The engine says when one is not needed any more.
//! Does not: decide anything, or show a token in `Debug`.

use std::collections::BTreeMap;

use crate::core::credential::RefreshToken;
use crate::core::engine::Issued;
use crate::core::secret::Secret;
use crate::core::settings::{Fingerprint, TokenName};
use crate::core::time::Wall;
use crate::source::Obtained;

/// A token's bytes and times.
#[derive(Debug)]
pub(crate) struct Stored {
    pub token: Secret<String>,
    pub refresh_token: Option<RefreshToken>,
    pub issued_at: Wall,
    pub expires_at: Option<Wall>,
}

#[derive(Debug, Default)]
pub(crate) struct Vault {
    stored: BTreeMap<(TokenName, u64), Stored>,
}

impl Vault {
    /// Takes a token in and tells what the engine may know of it.
    pub fn put(&mut self, name: TokenName, generation: u64, obtained: Obtained) -> Issued {
        let issued = Issued {
            issued_at: obtained.issued_at,
            expires_at: obtained.expires_at,
            sha256: Fingerprint::of(obtained.token.expose().as_bytes()),
        };
        let stored = Stored {
            token: obtained.token,
            refresh_token: obtained.refresh_token,
            issued_at: obtained.issued_at,
            expires_at: obtained.expires_at,
        };
        self.stored.insert((name, generation), stored);
        issued
    }

    pub fn restore(&mut self, name: TokenName, generation: u64, stored: Stored) {
        self.stored.insert((name, generation), stored);
    }

    pub fn get(&self, name: &TokenName, generation: u64) -> Option<&Stored> {
        self.stored.get(&(name.clone(), generation))
    }

    /// What the newest token that has one left to refresh with.
    pub fn refresh_token(&self, name: &TokenName) -> Option<&RefreshToken> {
        let all = self.stored.range((name.clone(), 0)..=(name.clone(), u64::MAX));
        all.rev().find_map(|(_, stored)| stored.refresh_token.as_ref())
    }

    pub fn discard(&mut self, name: &TokenName, generation: u64) {
        self.stored.remove(&(name.clone(), generation));
    }

    pub fn forget(&mut self, name: &TokenName) {
        let all = self.stored.range((name.clone(), 0)..=(name.clone(), u64::MAX));
        let all: Vec<(TokenName, u64)> = all.map(|(key, _)| key.clone()).collect();
        for key in all {
            self.stored.remove(&key);
        }
    }
}
