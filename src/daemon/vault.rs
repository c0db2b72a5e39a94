//! Owns: the bytes of the tokens at hand, by name and generation, and what each is obtained with next. The engine says
//! when one is not needed any more.
//! Does not: decide anything, or show a token in `Debug`.

use std::collections::BTreeMap;

use crate::core::credential::RefreshToken;
use crate::core::engine::Issued;
use crate::core::secret::Secret;
use crate::core::settings::{Fingerprint, TokenName};
use crate::core::time::Wall;
use crate::host::store::KeptRefresh;
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
    /// Where the newest token does not tell what is used next, or it is being spent: as the state has it.
    refreshes: BTreeMap<TokenName, KeptRefresh>,
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
        self.refreshes.remove(&name);
        self.stored.insert((name, generation), stored);
        issued
    }

    pub fn restore(&mut self, name: TokenName, generation: u64, stored: Stored) {
        self.stored.insert((name, generation), stored);
    }

    pub fn get(&self, name: &TokenName, generation: u64) -> Option<&Stored> {
        self.stored.get(&(name.clone(), generation))
    }

    pub fn restore_refresh(&mut self, kept: KeptRefresh) {
        self.refreshes.insert(kept.name.clone(), kept);
    }

    /// An exchange was begun in an earlier run, and how it ended is not known.
    pub fn is_unsettled(&self, name: &TokenName) -> bool {
        self.refreshes.get(name).is_some_and(|kept| kept.begun)
    }

    /// What is to be in the state before the refresh token is sent; `None` where it is there already.
    pub fn to_begin(&self, name: &TokenName) -> Option<KeptRefresh> {
        let next = self.refreshes.get(name).and_then(|kept| kept.next.clone());
        (!self.is_unsettled(name)).then(|| KeptRefresh { name: name.clone(), next, begun: true })
    }

    /// What it is obtained with next: what an answer brought that was of no use, or what the newest token that has one left.
    pub fn refresh_token(&self, name: &TokenName) -> Option<&RefreshToken> {
        if let Some(next) = self.refreshes.get(name).and_then(|kept| kept.next.as_ref()) {
            return Some(next);
        }
        let all = self.stored.range((name.clone(), 0)..=(name.clone(), u64::MAX));
        all.rev().find_map(|(_, stored)| stored.refresh_token.as_ref())
    }

    pub fn discard(&mut self, name: &TokenName, generation: u64) {
        self.stored.remove(&(name.clone(), generation));
    }

    /// Lets go of all its tokens. What it is obtained with next stays: the one in the config is spent, should the entry
    /// come back.
    pub fn forget(&mut self, name: &TokenName) -> Option<KeptRefresh> {
        let next = self.refresh_token(name).cloned();
        let all = self.stored.range((name.clone(), 0)..=(name.clone(), u64::MAX));
        let all: Vec<(TokenName, u64)> = all.map(|(key, _)| key.clone()).collect();
        for key in all {
            self.stored.remove(&key);
        }
        self.refreshes.remove(name);
        let left = KeptRefresh { name: name.clone(), next: Some(next?), begun: false };
        self.refreshes.insert(name.clone(), left.clone());
        Some(left)
    }
}
