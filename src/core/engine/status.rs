//! Owns: what others may see of the state: sums for STATUS=, and a row a token for `status`.
//! Does not: change anything, or hold a secret.

use std::sync::Arc;

use super::State;
use super::doubt::Doubt;
use super::event::Reason;
use super::record::{Token, TokenState};
use super::state::Readiness;
use crate::core::schedule::Due;
use crate::core::settings::{Fingerprint, TargetPath, TokenName};
use crate::core::time::{Boot, Now, Wall};

/// How many tokens are in each state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    pub valid: usize,
    pub retrying: usize,
    pub expired: usize,
    pub pending: usize,
}

/// One row of `status`.
#[derive(Clone, PartialEq, Debug)]
pub struct TokenStatus {
    pub name: TokenName,
    pub state: TokenState,
    pub required: bool,
    /// All its outputs hold a valid one.
    pub on_disk: bool,
    pub issued_at: Option<Wall>,
    pub expires_at: Option<Wall>,
    pub next_rotation_at: Option<Wall>,
    pub sha256: Option<Fingerprint>,
    pub failures: u32,
    pub last_error: Option<Arc<str>>,
    pub reason: Option<Reason>,
    /// Why the issuer may have ended it, though it would be good by its time.
    pub uncertain: Option<Doubt>,
}

impl State {
    /// READY was told.
    pub fn is_ready(&self) -> bool {
        self.readiness == Readiness::Told
    }

    /// A try or a write of this run failed.
    pub fn has_failed(&self) -> bool {
        self.failed_once
    }

    /// Why the last config was refused.
    pub fn refused(&self) -> Option<&Arc<str>> {
        self.refused.as_ref()
    }

    pub fn counts(&self) -> Counts {
        let [valid, retrying, expired, pending] = self.counts;
        Counts { valid, retrying, expired, pending }
    }

    /// Required tokens that are not valid on disk, in order of the config.
    pub fn missing(&self) -> Vec<TokenName> {
        let missing = |name: &&TokenName| {
            self.tokens.get(*name).is_some_and(|t| t.wire.required && !t.view.on_disk && t.leaving.is_none())
        };
        self.order.iter().filter(missing).cloned().collect()
    }

    /// A token's row; `None` where the config does not name it.
    pub fn token_status(&self, name: &TokenName, now: Now) -> Option<TokenStatus> {
        let token = self.tokens.get(name).filter(|token| token.leaving.is_none())?;
        let held = token.held.as_ref();
        let failing = self.failing(token);
        Some(TokenStatus {
            name: name.clone(),
            state: token.view.state,
            required: token.wire.required,
            on_disk: token.view.on_disk,
            issued_at: held.map(|held| held.issued.issued_at),
            expires_at: held.and_then(|held| held.issued.expires_at),
            next_rotation_at: self.next_rotation(name, now),
            sha256: held.map(|held| held.issued.sha256),
            failures: failing.as_ref().map_or(0, |(_, _, failures)| *failures),
            reason: failing.as_ref().map(|(reason, _, _)| *reason),
            last_error: failing.map(|(_, message, _)| message),
            uncertain: token.uncertain(now.wall),
        })
    }

    /// All rows in order of the config.
    pub fn statuses(&self, now: Now) -> impl Iterator<Item = TokenStatus> {
        self.order.iter().filter_map(move |name| self.token_status(name, now))
    }

    fn next_rotation(&self, name: &TokenName, now: Now) -> Option<Wall> {
        let token = self.tokens.get(name)?;
        let on_wall = |at: Boot| now.wall.plus(at.since(now.boot));
        let next = self.blocked_until(token, now);
        if next < Boot(u64::MAX) {
            return Some(on_wall(next.max(now.boot)));
        }
        let held = token.held.as_ref()?;
        match held.due {
            Due::At(at) => Some(at.max(on_wall(held.hold_until))),
            Due::Never => None,
        }
    }

    /// How many of the tokens that this run is about are done, well or not, and how many there are.
    pub fn progress(&self) -> (usize, usize) {
        let meant = self.tokens.iter().filter(|(name, token)| token.leaving.is_none() && self.is_selected(name));
        meant.fold((0, 0), |(done, all), (_, token)| {
            let is_under_way = token.flight.is_some() || token.incoming.is_some();
            let is_done = !is_under_way && (token.view.delivered || self.failing(token).is_some());
            (done + usize::from(is_done), all + 1)
        })
    }

    /// Nothing is being obtained, persisted or written.
    pub fn is_at_rest(&self) -> bool {
        self.busy == 0
    }

    /// Tokens that an exchange of a single-use credential is under way for, or whose successor is not kept yet.
    pub fn spending(&self) -> impl Iterator<Item = &TokenName> {
        let spends = |token: &Token| {
            let incoming = token.incoming.as_ref().is_some_and(|incoming| incoming.single_use);
            incoming || (token.wire.single_use && token.flight.is_some())
        };
        self.tokens.iter().filter(move |(_, token)| spends(token)).map(|(name, _)| name)
    }

    /// Tokens whose spent credential has a successor that could not be kept yet.
    pub fn unkept(&self) -> impl Iterator<Item = &TokenName> {
        let is_unkept =
            |token: &Token| token.incoming.as_ref().is_some_and(|it| it.single_use && it.retry_at.is_some());
        self.tokens.iter().filter(move |(_, token)| is_unkept(token)).map(|(name, _)| name)
    }

    /// Paths with an operation under way, for the log at shutdown.
    pub fn paths_under_way(&self) -> impl Iterator<Item = &TargetPath> + Clone {
        self.targets.iter().filter(|(_, target)| target.op.is_some()).map(|(path, _)| path)
    }
}
