//! Owns: what of a failure streak outlives a run: what is kept, and how a later run goes on with it.
//! Does not: begin or end a streak; see `settle`.

use std::sync::Arc;

use super::State;
use super::event::{Action, FailedHook, FailureStreak, Reason};
use super::record::{Streak, TokenRecord, Trouble};
use super::slots::TokenId;
use super::wiring::KeptWire;
use crate::core::settings::{Fingerprint, TokenName};
use crate::core::time::{Boot, Now};

impl State {
    /// Goes on with the streaks that an earlier run left. To be called before the first plan.
    pub fn restore_streaks(&mut self, streaks: impl IntoIterator<Item = (TokenName, FailureStreak)>, now: Now) {
        for (name, kept) in streaks {
            let wire = || TokenRecord::new(KeptWire::unknown(name.clone(), Fingerprint::default(), Arc::default()));
            let id = self.tokens.find_or_insert(&name, wire);
            let Some(token) = self.tokens.get_mut(id) else { continue };
            if let Some(hook) = &kept.hook {
                token.rare.hooks.get_or_insert_default().trouble = Some(Trouble {
                    at: now.boot,
                    failures: hook.failures,
                    reason: Reason::Hook,
                    message: hook.message.clone(),
                    retry_at: if hook.is_tried_again { now.boot } else { Boot(u64::MAX) },
                    not_before: Boot(0),
                    shortage: None,
                });
            }
            token.rare.streak = Some(Box::new(Streak {
                since: now.boot,
                before: now.wall.since(kept.since),
                told: kept.is_told,
                tries: kept.tries,
                last: (kept.reason != Reason::Hook).then(|| (kept.reason, kept.message.clone())),
            }));
            token.rare.kept_streak = Some(Box::new(kept));
        }
    }

    /// What failed in an earlier run is over once all is well in this one. True where it was not before.
    pub(super) fn forget_earlier_failure(&mut self, id: TokenId, now: Now) -> bool {
        let is_earlier = |token: &TokenRecord| token.rare.streak.as_ref().is_some_and(|streak| streak.last.is_some());
        if !self.tokens.get(id).is_some_and(is_earlier) || !self.is_settled(id, now) {
            return false;
        }
        let streak = self.tokens.get_mut(id).and_then(|token| token.rare.any().and_then(|rare| rare.streak.as_mut()));
        streak.and_then(|streak| streak.last.take()).is_some()
    }

    /// Has the state say how the token fails, where it says something else.
    pub(super) fn keep_streak(&mut self, id: TokenId, now: Now, out: &mut Vec<Action>) {
        let Some(token) = self.tokens.get(id) else { return };
        let streak = match (&token.rare.streak, &token.rare.kept_streak) {
            (None, None) => return,
            (None, Some(_)) => None,
            (Some(streak), kept) => {
                // One that is being mended is told of when it is.
                let Some((reason, message, _)) = self.failing(id, token) else { return };
                let hook = token.rare.hooks.as_ref().and_then(|hooks| hooks.trouble.as_ref());
                Some(Box::new(FailureStreak {
                    since: kept.as_ref().map_or_else(|| streak.began(now), |kept| kept.since),
                    tries: streak.tries,
                    is_told: streak.told,
                    reason,
                    message,
                    hook: hook.map(|hook| FailedHook {
                        failures: hook.failures,
                        message: hook.message.clone(),
                        is_tried_again: hook.retry_at < Boot(u64::MAX),
                    }),
                }))
            }
        };
        let Some(token) = self.tokens.get_mut(id) else { return };
        if token.rare.kept_streak != streak {
            token.rare.kept_streak.clone_from(&streak);
            out.push(Action::KeepStreak { name: self.name(id), streak });
        }
    }
}
