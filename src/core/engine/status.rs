//! Owns: what others may see of the state: sums for STATUS=, and a row a token for `status`.
//! Does not: change anything, or hold a secret.

use std::sync::Arc;

use super::State;
use super::doubt::Doubt;
use super::event::Reason;
use super::record::{HeldToken, TokenRecord, TokenState};
use super::slots::TokenId;
use super::state::Readiness;
use super::wiring::{TokenWire, Wiring};
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
    /// Readers find it, or had never to: not one that somebody else took away from all its outputs.
    pub is_valid: bool,
    pub issued_at: Option<Wall>,
    pub expires_at: Option<Wall>,
    pub next_rotation_at: Option<Wall>,
    pub sha256: Option<Fingerprint>,
    pub failures: u32,
    pub last_error: Option<Arc<str>>,
    pub reason: Option<Reason>,
    /// Why the issuer may have ended it, though it would be good by its time.
    pub uncertain: Option<Doubt>,
    /// Its refresh token ends soon, and no rotation prolongs it.
    pub login_due: bool,
    /// Of the token at hand.
    pub generation: Option<u64>,
    /// When its present streak of failures began, and how many tries failed in it.
    pub failing_since: Option<Wall>,
    pub tries: u32,
    /// While it fails: when anything is tried next by itself.
    pub next_try_at: Option<Wall>,
    /// When its source was asked last, in this run.
    pub last_try_at: Option<Wall>,
    pub expired_since: Option<Wall>,
    pub last_hook: Option<LastHook>,
}

/// The newest run of one of its hooks.
#[derive(Clone, PartialEq, Debug)]
pub struct LastHook {
    /// Its table in the config.
    pub hook: &'static str,
    pub started_at: Wall,
    pub ended_at: Option<Wall>,
    pub error: Option<Arc<str>>,
}

impl State {
    /// READY was told.
    pub fn is_ready(&self) -> bool {
        self.readiness == Readiness::Told
    }

    /// How many tokens of a plan an earlier run left that are good still. To be asked before that plan is applied.
    pub fn kept(&self, plan: &Wiring, now: Now) -> usize {
        let is_kept = |wire: &&TokenWire| {
            let held = self.tokens.named(&wire.name).and_then(|token| token.held.as_ref());
            held.is_some_and(|held| held.issued.fingerprint == wire.fingerprint && !held.is_expired(now.wall))
        };
        plan.tokens.iter().filter(is_kept).count()
    }

    /// A try or a write of this run failed.
    pub fn has_failed(&self) -> bool {
        self.failed_once
    }

    /// Why the last config was refused.
    pub fn refused(&self) -> Option<&Arc<str>> {
        self.refused.as_ref()
    }

    /// How many tokens are in which state.
    pub fn counts(&self) -> Counts {
        let [valid, retrying, expired, pending] = self.counts;
        Counts { valid, retrying, expired, pending }
    }

    /// Required tokens that are not valid on disk, in order of the config.
    pub fn missing(&self) -> Vec<TokenName> {
        let is_missing = |t: &&TokenRecord| t.wire.required && !t.view.on_disk && t.leaving.is_none();
        let all = self.order.iter().filter_map(|id| self.tokens.get(*id));
        all.filter(is_missing).map(|token| token.wire.name.clone()).collect()
    }

    /// A token's row; `None` where the config does not name it.
    pub fn token_status(&self, name: &TokenName, now: Now) -> Option<TokenStatus> {
        self.row(self.tokens.find(name)?, now)
    }

    fn row(&self, id: TokenId, now: Now) -> Option<TokenStatus> {
        let token = self.tokens.get(id).filter(|token| token.leaving.is_none())?;
        let held = token.held.as_ref();
        let failing = self.failing(id, token);
        let streak = failing.as_ref().and(token.rare.streak.as_ref());
        Some(TokenStatus {
            name: token.wire.name.clone(),
            state: token.view.state,
            required: token.wire.required,
            on_disk: token.view.on_disk,
            is_valid: matches!(token.view.state, TokenState::Valid | TokenState::Retrying) && !token.view.is_lost,
            issued_at: held.map(|held| held.issued.life.issued_at),
            expires_at: held.and_then(HeldToken::ends),
            next_rotation_at: self.next_rotation(id, now),
            sha256: held.map(|held| held.issued.sha256),
            failures: failing.as_ref().map_or(0, |(_, _, failures)| *failures),
            reason: failing.as_ref().map(|(reason, _, _)| *reason),
            generation: held.map(|held| held.issued.generation),
            failing_since: streak.map(|streak| match &token.rare.kept_streak {
                // In the words of the run that it began in.
                Some(kept) if !streak.before.is_zero() => kept.since,
                _ => streak.began(now),
            }),
            tries: failing
                .as_ref()
                .map_or(0, |(_, _, failures)| streak.map_or(0, |streak| streak.tries).max(*failures)),
            next_try_at: failing
                .as_ref()
                .and_then(|_| self.next_try(id, token, now))
                .map(|at| now.wall_at(at.max(now.boot))),
            last_try_at: token.asked_at.get().map(|at| now.wall_at(at)),
            expired_since: (token.view.state == TokenState::Expired).then(|| token.view.ends.get()).flatten(),
            last_hook: token.rare.hooks.as_ref().and_then(|hooks| hooks.last.as_ref()).map(|last| LastHook {
                hook: last.kind.as_str(),
                started_at: now.wall_at(last.started),
                ended_at: last.ended.map(|at| now.wall_at(at)),
                error: last.error.clone(),
            }),
            last_error: failing.map(|(_, message, _)| message),
            uncertain: token.uncertain(now.wall),
            login_due: token.login_due(now.wall).is_some(),
        })
    }

    /// When anything that ails the token is tried next by itself: its obtaining or a parent's, a write, a hook, or what the
    /// machine lacks.
    fn next_try(&self, id: TokenId, token: &TokenRecord, now: Now) -> Option<Boot> {
        let under_way =
            token.flight.is_some() || token.rare.incoming.as_ref().is_some_and(|one| one.retry_at.is_none());
        let obtaining = if under_way { Some(now.boot) } else { self.obtain_timer(id, token, now) };
        let missing = token.rare.parents.iter().filter_map(|parent| Some((*parent, self.tokens.get(*parent)?)));
        let missing = missing.filter(|(_, parent)| self.is_needed(token, now) && !parent.is_at_hand(now.wall));
        let parents = missing.filter_map(|(id, parent)| self.next_try(id, parent, now)).min();
        let writes = self.targets_of(id, token).filter_map(|target| target.next_try(now.boot)).min();
        let is_lacking =
            token.rare.lack.is_some() || self.targets_of(id, token).any(|target| target.rare.lack.is_some());
        let reading = self.reread.as_ref().filter(|_| is_lacking);
        let reading = reading.map(|reread| if reread.under_way { now.boot } else { reread.at });
        [obtaining, parents, writes, token.next_hook(), reading]
            .into_iter()
            .flatten()
            .filter(|at| *at < Boot(u64::MAX))
            .min()
    }

    /// What is wrong with a file.
    pub fn file_trouble(&self, path: &TargetPath) -> Option<Arc<str>> {
        let target = self.targets.named(path)?;
        target.rare.trouble.as_ref().map(|trouble| trouble.message.clone()).or_else(|| target.rare.lack.clone())
    }

    /// All rows in order of the config.
    pub fn statuses(&self, now: Now) -> impl Iterator<Item = TokenStatus> {
        self.order.iter().filter_map(move |id| self.row(*id, now))
    }

    /// The files of a token.
    pub fn files_of(&self, name: &TokenName) -> impl Iterator<Item = &TargetPath> {
        let files = self.tokens.named(name).into_iter().flat_map(|token| &token.targets);
        files.map(|id| self.targets.name(*id))
    }

    fn next_rotation(&self, id: TokenId, now: Now) -> Option<Wall> {
        let token = self.tokens.get(id)?;
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
        let meant = self.tokens.iter().filter(|(_, token)| token.leaving.is_none() && self.is_selected(token));
        meant.fold((0, 0), |(done, all), (id, token)| {
            let is_under_way = token.flight.is_some() || token.rare.incoming.is_some();
            let is_done = !is_under_way && (token.view.delivered || self.failing(id, token).is_some());
            (done + usize::from(is_done), all + 1)
        })
    }

    /// Nothing is being obtained, persisted or written, and the last plan is carried out.
    pub fn is_at_rest(&self) -> bool {
        self.busy == 0 && !self.is_settling()
    }

    /// Tokens that an exchange of a single-use credential is under way for, or whose successor is not kept yet.
    pub fn spending(&self) -> impl Iterator<Item = &TokenName> {
        let spends = |token: &TokenRecord| {
            let incoming = token.rare.incoming.as_ref().is_some_and(|incoming| incoming.single_use);
            incoming || (token.wire.single_use && token.flight.is_some())
        };
        self.tokens.iter().filter(move |(_, token)| spends(token)).map(|(_, token)| &token.wire.name)
    }

    /// Tokens whose spent credential has a successor that is not kept yet.
    pub fn unkept(&self) -> impl Iterator<Item = &TokenName> {
        let is_unkept = |token: &TokenRecord| token.rare.incoming.as_ref().is_some_and(|incoming| incoming.single_use);
        self.tokens.iter().filter(move |(_, token)| is_unkept(token)).map(|(_, token)| &token.wire.name)
    }

    /// Paths with an operation under way, for the log at shutdown.
    pub fn paths_under_way(&self) -> impl Iterator<Item = &TargetPath> + Clone {
        self.targets.iter().filter(|(_, target)| target.rare.op.is_some()).map(|(id, _)| self.targets.name(id))
    }
}
